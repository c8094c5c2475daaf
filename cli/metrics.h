// How good predictions were, added up row by row.
//
// Thread safety: values; one thread adds. Nothing here fails: what no row defines is left out of the metrics.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/value.h"

namespace espalier::cli {

/// A metric's name and value, in the order in which they are printed.
using Metrics = std::vector<std::pair<std::string, double>>;

/// rmse, mae, r2. r2 is left out where the truth does not vary.
class RegressionScore {
 public:
  void add(double truth, double predicted);
  std::uint64_t rows() const { return rows_; }
  Metrics metrics() const;

 private:
  std::uint64_t rows_ = 0;
  double squared_ = 0, absolute_ = 0;
  double mean_ = 0, spread_ = 0;  ///< of the truth: running mean and sum of squared distances from it
};

/// accuracy, macro_f1 (the mean over every label that is true or predicted anywhere), log_loss (natural logarithm, a
/// probability taken for at least 1e-15).
class ClassScore {
 public:
  /// `probability`: what the answer gave to the true label; 0 when it does not know the label.
  void add(std::string_view truth, std::string_view predicted, double probability);
  std::uint64_t rows() const { return rows_; }
  Metrics metrics() const;

 private:
  struct Counts {
    std::uint64_t both = 0, truth = 0, predicted = 0;
  };
  Counts& counts(std::string_view label);

  std::uint64_t rows_ = 0, right_ = 0;
  double log_loss_ = 0;
  std::map<std::string, Counts, std::less<>> labels_;
};

}  // namespace espalier::cli
