#include "model/spec.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "common/json_depth.h"
#include "model/feature_parse.h"
#include "model/ids.h"
#include "model/spec_toml.h"

namespace espalier::model {
namespace {

constexpr std::size_t kMaxSpecBytes = 1u << 20;
constexpr std::size_t kMaxColumnBytes = 256;
constexpr std::size_t kMaxStrengths = 32;
constexpr std::uint32_t kMaxProbes = 64;
constexpr std::size_t kMaxSlices = 4;

const std::vector<std::pair<std::string_view, TargetTransform>> kTransforms = {
    {"log", TargetTransform::log}, {"log1p", TargetTransform::log1p}, {"sqrt", TargetTransform::sqrt}};

std::string type_text(const Json& value) {
  if (value.is_string()) return "text";
  if (value.is_number()) return "a number";
  if (value.is_boolean()) return "true or false";
  if (value.is_array()) return "a list";
  return value.is_object() ? "a table" : "nothing";
}

/// Reads the one tree that TOML and JSON give.
class Reader {
 public:
  Reader(const Json& root, const Places& places) : root_(root), places_(places) {}

  Result<Spec> run() {
    RETURN_IF_ERROR(known_keys(root_, "", {"model", "features", "training", "evaluation"}));
    RETURN_IF_ERROR(read_model());
    RETURN_IF_ERROR(read_features());
    RETURN_IF_ERROR(read_training());
    RETURN_IF_ERROR(read_evaluation());
    return std::move(spec_);
  }

 private:
  Status known_keys(const Json& table, const std::string& path, const std::vector<std::string_view>& known) const {
    if (!table.is_object()) return expected(path.empty() ? "the spec" : path, "a table", table);
    for (const auto& [key, value] : table.items()) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      std::string list;
      for (const auto& name : known) list += (list.empty() ? "" : ", ") + std::string(name);
      return places_.wrong(path.empty() ? key : path + "." + key,
                           "unknown key" + suggestion(key, known) + " (keys here: " + list + ")");
    }
    return {};
  }

  Status expected(const std::string& path, const std::string& type, const Json& got) const {
    return places_.wrong(path, "expected " + type + ", got " + type_text(got));
  }

  /// The table's value, or nullptr.
  static const Json* find(const Json& table, const char* key) {
    const auto found = table.find(key);
    return found == table.end() ? nullptr : &*found;
  }

  Result<std::string> text(const Json& table, const std::string& path, const char* key, const char* otherwise) const {
    const Json* value = find(table, key);
    if (value == nullptr) {
      if (otherwise != nullptr) return std::string(otherwise);
      return places_.wrong(path, std::string("\"") + key + "\" is missing");
    }
    if (!value->is_string()) return expected(path + "." + key, "text", *value);
    return value->get<std::string>();
  }

  Result<double> number(const std::string& path, const Json& value) const {
    if (!value.is_number()) return expected(path, "a number", value);
    const double x = value.get<double>();
    if (!std::isfinite(x)) return places_.wrong(path, "must be finite");
    return x;
  }

