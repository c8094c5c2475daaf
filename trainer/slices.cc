#include "trainer/slices.h"

#include <algorithm>
#include <set>

namespace espalier::trainer {

Result<std::vector<Slice>> read_slices(const model::Spec& spec, const Source& source,
                                       const std::vector<std::uint32_t>& rows) {
  std::vector<Slice> slices;
  for (const std::string& column : spec.evaluation.slices) {
    const auto& texts = source.frame.columns()[*source.frame.find({column, model::FieldType::text})].texts;
    const std::string place = source.path + ": evaluation.slices: column " + column;
    std::set<std::string_view> values;
    for (const std::uint32_t row : rows) {
      if (!texts[row].empty()) values.insert(texts[row]);
      if (values.size() <= kMostSliceValues) continue;
      return invalid_argument(place + " has more than " + std::to_string(kMostSliceValues) + " values");
    }
    for (const std::string_view value : values) {
      if (value.size() <= kLongestSliceValue) continue;
      return invalid_argument(place + " has a value of " + std::to_string(value.size()) + " bytes, at most " +
                              std::to_string(kLongestSliceValue) + " are allowed");
    }
    Slice slice{column, {values.begin(), values.end()}, {}};
    slice.of_row.reserve(rows.size());
    for (const std::uint32_t row : rows) {
      const auto at = texts[row].empty() ? slice.values.end() : std::ranges::lower_bound(slice.values, texts[row]);
      slice.of_row.push_back(static_cast<std::uint32_t>(at - slice.values.begin()));
    }
    slices.push_back(std::move(slice));
  }
  return slices;
}

std::vector<std::vector<std::uint32_t>> by_value(const Slice& slice, std::span<const std::uint32_t> rows) {
  std::vector<std::vector<std::uint32_t>> parts(slice.values.size());
  for (const std::uint32_t row : rows) {
    if (slice.of_row[row] < parts.size()) parts[slice.of_row[row]].push_back(row);
  }
  return parts;
}

}  // namespace espalier::trainer
