// Slices: the values of a column by which held-out metrics are told beside those of all rows (docs/spec.md).
//
// Thread safety: values and pure functions. Ownership: texts are borrowed from the source's frame.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/spec.h"
#include "trainer/source.h"

namespace espalier::trainer {

inline constexpr std::size_t kMostSliceValues = 50;  ///< of a column: more are no slices
inline constexpr std::size_t kLongestSliceValue = 64;

struct Slice {
  std::string column;
  std::vector<std::string_view> values;  ///< ascending
  std::vector<std::uint32_t> of_row;     ///< by number of the tenant's row: place in `values`; their number: missing
};

/// invalid_argument: a column with more than 50 values, or a long one, names file and column.
Result<std::vector<Slice>> read_slices(const model::Spec& spec, const Source& source,
                                       const std::vector<std::uint32_t>& rows);

/// The rows of each value, in the order of `values`.
std::vector<std::vector<std::uint32_t>> by_value(const Slice& slice, std::span<const std::uint32_t> rows);

}  // namespace espalier::trainer
