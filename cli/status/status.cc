#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/status/evidence.h"
#include "cli/status/problems.h"
#include "cli/status/status_commands.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

std::string_view reach_name(Reach reach) {
  switch (reach) {
    case Reach::answers: return "answers";
    case Reach::silent: return "silent";
    case Reach::gone: return "gone";
    case Reach::away: return "away";
    case Reach::barred: return "barred";
  }
  return "?";
}

json document_of(const Asked& asked) {
  json document = {{"name", asked.name}, {"endpoints", asked.endpoints}, {"reach", reach_name(asked.reach)}};
  if (!asked.answers()) {
    document["why"] = asked.why;
    return document;
  }
  document.update({{"version", asked.version},
                   {"running_us", asked.health.running_us},
                   {"clock_off_us", asked.clock_off_us},
                   {"behind_us", asked.health.behind_us},
                   {"disk_free", asked.health.disk_free},
                   {"disk_size", asked.health.disk_size}});
  return document;
}

json document_of(const Evidence& evidence, const std::vector<Problem>& problems) {
  json document = {{"problems", json::array()}, {"routers", json::array()}, {"shards", json::array()}};
  for (const Problem& problem : problems) {
    document["problems"].push_back({{"kind", problem.kind},
                                    {"about", problem.about},
                                    {"what", problem.what},
                                    {"remedy", problem.remedy},
                                    {"warning", problem.is_warning}});
  }
  document["registry"] = document_of(evidence.registry);
  document["registry"].update({{"generation", evidence.status.generation},
                               {"epoch", evidence.status.epoch},
                               {"being_served", evidence.status.being_served},
                               {"jobs", evidence.status.jobs}});
  for (const AskedRouter& router : evidence.routers) {
    json entry = document_of(router.asked);
    entry.update({{"epoch", router.status.epoch},
                  {"requests", router.status.requests},
                  {"failed", router.status.failed},
                  {"answered", router.status.answered},
                  {"unexpected", router.status.unexpected},
                  {"in_flight", router.status.in_flight},
                  {"rate", router.rate}});
    document["routers"].push_back(std::move(entry));
  }
  for (const AskedShard& shard : evidence.shards) {
    json entry = document_of(shard.asked);
    entry.update({{"state", cluster::shard_state_name(shard.state)},
                  {"epoch", shard.status.epoch},
                  {"nodes_wanted", shard.status.nodes_wanted},
                  {"nodes_ready", shard.status.nodes_ready},
                  {"memory_bytes", shard.status.memory_bytes},
                  {"disk_bytes", shard.status.disk_bytes}});
    document["shards"].push_back(std::move(entry));
  }
  return document;
}

std::string percent_text(std::uint64_t part, std::uint64_t all) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%",
                all == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(all));
  return text;
}

std::string disk_text(const wire::Health& health) {
  return health.disk_size == 0 ? "" : bytes_text(health.disk_free) + " free";
}

void print_problems(const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    print_line((problem.is_warning ? "- " : "! ") + problem.about + ": " + problem.what);
    print_line("    " + problem.remedy);
  }
  print_line(problems.empty() ? "nothing is wrong" : "");
}

void print_summary(const Evidence& evidence) {
  const auto count = [](const auto& list) {
    return std::to_string(std::ranges::count_if(list, [](const auto& each) { return each.asked.answers(); })) + " of " +
           std::to_string(list.size()) + " answer";
  };
  if (evidence.registry.answers()) {
    const wire::StatusReply& status = evidence.status;
    print_line("registry  epoch " + count_text(status.epoch) + ", " + disk_text(evidence.registry.health) + ", up " +
               age_text(evidence.registry.health.running_us));
    print_line("          " + count_text(status.served.count) + " releases served, p99 in " +
               seconds_text(static_cast<double>(status.served.p99_us) / 1e6) + "; " + count_text(status.being_served) +
               " on their way, " + count_text(status.jobs) + " jobs");
  }
  std::uint64_t requests = 0, failed = 0, answered = 0, unexpected = 0, in_flight = 0;
  double rate = 0;
  for (const AskedRouter& router : evidence.routers) {
    requests += router.status.requests;
    failed += router.status.failed;
    answered += router.status.answered;
    unexpected += router.status.unexpected;
    in_flight += router.status.in_flight;
    rate += router.rate;
  }
  print_line("routers   " + count(evidence.routers) + "; " + number_text(std::round(rate)) + " requests/s, " +
             count_text(in_flight) + " in flight");
  print_line("          since their start: " + count_text(requests) + " requests, " + percent_text(failed, requests) +
             " failed,");
  print_line("          " + count_text(answered) + " parts answered, " + percent_text(unexpected, answered) +
             " by others than should");
  std::uint64_t wanted = 0, ready = 0, memory = 0;
  for (const AskedShard& shard : evidence.shards) {
    wanted += shard.status.nodes_wanted;
    ready += shard.status.nodes_ready;
    memory += shard.status.memory_bytes;
  }
  print_line("shards    " + count(evidence.shards) + "; " + count_text(ready) + " of " + count_text(wanted) +
             " nodes ready, " + bytes_text(memory));
}

}  // namespace

Status run_status(const Shared& shared) {
  ASSIGN_OR_RETURN(const Evidence evidence, gather_evidence(shared));
  const std::vector<Problem> problems = problems_of(evidence);
  if (shared.json) {
    print_line(document_of(evidence, problems).dump(-1, ' ', false, json::error_handler_t::replace));
  } else {
    print_problems(problems);
    print_summary(evidence);
  }
  const auto wrong = std::ranges::count(problems, false, &Problem::is_warning);
  if (wrong == 0) return {};
  return failed_precondition(std::to_string(wrong) + (wrong == 1 ? " problem" : " problems"));
}

}  // namespace espalier::cli
