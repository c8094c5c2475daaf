#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/upkeep/upkeep.h"
#include "common/files.h"
#include "registry/upkeep/check.h"
#include "registry/upkeep/stopped.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

/// What both ways of checking give.
struct Checked {
  std::uint64_t generation = 0, epoch = 0, records = 0, artefacts = 0, passed_over = 0, found = 0;
  std::vector<wire::FindingRecord> findings;
};

Result<Checked> check_stopped(const std::string& folder) {
  const Clock& clock = Clock::system();
  ASSIGN_OR_RETURN(const auto registry, registry::upkeep::open_stopped(Files::system(), clock, folder));
  ASSIGN_OR_RETURN(const auto check, registry::upkeep::Check::start(*registry.records));
  RETURN_IF_ERROR(check->run_to_the_end(clock));
  Checked checked{registry.store->generation(),
                  check->counts().epoch,
                  check->counts().records,
                  check->counts().artefacts,
                  check->counts().passed_over,
                  check->findings().count(),
                  {}};
  for (auto& finding : check->findings().take()) {
    checked.findings.push_back({std::move(finding.table), std::move(finding.key), std::move(finding.what)});
  }
  return checked;
}

Result<Checked> check_running(const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  wire::CheckRequest request;
  request.session = new_uuid();
  Checked checked;
  for (bool done = false; !done; ++request.step) {
    ASSIGN_OR_RETURN(wire::CheckReply reply, registry->call(request));
    std::ranges::move(reply.findings, std::back_inserter(checked.findings));
    checked.generation = reply.generation;
    checked.epoch = reply.epoch;
    checked.records = reply.records;
    checked.artefacts = reply.artefacts;
    checked.passed_over = reply.passed_over;
    checked.found = reply.found;
    done = reply.done;
  }
  return checked;
}

json document(const Checked& checked) {
  auto findings = json::array();
  for (const auto& finding : checked.findings) {
    findings.push_back({{"table", finding.table}, {"key", finding.key}, {"what", finding.what}});
  }
  return {{"clean", checked.found == 0},
          {"generation", checked.generation},
          {"epoch", checked.epoch},
          {"records", checked.records},
          {"artefacts", checked.artefacts},
          {"found", checked.found},
          {"passed_over", checked.passed_over},
          {"findings", findings}};
}

}  // namespace

Status run_registry_check(const UpkeepOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const Checked checked, options.dir.empty() ? check_running(shared) : check_stopped(options.dir));
  if (shared.json) {
    print_json(document(checked));
  } else {
    for (const auto& finding : checked.findings) {
      print_line(finding.table + " " + finding.key + ": " + finding.what);
    }
    print_line("looked at " + count_text(checked.records) + " records and " + count_text(checked.artefacts) +
               " artefacts, up to epoch " + std::to_string(checked.epoch));
  }
  if (checked.found == 0) return Status();
  const std::uint64_t unnamed = checked.found - checked.findings.size();
  return corrupt(count_text(checked.found) + (checked.found == 1 ? " finding" : " findings") +
                 (unnamed > 0 ? ", the first " + count_text(checked.findings.size()) + " are named" : ""));
}

}  // namespace espalier::cli
