#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/tags/tag_commands.h"
#include "wire/quarantine_messages.h"

namespace espalier::cli {
namespace {

/// What the tag names for the node now.
Result<Uuid> version_at(client::RegistryClient& registry, const model::NodeName& node, const std::string& tag) {
  ASSIGN_OR_RETURN(const auto entries, entries_under(registry, node, tag));
  for (const wire::TagEntry& entry : entries) {
    if (entry.partition == node.partition.values() && entry.kind == wire::EntryKind::version) return entry.version;
  }
  return not_found("tag " + tag + " names no version of " + node.text());
}

}  // namespace

Status run_quarantine(const QuarantineOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(Uuid version, uuid_option("--version", options.version));
  if (version.is_nil()) {
    ASSIGN_OR_RETURN(version, version_at(*registry, node, options.tag));
  }
  const wire::QuarantineRequest request{new_uuid(), node.tenant, node.model, version, options.lift, options.reason};
  ASSIGN_OR_RETURN(const auto made, (registry->call<wire::QuarantineRequest, wire::EpochReply>(request)));
  if (options.wait) RETURN_IF_ERROR(wait_until_served(*registry, made.epoch, "the change"));
  if (shared.json) {
    print_json({{"version", version.text()}, {"quarantined", !options.lift}, {"epoch", made.epoch}});
  } else {
    print_line("version " + version.text() + (options.lift ? " is back in service" : " is out of service"));
  }
  return Status();
}

}  // namespace espalier::cli
