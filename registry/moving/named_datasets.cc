#include "registry/moving/named_datasets.h"

#include <nlohmann/json.hpp>

#include "common/json_depth.h"

namespace espalier::registry {

void NamedDatasets::see_lineage(std::string_view lineage_json) {
  if (lineage_json == last_ || lineage_json.find("\"dataset\"") == std::string_view::npos) return;
  last_ = lineage_json;
  if (json_depth(lineage_json) > kMaxJsonDepth) return;
  const auto lineage = nlohmann::json::parse(lineage_json, nullptr, false);
  if (!lineage.is_object() || !lineage.contains("data") || !lineage["data"].is_object()) return;
  const auto dataset = lineage["data"].find("dataset");
  if (dataset == lineage["data"].end() || !dataset->is_string()) return;
  const auto hash = Hash256::parse(dataset->get<std::string>());
  if (hash.ok()) see(*hash);
}

}  // namespace espalier::registry
