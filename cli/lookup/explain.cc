#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/lookup/explain_placement.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "client/client.h"
#include "cluster/placement.h"
#include "wire/row_codec.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

/// What there is to say of one node on the way from the asked one to the root.
struct Step {
  std::string level;
  model::Partition partition;
  wire::TagEntry entry;             ///< what the tag says, or one below it; unset: nothing
  std::string tag;                  ///< which of them
  wire::VersionRecord version;      ///< the wanted one; nil: none
  std::vector<std::string> shards;  ///< that hold the node, best first
  std::string wanted;               ///< "version 018f…", "nothing", "removed", "transparent"
};

/// The tag, and those that it stands on.
std::vector<std::string> tags_of(const wire::ModelRecord& model, const std::string& tag) {
  std::vector<std::string> tags = {tag};
  while (tags.size() <= model.overlays.size()) {
    const auto at = std::ranges::find(model.overlays, tags.back(), &wire::Overlay::tag);
    if (at == model.overlays.end()) break;
    tags.push_back(at->on);
  }
  return tags;
}

/// What the first of the tags that says something of the node says.
Status find_entry(client::RegistryClient& registry, const model::NodeName& node, const ModelThen& then,
                  const std::vector<std::string>& tags, Step& step) {
  for (const std::string& tag : tags) {
    if (!std::ranges::binary_search(then.record.tags, tag)) return not_found("tag " + tag);
    wire::TagEntriesRequest request;
    request.tenant = node.tenant;
    request.model = node.model;
    request.tag = tag;
    request.epoch = then.as_of.epoch;
    request.under = node.partition.values();
    request.limit = 1;  // a node comes before its subtree
    ASSIGN_OR_RETURN(const wire::EntriesReply first, registry.call(request));
    if (first.entries.empty() || first.entries.front().partition != node.partition.values()) continue;
    step.entry = first.entries.front();
    step.tag = tag;
    return {};
  }
  return {};
}

Result<Step> explain_node(client::RegistryClient& registry, const model::NodeName& node, const ModelThen& then,
                          const cluster::View& view, const std::vector<std::string>& tags) {
  const wire::ModelRecord& model = then.record;
  Step step;
  step.partition = node.partition;
  step.level = node.partition.is_root() ? "global" : model.levels[node.partition.depth() - 1];
  step.entry.kind = wire::EntryKind::unset;
  const auto until = cluster::replicated_until(static_cast<std::uint32_t>(model.levels.size()));
  for (const std::uint32_t shard : cluster::node_shards(view, node.tenant, node.model, node.partition, until))
    step.shards.push_back(view.shards[shard].name);
  if (node.partition.is_transparent()) {
    step.wanted = "passed over: its value is empty";
    return step;
  }
  RETURN_IF_ERROR(find_entry(registry, node, then, tags, step));
  step.wanted = step.entry.kind == wire::EntryKind::removed ? "removed" : "no version of its own";
  if (step.entry.kind != wire::EntryKind::version) return step;
  wire::VersionsRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  request.version = step.entry.version;
  ASSIGN_OR_RETURN(wire::VersionsReply reply, registry.call(request));
  if (!reply.versions.empty()) step.version = std::move(reply.versions.front());
  step.wanted = step.entry.version.text();
  return step;
}

/// Who answered then, if all that was wanted was ready: nobody can be asked any more.
Result<wire::Provenance> who_was_wanted(const std::vector<Step>& steps) {
  wire::Provenance answer;
  answer.asked = steps.front().partition.values();
  answer.reason = wire::Reason::no_version;
  for (const Step& step : steps) {
    if (step.entry.kind == wire::EntryKind::removed) answer.reason = wire::Reason::removed;
    if (step.entry.kind != wire::EntryKind::version) continue;
    if (&step == &steps.front()) answer.reason = wire::Reason::exact;
    answer.served = step.partition.values();
    answer.level = step.level;
    answer.version = step.entry.version;
    answer.tag = step.tag;
    answer.release = step.entry.release;
    answer.release_epoch = step.entry.epoch;
    return answer;
  }
  return Status(Code::no_model, "no node on this path had a version");
}

