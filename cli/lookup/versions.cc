#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"

namespace espalier::cli {

Status run_versions(const VersionsOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
  ASSIGN_OR_RETURN(const auto versions, versions_under(*registry, node, as_of));
  if (shared.json) {
    auto list = nlohmann::json::array();
    for (const wire::VersionRecord& version : versions) list.push_back(version_json(version));
    print_json(list);
    return Status();
  }
  if (versions.empty()) {
    print_line("no versions at or below " + node.text());
    return Status();
  }
  Table table({"node", "version", "made", "rows", "held-out metrics", "size"});
  for (const wire::VersionRecord& version : versions) {
    table.add({partition_text(version.partition), version.version.text(), time_text(version.created_us),
               count_text(version.rows), metrics_text(version.metrics_json),
               version.collected_us == 0 ? bytes_text(version.artefact_bytes) : "collected"});
  }
  print_line(table.text());
  return Status();
}

}  // namespace espalier::cli
