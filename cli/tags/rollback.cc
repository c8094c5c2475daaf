#include <functional>
#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/tags/tag_commands.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

json state_json(const wire::NodeState& state) {
  return {{"kind", entry_kind_name(state.kind)},
          {"version", uuid_json(state.version)},
          {"release", uuid_json(state.release)},
          {"rows", state.rows},
          {"metrics", embedded_json(state.metrics_json)}};
}

std::string state_text(const wire::NodeState& state) {
  return state.kind == wire::EntryKind::version ? state.version.text() : std::string(entry_kind_name(state.kind));
}

/// "rmse -4.5, mae +0.2"
std::string delta_text(const std::string& delta_json) {
  const json delta = embedded_json(delta_json);
  std::string text;
  if (delta.is_object()) {
    for (const auto& [name, value] : delta.items()) {
      const double number = value.get<double>();
      text += (text.empty() ? "" : ", ") + name + (number < 0 ? " " : " +") + number_text(number);
    }
  }
  return text.empty() ? "-" : text;
}

/// Asks for all pages and prints them. JSON goes out page by page: it may be larger than memory.
template <class Request>
Status print_differences(client::RegistryClient& registry, Request request, const std::string& nothing,
                         const Shared& shared) {
  Table table({"node", "before", "after", "metrics before", "after", "moved by"});
  std::uint64_t count = 0;
  do {
    ASSIGN_OR_RETURN(const wire::DifferencesReply page, registry.call(request));
    for (const wire::NodeDifference& node : page.nodes) {
      if (shared.json) {
        const json document = {{"partition", node.partition},
                               {"before", state_json(node.before)},
                               {"after", state_json(node.after)},
                               {"delta", embedded_json(node.delta_json)}};
        print_line((count == 0 ? "[" : ",") + document.dump(-1, ' ', false, json::error_handler_t::replace));
      } else {
        table.add({partition_text(node.partition), state_text(node.before), state_text(node.after),
                   metrics_text(node.before.metrics_json), metrics_text(node.after.metrics_json),
                   delta_text(node.delta_json)});
      }
      ++count;
    }
    request.cursor = page.cursor;
  } while (!request.cursor.empty());
  if (shared.json) {
    print_line(count == 0 ? "[]" : "]");
  } else if (count == 0) {
    print_line(nothing);
  } else {
    print_line(table.text());
    print_line(count_text(count) + (count == 1 ? " node" : " nodes"));
  }
  return Status();
}

Result<wire::RollbackTo> parse_to(const RollbackOptions& options) {
  wire::RollbackTo to;
  ASSIGN_OR_RETURN(to.release, uuid_option("--to", options.to));
  to.epoch = options.to_epoch;
  if (!options.as_of.empty()) {
    ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
    to.epoch = as_of.epoch;
    to.time_us = as_of.time_us;
  }
  to.where = options.where;
  return to;
}

}  // namespace

Status run_rollback(const RollbackOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  ASSIGN_OR_RETURN(const wire::RollbackTo to, parse_to(options));
  const ReleaseWish& wish = options.wish;
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  if (options.dry_run) {
    wire::RollbackPreviewRequest request{node.tenant, node.model, wish.tag, to, node.partition.values(), {}, 1000};
    return print_differences(*registry, std::move(request), "nothing would change", shared);
  }
  wire::RollbackRequest request;
  request.idem = new_uuid();
  request.tenant = node.tenant;
  request.model = node.model;
  request.tag = wish.tag;
  request.release = new_uuid();
  request.to = to;
  request.under = node.partition.values();
  request.note = wish.note;
  ASSIGN_OR_RETURN(request.expected_release, uuid_option("--if-release", wish.if_release));
  ASSIGN_OR_RETURN(const wire::ReleaseReply made, registry->call(request));
  return report_release(*registry, made, wish.tag, wish.wait, shared);
}

Status run_release_diff(const ReleaseDiffOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  wire::ReleaseDiffRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  request.under = node.partition.values();
  request.limit = 1000;
  ASSIGN_OR_RETURN(request.from, uuid_option("A", options.from));
  ASSIGN_OR_RETURN(request.to, uuid_option("B", options.to));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  return print_differences(*registry, std::move(request), "no node differs", shared);
}

}  // namespace espalier::cli
