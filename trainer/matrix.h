// The rows of a training run as the feature program sees them: a sparse matrix by rows, and what is to be predicted.
//
// Thread safety: read by any number of threads once made. Ownership: values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "common/thread_pool.h"
#include "model/artefact.h"
#include "model/features.h"

namespace espalier::trainer {

/// Rows x features; row i has index[k], value[k] for k in [start[i], start[i + 1]), indices ascending.
struct SparseRows {
  std::uint32_t features = 0;
  std::vector<std::uint64_t> start{0};
  std::vector<std::uint32_t> index;
  std::vector<float> value;

  std::size_t rows() const { return start.size() - 1; }
  std::span<const std::uint32_t> indices(std::size_t row) const {
    return {index.data() + start[row], static_cast<std::size_t>(start[row + 1] - start[row])};
  }
  std::span<const float> values(std::size_t row) const {
    return {value.data() + start[row], static_cast<std::size_t>(start[row + 1] - start[row])};
  }
};

/// What a tree of nodes is trained from.
struct Problem {
  model::Task task = model::Task::regression;
  SparseRows x;
  std::vector<double> target;        ///< regression: one a row, as it is fitted
  std::vector<std::uint32_t> label;  ///< otherwise: class of each row
  std::uint32_t classes = 0;         ///< binary: 2
  /// Numbers that a node's parameters give for a row: 1, or one a class for multiclass.
  std::uint32_t outputs() const { return task == model::Task::multiclass ? classes : 1; }
};

/// Runs the program over all rows. The same matrix whatever the number of threads.
SparseRows run_program(const model::Program& program, const model::Rows& rows, ThreadPool& pool);

/// scores[o] = bias[o] + sum of weights, for each output. REQUIRES: scores.size() == parameters.outputs.
void score(const model::LinearParameters& parameters, const SparseRows& x, std::size_t row, std::span<double> scores);

}  // namespace espalier::trainer
