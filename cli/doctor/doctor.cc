#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/doctor/checks.h"
#include "cli/inside/inside_commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "common/clock.h"
#include "common/files.h"
#include "common/folder_lock.h"
#include "common/key_file.h"
#include "common/version.h"
#include "wire/endpoint.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kProcessPatienceUs = 1'000'000;
constexpr const char* kConfigurations = "/etc/espalier";

/// Paths in a folder that end so, in order; none where it can't be read.
std::vector<std::string> paths_in(const std::string& folder, const std::string& ending) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string path = at->path().string();
    if (path.ends_with(ending)) paths.push_back(path);
  }
  std::ranges::sort(paths);
  return paths;
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

/// What `espalier up` made.
void add_cluster_folder(const std::string& dir, Patient& patient) {
  if (is_folder(dir + "/registry")) patient.folders.push_back(dir + "/registry");
  for (const char* below : {"/shards", "/routers"}) {
    for (const std::string& folder : paths_in(dir + below, "")) {
      patient.folders.push_back(folder);
      if (is_folder(folder + "/pack")) patient.packs.push_back(folder + "/pack");
    }
  }
  for (const std::string& key : paths_in(dir + "/keys", ".key")) patient.key_files.push_back(key);
}

/// What a process is started with. true: it may be asked over connections that are not secured.
bool add_configuration(const std::string& path, Patient& patient, Findings& findings) {
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_file(path);
  } catch (const CLI::Error& error) {
    findings.add(Severity::problem, "configuration", path, std::string("can't be read: ") + error.what(),
                 "its process wouldn't start from it");
    return false;
  }
  const auto values = [&](const std::string& name) {
    const auto item = std::ranges::find(items, name, &CLI::ConfigItem::name);
    return item == items.end() ? std::vector<std::string>() : item->inputs;
  };
  const auto value = [&](const std::string& name) {
    const auto all = values(name);
    return all.empty() ? std::string() : all.front();
  };
  if (values("dir").empty() && values("bind").empty()) {
    findings.add(Severity::problem, "configuration", path, "names neither dir nor bind",
                 "see deploy/config for what it must have");
  }
  Process process{std::filesystem::path(path).stem().string(), path, values("bind")};
  if (const std::string dir = value("dir"); !dir.empty()) {
    patient.folders.push_back(dir);
    if (is_folder(dir + "/pack")) patient.packs.push_back(dir + "/pack");
  }
  if (const std::string key = value("key"); !key.empty()) {
    patient.key_files.push_back(key);
    const auto file = read_key_file(key);
    for (std::string& endpoint : process.endpoints) {
      if (file.ok() && !wire::is_private(endpoint)) endpoint += "#" + file->pair->public_key().hex();
    }
  }
  if (!process.endpoints.empty()) patient.processes.push_back(std::move(process));
  return value("insecure") == "true";
}

bool runs_here(const ClusterProcess& process) {
  if (process.pid <= 0) return false;
  const auto name = Files::system().read("/proc/" + std::to_string(process.pid) + "/comm");
  return name.ok() && name->starts_with("espalier-");
}

/// The cluster's file where it has one that runs; else a finding.
std::optional<ClusterFile> find_cluster(const Shared& shared, Findings& findings) {
  if (shared.cluster.empty()) return std::nullopt;
  auto cluster = read_cluster(shared.cluster);
  const bool has_ended = cluster.ok() && cluster->up != 0 && !FolderLock::is_taken(shared.cluster);
  if (cluster.ok() && !has_ended) return *std::move(cluster);
  findings.add(has_ended ? Severity::problem : Severity::unknown, "cluster", shared.cluster,
               has_ended ? "`espalier up` was killed there, and its processes have ended" : cluster.status().message(),
               "start it, or name the folder of one that runs: --cluster");
  return std::nullopt;
}

