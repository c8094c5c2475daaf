#include "data/where.h"

#include <algorithm>
#include <cassert>

#include "data/where_parser.h"

namespace espalier::data {
namespace {

template <class T>
bool compare(auto comparison, const T& left, const T& right) {
  using C = decltype(comparison);
  switch (comparison) {
    case C::equal: return left == right;
    case C::not_equal: return !(left == right);
    case C::less: return left < right;
    case C::less_equal: return left <= right;
    case C::greater: return left > right;
    case C::greater_equal: return left >= right;
  }
  return false;
}

}  // namespace

Result<Where> Where::parse(std::string_view text) { return WhereParser(text).parse(); }

Status Where::check_columns(const std::vector<std::string>& columns) const {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (std::ranges::find(columns, fields_[i].name) != columns.end()) continue;
    std::string names;
    for (const std::string& name : columns) names += (names.empty() ? "" : ", ") + name;
    return where_error(text_, places_[i], "no column '" + fields_[i].name + "'; there are " + names);
  }
  return {};
}

BoundWhere::BoundWhere(const Where& where, const Frame& frame) : where_(where), frame_(frame) {
  for (const model::Field& field : where.fields_) {
    const auto column = frame.find(field);
    assert(column && "the frame has the filter's fields");
    columns_.push_back(*column);
  }
}

std::vector<std::uint32_t> BoundWhere::rows() const {
  std::vector<std::uint32_t> passing;
  for (std::size_t row = 0; row < frame_.rows(); ++row) {
    if (matches(row)) passing.push_back(static_cast<std::uint32_t>(row));
  }
  return passing;
}

bool BoundWhere::matches(const Where::Node& node, std::size_t row) const {
  const auto passes = [&](std::size_t operand) { return matches(where_.nodes_[operand], row); };
  switch (node.kind) {
    case Where::Kind::all_of: return std::ranges::all_of(node.operands, passes);
    case Where::Kind::any_of: return std::ranges::any_of(node.operands, passes);
    case Where::Kind::negation: return !passes(node.operands[0]);
    case Where::Kind::comparison:
    case Where::Kind::membership: break;
  }
  const Column& column = frame_.columns()[columns_[node.field]];
  const bool is_number = column.field.type == model::FieldType::number;
  if (node.kind == Where::Kind::comparison) {
    // Comparisons with NaN, a missing number, are false, but for !=.
    if (is_number) return compare(node.comparison, column.numbers[row], node.numbers[0]);
    return compare(node.comparison, column.texts[row], std::string_view(node.texts[0]));
  }
  if (is_number) return std::ranges::find(node.numbers, column.numbers[row]) != node.numbers.end();
  return std::ranges::find(node.texts, column.texts[row]) != node.texts.end();
}

}  // namespace espalier::data
