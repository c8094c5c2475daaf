// Artefact::describe_json(): what `espalier inspect` shows.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <queue>

#include "model/artefact.h"
#include "model/artefact_view.h"

namespace espalier::model {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kLargestShown = 20;

struct NamedWeight {
  std::uint32_t feature;
  std::uint32_t output;
  double weight;
};

/// Larger magnitude first, then the earlier place.
bool goes_before(const NamedWeight& a, const NamedWeight& b) {
  if (std::fabs(a.weight) != std::fabs(b.weight)) return std::fabs(a.weight) > std::fabs(b.weight);
  return std::pair(a.feature, a.output) < std::pair(b.feature, b.output);
}

std::vector<NamedWeight> largest_weights(const LinearModel& linear) {
  std::priority_queue<NamedWeight, std::vector<NamedWeight>, decltype(&goes_before)> largest(&goes_before);
  linear.for_each_weight([&largest](std::uint32_t feature, std::uint32_t output, double weight) {
    const NamedWeight next{feature, output, weight};
    if (largest.size() == kLargestShown && !goes_before(next, largest.top())) return;
    largest.push(next);
    if (largest.size() > kLargestShown) largest.pop();
  });
  std::vector<NamedWeight> result;
  for (; !largest.empty(); largest.pop()) result.push_back(largest.top());
  std::ranges::reverse(result);
  return result;
}

std::string_view transform_name(TargetTransform transform) {
  switch (transform) {
    case TargetTransform::identity: return "identity";
    case TargetTransform::log: return "log";
    case TargetTransform::log1p: return "log1p";
    case TargetTransform::sqrt: return "sqrt";
  }
  return "unknown";
}

std::string_view format_name(WeightFormat format) {
  switch (format) {
    case WeightFormat::dense_f32: return "dense_f32";
    case WeightFormat::sparse_f32: return "sparse_f32";
    case WeightFormat::sparse_i8: return "sparse_i8";
  }
  return "unknown";
}

}  // namespace

std::string Artefact::describe_json() const {
  OrderedJson json;
  json["hash"] = blake2b_256(layout_->bytes).hex();
  json["bytes"] = size();
  json["task"] = task_name(task());
  json["base"] = base().is_none() ? OrderedJson() : OrderedJson(base().hex());
  if (task() == Task::regression) {
    json["transform"] = transform_name(transform());
    json["scale"] = original_scale() ? "original" : "transformed";
  }
  json["classes"] = classes();
  json["inputs"] = OrderedJson::array();
  for (const Field& field : program().inputs()) {
    json["inputs"].push_back({{"name", field.name}, {"type", field_type_name(field.type)}});
  }
  json["features"] = program().feature_count();
  json["outputs"] = layout_->header.outputs;
  json["weight_format"] = format_name(weight_format());
  json["weights"] = weight_count();
  json["probes"] = probe_count();
  json["largest_weights"] = OrderedJson::array();
  for (const NamedWeight& named : largest_weights(layout_->linear)) {
    OrderedJson entry{{"feature", program().feature_name(named.feature)}, {"weight", named.weight}};
    if (task() == Task::multiclass) entry["class"] = classes()[named.output].substr(0, 256);
    json["largest_weights"].push_back(std::move(entry));
  }
  // A feature's name may hold any bytes of the training data.
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace espalier::model
