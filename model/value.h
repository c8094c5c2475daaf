// What goes into a model and what comes out of it.
//
// Thread safety: values. A Value borrows its text from the message or file that it was read from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace espalier::model {

/// The numbers are in artefacts, records and messages: they never change.
enum class FieldType : std::uint8_t { number = 0, text = 1 };
enum class Task : std::uint8_t { regression = 0, binary = 1, multiclass = 2 };

std::string_view field_type_name(FieldType type);
std::string_view task_name(Task task);

/// One column of a model's input schema.
struct Field {
  std::string name;
  FieldType type = FieldType::number;
  bool operator==(const Field&) const = default;
};

/// One input of one row. Text is borrowed. Numbers are finite: NaN and infinities are refused before they get here.
struct Value {
  enum class Kind : std::uint8_t { missing, number, text };
  Kind kind = Kind::missing;
  double number = 0;
  std::string_view text;

  static Value of(double n) { return {Kind::number, n, {}}; }
  static Value of(std::string_view t) { return {Kind::text, 0, t}; }
};

/// The answer to one row. Reused from row to row: `scores` keeps its memory.
struct Output {
  /// regression: the prediction on the scale that the spec asks for. Otherwise: probability of `best`.
  double value = 0;
  /// binary and multiclass: index of the most probable class (the lowest index among equals).
  std::uint32_t best = 0;
  /// binary and multiclass: one probability a class, in the order of the artefact's classes; they add up to 1.
  /// regression: empty.
  std::vector<double> scores;
};

}  // namespace espalier::model
