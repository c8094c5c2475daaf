#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/tags/tag_commands.h"

namespace espalier::cli {

Status run_promote(const PromoteOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  wire::PromoteRequest request;
  request.idem = new_uuid();
  request.tenant = node.tenant;
  request.model = node.model;
  request.from = options.from;
  request.to = options.wish.tag;
  if (!options.no_archive) request.archive = options.archive;
  request.release = new_uuid();
  request.from_release = new_uuid();
  request.archive_release = new_uuid();
  request.under = node.partition.values();
  request.keep = options.keep;
  request.replace = options.replace;
  request.note = options.wish.note;
  ASSIGN_OR_RETURN(request.expected_release, uuid_option("--if-release", options.wish.if_release));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::ReleaseReply made, registry->call(request));
  return report_release(*registry, made, request.to, options.wish.wait, shared);
}

Status run_overlay(const OverlayOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  wire::OverlayRequest request{new_uuid(), node.tenant, node.model, options.tag, options.on};
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::EpochReply made, registry->call(request));
  if (options.wait) RETURN_IF_ERROR(wait_until_served(*registry, made.epoch, "the change"));
  if (shared.json) {
    print_json({{"tag", options.tag},
                {"on", options.on.empty() ? nlohmann::json(nullptr) : nlohmann::json(options.on)},
                {"epoch", made.epoch}});
  } else {
    print_line("tag " + options.tag + " stands on " + (options.on.empty() ? "its own" : options.on));
  }
  return Status();
}

Status run_tag_history(const TagHistoryOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  wire::TagHistoryRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  request.tag = options.tag;
  if (options.has_node) {
    ASSIGN_OR_RETURN(const auto partition, model::Partition::parse(options.node));
    request.under = partition.values();
    request.node_only = true;
  }
  ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
  request.epoch = as_of.epoch;
  request.time_us = as_of.time_us;
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  Table table({"node", "made", "said", "version", "release", "epoch", "by", "note"});
  std::uint64_t count = 0;
  do {
    ASSIGN_OR_RETURN(const wire::TagHistoryReply page, registry->call(request));
    for (const wire::TagMovement& movement : page.movements) {
      const std::string kind(entry_kind_name(movement.kind));
      if (shared.json) {
        const nlohmann::json document = {{"partition", movement.partition},
                                         {"kind", kind},
                                         {"version", uuid_json(movement.version)},
                                         {"release", uuid_json(movement.release)},
                                         {"epoch", movement.epoch},
                                         {"time_us", movement.time_us},
                                         {"principal", movement.principal},
                                         {"note", movement.note}};
        print_line((count == 0 ? "[" : ",") + document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      } else {
        table.add({partition_text(movement.partition), time_text(movement.time_us), kind,
                   movement.version.is_nil() ? "-" : movement.version.text(), movement.release.text(),
                   std::to_string(movement.epoch), movement.principal, movement.note});
      }
      ++count;
    }
    request.cursor = page.cursor;
  } while (!request.cursor.empty());
  if (shared.json) {
    print_line(count == 0 ? "[]" : "]");
  } else {
    print_line(count > 0 ? table.text() : "the tag " + options.tag + " never said anything there");
  }
  return Status();
}

}  // namespace espalier::cli
