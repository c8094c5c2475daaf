#include "registry/records/params.h"

#include <nlohmann/json.hpp>

#include "common/json_depth.h"

namespace espalier::registry {
namespace {

using nlohmann::json;
using Leaves = std::map<std::string, const json*>;

/// What stands at the top comes before what stands within, as where searches look for `a.b`.
void add_leaves(const json& object, const std::string& prefix, Leaves& leaves) {
  for (const auto& [name, value] : object.items()) {
    if (!value.is_object()) leaves.emplace(prefix + name, &value);
  }
  for (const auto& [name, value] : object.items()) {
    if (!value.is_object()) continue;
    const std::string inner = prefix + name + ".";
    if (inner.size() > kMaxParamNameBytes) {
      leaves.emplace(inner, &value);  // refused for its length, and as deep as it goes
    } else {
      add_leaves(value, inner, leaves);
    }
  }
}

Leaves leaves_of(const json& object) {
  Leaves leaves;
  add_leaves(object, "", leaves);
  return leaves;
}

Result<json> parsed(std::string_view text) {
  if (text.empty()) return json::object();
  if (text.size() > kMaxParamsBytes) {
    return invalid_argument("params_json: " + std::to_string(text.size()) + " bytes, at most " +
                            std::to_string(kMaxParamsBytes) + " are allowed");
  }
  if (json_depth(text) > kMaxJsonDepth) return invalid_argument("params_json: nested too deep");
  json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return invalid_argument("params_json: not a JSON object");
  return document;
}

Status check_leaves(const Leaves& leaves) {
  if (leaves.size() > kMaxParams) {
    return invalid_argument("params_json: " + std::to_string(leaves.size()) + " parameters, at most " +
                            std::to_string(kMaxParams) + " are allowed");
  }
  for (const auto& [name, value] : leaves) {
    if (name.empty()) return invalid_argument("params_json: a name is empty");
    if (name.size() > kMaxParamNameBytes) {
      return invalid_argument("params_json: a name of " + std::to_string(name.size()) + " bytes, at most " +
                              std::to_string(kMaxParamNameBytes) + " are allowed");
    }
    if (value->is_null()) return invalid_argument("params_json: " + name + " is null");
  }
  return {};
}

}  // namespace

FlatParams flat_params(std::string_view params_json) {
  FlatParams flat;
  const auto document = parsed(params_json);
  if (!document.ok()) return flat;
  for (const auto& [name, value] : leaves_of(*document)) {
    if (value->is_number()) flat.emplace(name, value->get<double>());
    if (value->is_string()) flat.emplace(name, value->get<std::string>());
  }
  return flat;
}

Result<std::string> with_params(std::string_view params, std::string_view more) {
  ASSIGN_OR_RETURN(json all, parsed(params));
  ASSIGN_OR_RETURN(const json added, parsed(more));
  const Leaves before = leaves_of(all);
  const Leaves now = leaves_of(added);
  RETURN_IF_ERROR(check_leaves(now));
  for (const auto& [name, value] : now) {
    const auto known = before.find(name);
    if (known != before.end() && *known->second != *value) {
      return failed_precondition("params_json: " + name + " is " + known->second->dump() + " already");
    }
  }
  all.merge_patch(added);
  const Leaves after = leaves_of(all);
  RETURN_IF_ERROR(check_leaves(after));
  for (const auto& [name, value] : before) {
    const auto kept = after.find(name);
    if (kept == after.end() || *kept->second != *value) {
      return failed_precondition("params_json: " + name + " would no longer be what it is");
    }
  }
  std::string text = all.empty() ? std::string() : all.dump();
  if (text.size() > kMaxParamsBytes) return parsed(text).status();
  return text;
}

}  // namespace espalier::registry
