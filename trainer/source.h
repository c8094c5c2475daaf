// Training data: a file's rows that pass the filter, sorted out by tenant.
//
// Thread safety: values; read by any thread once made. Ownership: text is borrowed from the frame.
// Errors: invalid_argument naming file, line and column.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "data/frame.h"
#include "model/features.h"
#include "model/spec.h"

namespace espalier::trainer {

struct SourceOptions {
  std::string path;
  std::string where;          ///< empty: all rows
  std::string tenant;         ///< of all rows; empty: each row's own
  std::string tenant_column;  ///< whose value, in lower case, is the row's tenant
};

struct TenantRows {
  std::string tenant;
  std::vector<std::uint32_t> rows;  ///< of the frame, ascending
};

struct Source {
  std::string path;
  data::Frame frame;
  Hash256 fingerprint;                    ///< of the file's bytes
  std::uint64_t rows_passed = 0;          ///< the filter
  std::uint64_t rows_without_target = 0;  ///< among those: left out
  std::vector<TenantRows> tenants;        ///< sorted by tenant
};

/// The column of a spec's target: a number for regression, else text.
model::Field target_field(const model::Spec& spec);

Result<Source> read_source(const SourceOptions& options, const model::Spec& spec,
                           const std::vector<model::Field>& inputs);

/// Some rows of a frame as inputs of a feature program.
class FrameRows final : public model::Rows {
 public:
  /// REQUIRES: the frame has the fields.
  FrameRows(const data::Frame& frame, const std::vector<std::uint32_t>& rows, const std::vector<model::Field>& fields);
  std::size_t count() const override { return rows_.size(); }
  void read(std::size_t row, std::span<model::Value> out) const override;

 private:
  const data::Frame& frame_;
  const std::vector<std::uint32_t>& rows_;
  std::vector<std::size_t> columns_;
};

}  // namespace espalier::trainer