/// Asks with an empty row: every input has a meaning when it is missing, and only the provenance matters.
Result<wire::Provenance> who_answers(const Shared& shared, const model::NodeName& node, const std::string& tag) {
  wire::PredictRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  request.refs = {"tag:" + tag};
  request.parts.push_back({node.partition.values(), "", 1});
  const wire::NamedRow nothing;
  ASSIGN_OR_RETURN(auto router, connect_router(shared));
  const client::Prediction answer = router->predict(request, {wire::encode_rows({&nothing, 1})});
  RETURN_IF_ERROR(answer.status);
  const client::PredictedPart& part = answer.parts.front();
  RETURN_IF_ERROR(part.status);
  return part.provenance;
}

json step_json(const Step& step, bool answers) {
  return {{"level", step.level},
          {"partition", step.partition.values()},
          {"wanted", step.entry.kind == wire::EntryKind::version ? entry_json(step.entry) : json(nullptr)},
          {"state", step.wanted},
          {"tag", step.tag.empty() ? json(nullptr) : json(step.tag)},
          {"rows", step.version.rows},
          {"metrics", embedded_json(step.version.metrics_json)},
          {"shards", step.shards},
          {"answers", answers}};
}

void print_for_people(const std::vector<Step>& steps, const Result<wire::Provenance>& answer) {
  Table table({"level", "node", "wanted version", "by tag", "rows", "held-out metrics", "shards", ""});
  for (const Step& step : steps) {
    std::string shards;
    for (const std::string& shard : step.shards) shards += (shards.empty() ? "" : " ") + shard;
    const bool has_version = step.entry.kind == wire::EntryKind::version;
    const bool answers = answer.ok() && answer->served == step.partition.values();
    table.add({step.level, partition_text(step.partition.values()), step.wanted, step.tag.empty() ? "-" : step.tag,
               has_version ? count_text(step.version.rows) : "-", metrics_text(step.version.metrics_json), shards,
               answers ? "<- answers" : ""});
  }
  print_line(table.text());
  if (answer.ok())
    print_line("answered by " + answer->level + " " + partition_text(answer->served) + ", reason " +
               std::string(wire::reason_name(answer->reason)) +
               (answer->shard.empty() ? ", if it was ready" : ", on shard " + answer->shard));
  else
    print_line("nothing answers: " + answer.status().text());
}

}  // namespace

Status run_explain(const ExplainOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
  ASSIGN_OR_RETURN(const ModelThen then, model_then(*registry, node.tenant, node.model, as_of));
  const wire::ModelRecord& model = then.record;
  if (node.partition.depth() > model.levels.size())
    return invalid_argument(node.text() + ": the model has " + std::to_string(model.levels.size()) + " levels");
  ASSIGN_OR_RETURN(const wire::ViewReply view, registry->call(wire::ViewRequest{}));

  const std::vector<std::string> tags = tags_of(model, options.tag);
  std::vector<Step> steps;
  for (std::size_t depth = node.partition.depth() + 1; depth-- > 0;) {
    const model::NodeName at{node.tenant, node.model, node.partition.ancestor(depth)};
    ASSIGN_OR_RETURN(Step step, explain_node(*registry, at, then, view.view, tags));
    steps.push_back(std::move(step));
  }
  const auto answer = options.as_of.empty() ? who_answers(shared, node, options.tag) : who_was_wanted(steps);
  const NodePlacement placement = explain_placement(view.view, node, static_cast<std::uint32_t>(model.levels.size()));
  if (!shared.json) {
    print_for_people(steps, answer);
    print_placement(placement);
    return Status();
  }
  auto list = json::array();
  for (const Step& step : steps)
    list.push_back(step_json(step, answer.ok() && answer->served == step.partition.values()));
  print_json({{"node", node.text()},
              {"levels", list},
              {"placement", placement_json(placement)},
              {"answer", answer.ok() ? provenance_json(*answer) : json(nullptr)},
              {"error", answer.ok() ? json(nullptr) : json(answer.status().text())}});
  return Status();
}

}  // namespace espalier::cli
