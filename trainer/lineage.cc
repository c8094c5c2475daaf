#include "trainer/lineage.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "trainer/profile.h"

namespace espalier::trainer {
namespace {

using nlohmann::json;

/// Names of files need not be UTF-8; records are.
std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json data_of(const SourceOptions& options, const Source& source, const model::Spec& spec, const TrainedTree& tree) {
  json data = {{"file", file_name(source.path)},
               {"fingerprint", source.fingerprint.hex()},
               {"file_rows", source.frame.rows()},
               {"rows", tree.rows}};
  if (!options.where.empty()) data["where"] = options.where;
  const auto of_tenant = std::ranges::find(source.tenants, tree.tenant, &TenantRows::tenant);
  if (of_tenant == source.tenants.end()) return data;
  for (const data::Column& column : source.frame.columns()) {
    const bool is_plain = column.field.type == model::FieldType::text && column.field.name != spec.target.column &&
                          std::ranges::find(spec.levels, column.field.name) == spec.levels.end();
    if (!is_plain) continue;
    const auto range = date_range(column, of_tenant->rows);
    if (range) data["times"][column.field.name] = {{"from", range->first}, {"to", range->second}};
  }
  return data;
}

json params_of(const model::Spec& spec) {
  return {{"family", "linear"},
          {"seed", spec.training.seed},
          {"holdout", spec.training.holdout},
          {"min_rows", spec.training.min_rows}};
}

json params_of(const model::Spec& spec, const TrainedTree& tree) {
  json params = params_of(spec);
  params["features"] = tree.features;
  params["kept_weights"] = tree.kept_share;
  for (std::size_t depth = 0; depth < tree.l2.size(); ++depth) params["l2"][level_name(spec, depth)] = tree.l2[depth];
  return params;
}

json seconds_of(const TrainedTree& tree, double read_seconds) {
  return {{"read", read_seconds},
          {"features", tree.seconds.features},
          {"choose", tree.seconds.choose},
          {"fit", tree.seconds.fit}};
}

json summary_of(const model::Spec& spec, const TrainedTree& tree) {
  return {{"rows", tree.rows},
          {"nodes", tree.nodes.size()},
          {"features", tree.features},
          {"l2", tree.l2},
          {"kept_weights", tree.kept_share},
          {"held_out", json::parse(tree.held_out.json(spec.task))},
          {"root_held_out", json::parse(tree.nodes[0].held_out.json(spec.task))}};
}

}  // namespace

Lineage lineage_of(const SourceOptions& options, const Source& source, const model::Spec& spec, const TrainedTree& tree,
                   double read_seconds, const Origin& origin) {
  json of_version = {{"data", data_of(options, source, spec, tree)},
                     {"params", params_of(spec, tree)},
                     {"seconds", seconds_of(tree, read_seconds)}};
  if (!origin.dataset.is_none()) of_version["data"]["dataset"] = origin.dataset.hex();
  if (!origin.run.is_nil()) of_version["run"] = origin.run.text();
  json of_release = summary_of(spec, tree);
  of_release.update(of_version);
  of_release["rows_without_target"] = source.rows_without_target;
  of_release["spec"] = spec.hash().hex();
  const std::vector<Metrics> by_depth = metrics_by_depth(tree);
  for (std::size_t depth = 0; depth < by_depth.size(); ++depth) {
    of_release["metrics_by_level"][level_name(spec, depth)] = json::parse(by_depth[depth].json(spec.task));
  }
  return {text_of(of_version), text_of(of_release)};
}

std::string tree_summary_json(const model::Spec& spec, const TrainedTree& tree) {
  return summary_of(spec, tree).dump();
}

std::string level_name(const model::Spec& spec, std::size_t depth) {
  return depth == 0 ? "global" : spec.levels[depth - 1];
}

std::string spec_params_json(const model::Spec& spec) { return params_of(spec).dump(); }

std::string params_json(const model::Spec& spec, const TrainedTree& tree) { return params_of(spec, tree).dump(); }

std::vector<Metrics> metrics_by_depth(const TrainedTree& tree) {
  std::vector<Metrics> sums(tree.l2.size());
  for (const TrainedNode& node : tree.nodes) sums[node.partition.depth()].add(node.held_out);
  return sums;
}

}  // namespace espalier::trainer