  Result<std::uint64_t> whole(const Json& table, const char* key, std::uint64_t otherwise, std::uint64_t least,
                              std::uint64_t most) const {
    const Json* value = find(table, key);
    if (value == nullptr) return otherwise;
    const std::string path = std::string("training.") + key;
    if (!value->is_number_integer()) return expected(path, "a whole number", *value);
    const bool negative = !value->is_number_unsigned() && value->get<std::int64_t>() < 0;
    if (negative || value->get<std::uint64_t>() < least || value->get<std::uint64_t>() > most) {
      return places_.wrong(path, "must be from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value->get<std::uint64_t>();
  }

  Status check_column(const std::string& path, const std::string& name) const {
    if (name.empty()) return places_.wrong(path, "a column's name is empty");
    if (name.size() > kMaxColumnBytes) return places_.wrong(path, "a column's name is longer than 256 bytes");
    const bool control =
        std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (control) return places_.wrong(path, "a name holds a control character");
    return {};
  }

  Status read_model() {
    const Json* model = find(root_, "model");
    if (model == nullptr) return places_.wrong("model", "the table [model] is missing");
    RETURN_IF_ERROR(known_keys(*model, "model", {"name", "task", "target", "scale", "levels"}));
    ASSIGN_OR_RETURN(spec_.model, text(*model, "model", "name", nullptr));
    if (Status status = check_name("name", spec_.model); !status.ok())
      return places_.wrong("model.name", status.message());
    ASSIGN_OR_RETURN(const std::string task, text(*model, "model", "task", nullptr));
    if (task == "regression") {
      spec_.task = Task::regression;
    } else if (task == "binary") {
      spec_.task = Task::binary;
    } else if (task == "multiclass") {
      spec_.task = Task::multiclass;
    } else {
      return places_.wrong("model.task", "\"" + task + "\" is none of regression, binary, multiclass" +
                                             suggestion(task, {"regression", "binary", "multiclass"}));
    }
    ASSIGN_OR_RETURN(const std::string target, text(*model, "model", "target", nullptr));
    RETURN_IF_ERROR(read_target(target));
    ASSIGN_OR_RETURN(const std::string scale, text(*model, "model", "scale", "original"));
    if (scale != "original" && scale != "transformed") {
      return places_.wrong("model.scale", "\"" + scale + "\" is neither original nor transformed");
    }
    if (scale == "transformed" && spec_.task != Task::regression) {
      return places_.wrong("model.scale", "only a regression's target has a scale");
    }
    spec_.target.original_scale = scale == "original";
    return read_levels(*model);
  }

  Status read_target(const std::string& target) {
    const std::string path = "model.target";
    auto tree = parse_expression(target);
    // A column whose name is no word may stand here as it is.
    if (!tree.ok() && target.find_first_of("()`") == std::string::npos) {
      spec_.target.column = target;
      return check_column(path, target);
    }
    if (!tree.ok()) return places_.wrong(path, tree.status().message());
    const Syntax* column = &*tree;
    if (tree->kind == Syntax::Kind::call) {
      const auto found = std::find_if(kTransforms.begin(), kTransforms.end(),
                                      [&](const auto& each) { return each.first == tree->name; });
      if (found == kTransforms.end())
        return places_.wrong(path, "a target is a column or log(), log1p() or sqrt() of one");
      spec_.target.transform = found->second;
      column = &tree->children[0];
    }
    if (column->kind != Syntax::Kind::name) {
      if (tree->kind == Syntax::Kind::call || target.find_first_of("()`") != std::string::npos) {
        return places_.wrong(path, "a target is a column or log(), log1p() or sqrt() of one");
      }
      spec_.target.column = target;
    } else {
      spec_.target.column = column->name;
    }
    if (spec_.target.transform != TargetTransform::identity && spec_.task != Task::regression) {
      return places_.wrong(path, "only a regression's target can be transformed");
    }
    return check_column(path, spec_.target.column);
  }

  Status read_levels(const Json& model) {
    const Json* levels = find(model, "levels");
    if (levels == nullptr) return {};
    if (!levels->is_array()) return expected("model.levels", "a list of columns", *levels);
    if (levels->size() > kMaxLevels) {
      return places_.wrong("model.levels", std::to_string(levels->size()) + " levels, at most 8 are allowed");
    }
    for (const Json& level : *levels) {
      const std::string path = "model.levels[" + std::to_string(spec_.levels.size()) + "]";
      if (!level.is_string()) return expected(path, "text", level);
      const auto name = level.get<std::string>();
      RETURN_IF_ERROR(check_column(path, name));
      if (name == spec_.target.column) return places_.wrong(path, "\"" + name + "\" is the target too");
      if (std::find(spec_.levels.begin(), spec_.levels.end(), name) != spec_.levels.end()) {
        return places_.wrong(path, "\"" + name + "\" stands twice");
      }
      spec_.levels.push_back(name);
    }
    return {};
  }

  Status read_features() {
    const Json* features = find(root_, "features");
    if (features == nullptr) return places_.wrong("features", "the table [features] is missing");
    if (!features->is_object()) return expected("features", "a table", *features);
    if (features->empty()) return places_.wrong("features", "there is none");
    for (const auto& [name, expression] : features->items()) {
      const std::string path = "features." + name;
      RETURN_IF_ERROR(check_column(path, name));
      if (!expression.is_string()) return expected(path, "an expression as text", expression);
      spec_.features.push_back({name, expression.get<std::string>()});
      if (auto alone = FeatureSet::parse({spec_.features.back()}); !alone.ok())
        return places_.wrong(path, alone.status());
    }
    auto all = FeatureSet::parse(spec_.features);
    if (!all.ok()) return places_.wrong("features", all.status());
    for (const Field& input : all->inputs()) {
      if (input.name == spec_.target.column) {
        return places_.wrong("features", "\"" + input.name + "\" is the target; a feature can't read it");
      }
    }
    return {};
  }

  Status read_training() {
    const Json* training = find(root_, "training");
    if (training == nullptr) return {};
    RETURN_IF_ERROR(
        known_keys(*training, "training", {"seed", "holdout", "min_rows", "l2", "compression_tolerance", "probes"}));
    TrainingSpec& to = spec_.training;
    constexpr std::uint64_t kLargest = (1ull << 63) - 1;  // of TOML's integers
    ASSIGN_OR_RETURN(to.seed, whole(*training, "seed", to.seed, 0, kLargest));
    ASSIGN_OR_RETURN(to.min_rows, whole(*training, "min_rows", to.min_rows, 1, kLargest));
    ASSIGN_OR_RETURN(const std::uint64_t probes, whole(*training, "probes", to.probes, 0, kMaxProbes));
    to.probes = static_cast<std::uint32_t>(probes);
    if (const Json* holdout = find(*training, "holdout")) {
      ASSIGN_OR_RETURN(to.holdout, number("training.holdout", *holdout));
      if (!(to.holdout > 0 && to.holdout < 1)) return places_.wrong("training.holdout", "must be above 0 and below 1");
    }
    if (const Json* tolerance = find(*training, "compression_tolerance")) {
      ASSIGN_OR_RETURN(to.compression_tolerance, number("training.compression_tolerance", *tolerance));
      if (!(to.compression_tolerance >= 0 && to.compression_tolerance < 1)) {
        return places_.wrong("training.compression_tolerance", "must be at least 0 and below 1");
      }
    }
    const Json* l2 = find(*training, "l2");
    return l2 == nullptr ? Status() : read_strengths(*l2);
  }

  Status read_strengths(const Json& l2) {
    const Json list = l2.is_array() ? l2 : Json::array({l2});
    if (list.empty() || list.size() > kMaxStrengths) return places_.wrong("training.l2", "must hold 1 to 32 numbers");
    spec_.training.l2.clear();
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string path = l2.is_array() ? "training.l2[" + std::to_string(i) + "]" : "training.l2";
      ASSIGN_OR_RETURN(const double strength, number(path, list[i]));
      if (strength < 0) return places_.wrong(path, "must not be negative");
      spec_.training.l2.push_back(strength + 0.0);
    }
    return {};
  }

  Status read_evaluation() {
    const Json* evaluation = find(root_, "evaluation");
    if (evaluation == nullptr) return {};
    RETURN_IF_ERROR(known_keys(*evaluation, "evaluation", {"slices"}));
    const Json* slices = find(*evaluation, "slices");
    if (slices == nullptr) return {};
    if (!slices->is_array()) return expected("evaluation.slices", "a list of columns", *slices);
    if (slices->size() > kMaxSlices) return places_.wrong("evaluation.slices", "at most 4 columns");
    std::vector<std::string>& to = spec_.evaluation.slices;
    for (std::size_t i = 0; i < slices->size(); ++i) {
      const std::string path = "evaluation.slices[" + std::to_string(i) + "]";
      if (!(*slices)[i].is_string()) return expected(path, "text", (*slices)[i]);
      const auto column = (*slices)[i].get<std::string>();
      RETURN_IF_ERROR(check_column(path, column));
      if (std::ranges::find(to, column) != to.end()) return places_.wrong(path, "\"" + column + "\" stands twice");
      to.push_back(column);
    }
    return {};
  }

  const Json& root_;
  const Places& places_;
  Spec spec_;
};

}  // namespace

Result<Spec> Spec::parse_toml(std::string_view text, std::string_view source) {
  Places places(source);
  if (text.size() > kMaxSpecBytes) return invalid_argument(places.source() + ": larger than 1 MB");
  ASSIGN_OR_RETURN(const Json root, read_toml(text, places));
  return Reader(root, places).run();
}

Result<Spec> Spec::parse_json(std::string_view text) {
  const Places places("spec");
  if (text.size() > kMaxSpecBytes * 4) return invalid_argument("spec: larger than 4 MB");
  if (json_depth(text) > kMaxJsonDepth) return invalid_argument("spec: nested too deep");
  Json root;
  try {
    root = Json::parse(text);
  } catch (const Json::exception& error) {
    return invalid_argument(std::string("spec: ") + error.what());
  }
  return Reader(root, places).run();
}

std::string Spec::json() const {
  std::string expression = target.column;
  for (const auto& [name, transform] : kTransforms) {
    if (transform == target.transform) expression = std::string(name) + "(`" + target.column + "`)";
  }
  Json root;
  root["model"] = {{"name", model},
                   {"task", std::string(task_name(task))},
                   {"target", expression},
                   {"scale", target.original_scale ? "original" : "transformed"},
                   {"levels", levels}};
  root["features"] = Json::object();
  for (const FeatureDefinition& feature : features) root["features"][feature.name] = feature.expression;
  root["training"] = {{"seed", training.seed},
                      {"holdout", training.holdout},
                      {"min_rows", training.min_rows},
                      {"l2", training.l2},
                      {"compression_tolerance", training.compression_tolerance},
                      {"probes", training.probes}};
  // Left out where there are none: specs of before have their hash.
  if (!evaluation.slices.empty()) root["evaluation"] = {{"slices", evaluation.slices}};
  return root.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Hash256 Spec::hash() const { return blake2b_256(json()); }

}  // namespace espalier::model
