#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/upkeep/upkeep.h"
#include "registry/upkeep/repair.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

json listed(const std::vector<registry::upkeep::Finding>& findings) {
  auto list = json::array();
  for (const auto& finding : findings) {
    list.push_back({{"table", finding.table}, {"key", finding.key}, {"what", finding.what}});
  }
  return list;
}

void print_findings(const std::string& mark, const std::vector<registry::upkeep::Finding>& findings) {
  for (const auto& finding : findings) {
    print_line(mark + "  " + finding.table + " " + finding.key + ": " + finding.what);
  }
}

}  // namespace

Status run_registry_repair(const UpkeepOptions& options, const Shared& shared) {
  const registry::upkeep::RepairOptions how{options.dry_run, options.leveldb};
  ASSIGN_OR_RETURN(const auto repaired, registry::upkeep::repair(Files::system(), Clock::system(), options.dir, how));
  if (shared.json) {
    print_json({{"changed", repaired.is_changed},
                {"dry_run", options.dry_run},
                {"generation", repaired.generation},
                {"mended", listed(repaired.mended)},
                {"left", listed(repaired.left)},
                {"salvaged", repaired.salvaged}});
  } else {
    print_findings(options.dry_run ? "would be mended" : "mended", repaired.mended);
    print_findings("left", repaired.left);
    if (repaired.salvaged > 0) {
      print_line(count_text(repaired.salvaged) + " artefacts found behind damaged places of packs");
    }
    print_line(repaired.is_changed ? "the registry has a new generation, " + std::to_string(repaired.generation)
                                   : "nothing was changed");
  }
  if (repaired.left.empty()) return Status();
  return corrupt(count_text(repaired.left.size()) + (repaired.left.size() == 1 ? " finding" : " findings") +
                 " can't be mended");
}

}  // namespace espalier::cli
