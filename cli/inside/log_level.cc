#include "wire/log_level.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/inside/inside_commands.h"
#include "cli/inside/processes.h"
#include "cli/json_records.h"
#include "cli/output.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kLevelPatienceUs = 2'000'000;

/// Those that are called so.
Result<std::vector<Process>> chosen_of(std::vector<Process> processes, const std::string& name,
                                       const Status& why_not_all) {
  if (name == "all") return processes;
  std::string names;
  for (const Process& process : processes) names += (names.empty() ? "" : ", ") + process.name;
  std::erase_if(processes, [&](const Process& process) { return process.name != name; });
  if (!processes.empty()) return processes;
  std::string text = "no process " + name + " in this cluster; there are " + names;
  if (!why_not_all.ok()) text += "; and perhaps shards, which the registry doesn't tell: " + why_not_all.text();
  return not_found(text);
}

}  // namespace

Status run_log_level(const LogLevelOptions& options, const Shared& given) {
  ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(given.cluster));
  const Shared shared = asking(given, cluster);
  Status why_not_all;
  ASSIGN_OR_RETURN(auto processes, processes_of(shared, cluster, why_not_all));
  ASSIGN_OR_RETURN(processes, chosen_of(std::move(processes), options.process, why_not_all));
  ASSIGN_OR_RETURN(const auto answers,
                   ask_all(shared, processes, wire::encode(wire::LogLevelRequest{options.level}), kLevelPatienceUs));
  auto list = nlohmann::json::array();
  Table table({"PROCESS", "LEVEL", "BEFORE"});
  Status failed = options.process == "all" ? why_not_all : Status();
  for (std::size_t i = 0; i < processes.size(); ++i) {
    Result<wire::LogLevelReply> reply = answers[i].status;
    if (answers[i].status.ok()) reply = wire::decode_reply<wire::LogLevelReply>(answers[i].header());
    nlohmann::json entry = {{"process", processes[i].name}, {"role", processes[i].role}, {"answers", reply.ok()}};
    if (reply.ok()) {
      entry.update({{"level", reply->level}, {"before", reply->before}});
      table.add({processes[i].name, reply->level, reply->before});
    } else {
      entry["why"] = reply.status().text();
      table.add({processes[i].name, "no answer", "-"});
      if (failed.ok()) failed = reply.status().at(processes[i].name);
    }
    list.push_back(std::move(entry));
  }
  if (shared.json) {
    print_json(list);
  } else {
    print_line(table.text());
  }
  return failed;
}

}  // namespace espalier::cli