Heard hear(const Process& process, const std::shared_ptr<const KeyPair>& key, bool insecure) {
  Heard heard;
  client::Exchange::Options options;
  options.peer = process.name;
  options.socket.key = key;
  options.socket.insecure = insecure;
  auto exchange = client::Exchange::open(process.endpoints, options);
  if (!exchange.ok()) {
    heard.reply = exchange.status();
    return heard;
  }
  const std::string question = wire::encode(wire::ProcessRequest{});
  // Twice: the first answer says that there is a connection, so that the second one's way is short.
  for (int i = 0; i < 2; ++i) {
    heard.asked_us = Clock::system().wall_us();
    const client::Answer answer =
        (*exchange)->wait_for((*exchange)->send(question, {}, kProcessPatienceUs, kProcessPatienceUs / 4));
    heard.heard_us = Clock::system().wall_us();
    heard.answers = !answer.header().empty();
    heard.reply = answer.status;
    if (!answer.status.ok()) break;
    heard.reply = wire::decode_reply<wire::ProcessReply>(answer.header());
  }
  return heard;
}

void print_findings(const std::vector<Finding>& findings, bool all) {
  std::size_t well = 0;
  for (const Finding& finding : findings) {
    if (finding.severity == Severity::ok) ++well;
    if (finding.severity == Severity::ok && !all) continue;
    print_line(std::string(severity_name(finding.severity)) + "  " + finding.check + "  " + finding.subject + ": " +
               finding.found);
    if (!finding.to_do.empty()) print_line("    what to do: " + finding.to_do);
  }
  print_line(count_text(well) + " things are as they should be" + (all || well == 0 ? "" : "; --all names them"));
}

nlohmann::json document_of(const Findings& findings) {
  auto list = nlohmann::json::array();
  for (const Finding& finding : findings.sorted()) {
    list.push_back({{"severity", severity_name(finding.severity)},
                    {"check", finding.check},
                    {"subject", finding.subject},
                    {"found", finding.found},
                    {"to_do", finding.to_do}});
  }
  return {{"problems", findings.count(Severity::problem)},
          {"warnings", findings.count(Severity::warning)},
          {"unknown", findings.count(Severity::unknown)},
          {"findings", std::move(list)}};
}

}  // namespace

Status run_doctor(const DoctorOptions& options, const Shared& given) {
  Findings findings;
  Patient patient;
  std::optional<ClusterFile> cluster = find_cluster(given, findings);
  Shared shared = cluster ? asking(given, *cluster) : given;
  if (!shared.cluster.empty()) add_cluster_folder(shared.cluster, patient);
  if (cluster) {
    Status why_not_all;
    auto processes = processes_of(shared, *cluster, why_not_all);
    if (processes.ok()) patient.processes = *std::move(processes);
    if (!processes.ok()) why_not_all = processes.status();
    if (!why_not_all.ok()) {
      findings.add(Severity::unknown, "cluster", "registry",
                   "which shards there are isn't known: " + why_not_all.text(),
                   "see what is said of the registry, and of the key that asks");
    }
    std::ranges::copy_if(cluster->processes, std::back_inserter(patient.local_processes), runs_here);
  }
  std::vector<std::string> configurations = options.configurations;
  if (configurations.empty() && shared.cluster.empty()) configurations = paths_in(kConfigurations, ".toml");
  for (const std::string& path : configurations) {
    if (add_configuration(path, patient, findings)) shared.insecure = true;
  }
  for (const std::string& folder : options.folders) patient.folders.push_back(folder);
  if (!shared.key.empty() && std::ranges::find(patient.key_files, shared.key) == patient.key_files.end()) {
    patient.key_files.push_back(shared.key);
  }

  const auto key = own_key(shared);
  if (!key.ok()) findings.add(Severity::problem, "keys", "who asks", key.status().text(), "see to the file of --key");
  std::vector<Heard> heard;
  for (const Process& process : patient.processes)
    heard.push_back(key.ok() ? hear(process, *key, shared.insecure) : Heard{});
  check_limits(patient, heard, findings);
  check_clock(patient, heard, findings);
  check_disk(patient, findings);
  check_versions(patient, heard, findings);
  check_keys(patient, cluster && key.ok() ? &*cluster : nullptr, shared, findings);
  if (key.ok()) check_ports(patient, shared, heard, findings);

  if (shared.json) {
    print_json(document_of(findings));
  } else {
    print_findings(findings.sorted(), options.all);
  }
  const std::size_t problems = findings.count(Severity::problem);
  if (problems == 0) return Status();
  return failed_precondition(std::to_string(problems) +
                             (problems == 1 ? " problem was found" : " problems were found"));
}

}  // namespace espalier::cli
