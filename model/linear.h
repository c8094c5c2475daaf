// The parameters and bias sections of an artefact: a linear model scored where it lies (docs/artefact-format.md,
// "Parameters").
//
// Thread safety: LinearModel is immutable. Ownership: it borrows both sections, which must stay mapped while it lives.
// Errors: corrupt, naming the section and what does not hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/artefact.h"

namespace espalier::model {

/// An output's number takes one byte up to this many outputs, two above.
inline constexpr std::uint32_t kMaxByteOutputs = 256;

class LinearModel {
 public:
  LinearModel() = default;

  /// Checks sizes, offsets, output numbers and that every float is finite, in time linear in the bytes.
  static Result<LinearModel> open(WeightFormat format, std::uint32_t features, std::uint32_t outputs,
                                  std::string_view parameters, std::string_view bias);

  /// Writes bias + sum of value x weight for each output. REQUIRES: every index of `row` < features.
  void score(const FeatureVector& row, std::vector<double>& scores) const;

  std::uint64_t weight_count() const { return count_; }
  /// Calls `visit` for each stored weight, by ascending feature, then output.
  void for_each_weight(
      const std::function<void(std::uint32_t feature, std::uint32_t output, double weight)>& visit) const;

 private:
  Status check_sparse(std::string_view parameters);
  Status check_rows() const;
  template <class Index, class Weight>
  void add_sparse(const FeatureVector& row, std::vector<double>& scores) const;
  std::uint32_t row_begin(std::uint32_t feature) const;
  std::uint32_t output_at(std::uint32_t place) const;
  double weight_at(std::uint32_t place) const;

  WeightFormat format_ = WeightFormat::dense_f32;
  std::uint32_t features_ = 0;
  std::uint32_t outputs_ = 0;
  std::uint64_t count_ = 0;
  // Within the sections.
  const char* bias_ = nullptr;     ///< f32 x outputs
  const char* rows_ = nullptr;     ///< u32 x (features + 1); sparse only
  const char* scales_ = nullptr;   ///< f32 x outputs; sparse_i8 only
  const char* index_ = nullptr;    ///< u8 or u16 x count; sparse only
  const char* weights_ = nullptr;  ///< f32 or i8 x count
};

/// The bytes of a parameters section. REQUIRES: sizes that fit, finite weights.
std::string encode_parameters(WeightFormat format, const LinearParameters& parameters);

}  // namespace espalier::model
