#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/upkeep/upkeep.h"
#include "wire/status_messages.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

json document(const wire::StatusReply& status) {
  const wire::Durations& served = status.served;
  return {{"generation", status.generation},
          {"epoch", status.epoch},
          {"version", status.version},
          {"served",
           {{"count", served.count},
            {"p50_us", served.p50_us},
            {"p90_us", served.p90_us},
            {"p99_us", served.p99_us},
            {"max_us", served.max_us}}},
          {"being_served", status.being_served},
          {"not_timed", status.not_timed}};
}

std::string duration_text(std::uint64_t us) { return number_text(static_cast<double>(us) / 1000) + " ms"; }

}  // namespace

Status run_registry_status(const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const auto status, (registry->call<wire::StatusRequest, wire::StatusReply>({})));
  if (shared.json) {
    print_json(document(status));
    return {};
  }
  print_line("Espalier " + status.version + ", generation " + std::to_string(status.generation) + ", epoch " +
             std::to_string(status.epoch));
  const wire::Durations& served = status.served;
  if (served.count == 0) {
    print_line("no release was served by all shards since the registry's start");
  } else {
    print_line("commit to served by all shards, of " + count_text(served.count) +
               " releases: " + duration_text(served.p50_us) + " (median), " + duration_text(served.p90_us) +
               " (90 %), " + duration_text(served.p99_us) + " (99 %), " + duration_text(served.max_us) + " (most)");
  }
  if (status.being_served > 0) print_line("on their way to the shards: " + count_text(status.being_served));
  if (status.not_timed > 0) print_line("not timed: " + count_text(status.not_timed));
  return {};
}

}  // namespace espalier::cli
