#include "trainer/target.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "common/bytes.h"
#include "common/hash.h"

namespace espalier::trainer {
namespace {

constexpr std::size_t kMostClasses = 65536;
/// Beyond it a 32-bit parameter could not hold what was found.
constexpr double kLargestTarget = 1e30;

std::string place(const Source& source, std::uint32_t row, const std::string& column) {
  return source.path + ":" + std::to_string(source.frame.line(row)) + ": column " + column + ": ";
}

double transformed(model::TargetTransform transform, double x) {
  switch (transform) {
    case model::TargetTransform::identity: return x;
    case model::TargetTransform::log: return std::log(x);
    case model::TargetTransform::log1p: return std::log1p(x);
    case model::TargetTransform::sqrt: return std::sqrt(x);
  }
  return x;
}

Status read_numbers(const model::Spec& spec, const Source& source, const std::vector<std::uint32_t>& rows,
                    std::size_t column, Problem& problem) {
  for (const std::uint32_t row : rows) {
    const double raw = source.frame.columns()[column].numbers[row];
    const double target = transformed(spec.target.transform, raw);
    if (!std::isfinite(target)) {
      return invalid_argument(place(source, row, spec.target.column) + "the target's function is not defined there");
    }
    if (std::fabs(raw) > kLargestTarget) {
      return invalid_argument(place(source, row, spec.target.column) + "the target is beyond 1e30");
    }
    problem.target.push_back(target);
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> read_target(const model::Spec& spec, const Source& source,
                                             const std::vector<std::uint32_t>& rows, Problem& problem) {
  problem.task = spec.task;
  const std::size_t column = *source.frame.find(target_field(spec));
  std::vector<std::string> names;
  if (spec.task == model::Task::regression) {
    RETURN_IF_ERROR(read_numbers(spec, source, rows, column, problem));
    return names;
  }
  const auto& texts = source.frame.columns()[column].texts;
  std::unordered_map<std::string_view, std::uint32_t> classes;
  for (const std::uint32_t row : rows) {
    if (!classes.emplace(texts[row], 0).second) continue;
    if (!is_utf8(texts[row])) return invalid_argument(place(source, row, spec.target.column) + "not UTF-8");
    if (spec.task == model::Task::binary && classes.size() > 2) {
      return invalid_argument(place(source, row, spec.target.column) + "a third class, '" + std::string(texts[row]) +
                              "', where the task is binary");
    }
    if (classes.size() > kMostClasses) {
      return invalid_argument(place(source, row, spec.target.column) + "more than " + std::to_string(kMostClasses) +
                              " classes");
    }
  }
  for (const auto& [name, number] : classes) names.emplace_back(name);
  if (names.size() == 1) names.emplace_back(names[0] == "(other)" ? "(another)" : "(other)");
  std::ranges::sort(names);
  for (std::uint32_t i = 0; i < names.size(); ++i) {
    if (const auto at = classes.find(names[i]); at != classes.end()) at->second = i;
  }
  problem.classes = static_cast<std::uint32_t>(names.size());
  for (const std::uint32_t row : rows) problem.label.push_back(classes[texts[row]]);
  return names;
}

std::vector<bool> choose_held_out(const model::Spec& spec, const Source& source, const std::vector<std::uint32_t>& rows,
                                  const std::vector<model::Field>& inputs) {
  std::vector<std::size_t> columns;
  for (const model::Field& field : inputs) columns.push_back(*source.frame.find(field));
  for (const std::string& level : spec.levels) columns.push_back(*source.frame.find({level, model::FieldType::text}));
  columns.push_back(*source.frame.find(target_field(spec)));
  std::vector<bool> held_out;
  held_out.reserve(rows.size());
  std::string said;
  for (const std::uint32_t row : rows) {
    said.clear();
    for (const std::size_t column : columns) {
      const model::Value value = source.frame.value(row, column);
      append(said, value.number);
      append(said, static_cast<std::uint64_t>(value.text.size()));
      said += value.text;
    }
    const double place = static_cast<double>(xxh3_64(said, spec.training.seed) >> 11) * 0x1p-53;
    held_out.push_back(place < spec.training.holdout);
  }
  return held_out;
}

}  // namespace espalier::trainer
