// Ridge regression: squared errors, halved. The intercept is not penalised.
//
// Up to kMostGramFeatures features the products of all pairs of columns are added up once (the Gram matrix), and every
// strength of the penalty costs one small Cholesky decomposition. Above that the normal equations are solved by
// conjugate gradients, which only ever touch the values that are there.
#include <Eigen/Cholesky>
#include <Eigen/QR>
#include <cmath>

#include "trainer/family.h"

namespace espalier::trainer {
namespace {

constexpr std::uint32_t kMostGramFeatures = 512;
constexpr int kMostSteps = 200;
constexpr double kResidual = 1e-7;

using Eigen::MatrixXd;
using Eigen::VectorXd;

float to_float(double number) {
  constexpr double kLargest = 3e38;
  return std::isfinite(number) ? static_cast<float>(std::clamp(number, -kLargest, kLargest)) : 0.0f;
}

model::LinearParameters to_parameters(const VectorXd& weights, const VectorXd& means, double target_mean) {
  model::LinearParameters parameters;
  double bias = target_mean;
  for (Eigen::Index i = 0; i < weights.size(); ++i) {
    parameters.weight.push_back(to_float(weights[i]));
    // The weight as it is stored, so that rounding does not shift the mean.
    bias -= static_cast<double>(parameters.weight.back()) * means[i];
  }
  parameters.bias.push_back(to_float(std::isfinite(bias) ? bias : target_mean));
  return parameters;
}

/// Means, and products of all pairs of columns and the target around them.
struct Moments {
  double rows = 0;
  double target_mean = 0;
  VectorXd means;
  MatrixXd products;  ///< lower triangle
  VectorXd target_products;
};

Moments moments_of(const Problem& problem, std::span<const std::uint32_t> rows) {
  const auto features = static_cast<Eigen::Index>(problem.x.features);
  Moments m{static_cast<double>(rows.size()), 0, VectorXd::Zero(features), MatrixXd::Zero(features, features),
            VectorXd::Zero(features)};
  for (const std::uint32_t row : rows) m.target_mean += problem.target[row];
  m.target_mean /= m.rows;
  for (const std::uint32_t row : rows) {
    const auto index = problem.x.indices(row);
    const auto value = problem.x.values(row);
    const double target = problem.target[row] - m.target_mean;
    for (std::size_t a = 0; a < index.size(); ++a) {
      const double left = value[a];
      m.means[index[a]] += left;
      m.target_products[index[a]] += left * target;
      double* const column = m.products.data() + static_cast<Eigen::Index>(index[a]) * features;
      for (std::size_t b = a; b < index.size(); ++b) column[index[b]] += left * static_cast<double>(value[b]);
    }
  }
  m.means /= m.rows;
  for (Eigen::Index a = 0; a < features; ++a) {
    for (Eigen::Index b = a; b < features; ++b) m.products(b, a) -= m.rows * m.means[a] * m.means[b];
  }
  return m;
}

VectorXd solve(const Moments& m, double l2) {
  MatrixXd system = m.products;
  // To columns of about equal length first: units then cost no precision.
  VectorXd scale(system.rows());
  for (Eigen::Index i = 0; i < system.rows(); ++i) {
    const double noise = 1e-12 * m.rows * m.means[i] * m.means[i];
    const double length = std::max(system(i, i), 0.0);
    system(i, i) = length + l2;
    // A column that never changes says nothing.
    scale[i] = length > noise && system(i, i) > 0 ? 1 / std::sqrt(system(i, i)) : 0;
  }
  for (Eigen::Index a = 0; a < system.rows(); ++a) {
    for (Eigen::Index b = a; b < system.rows(); ++b) system(b, a) *= scale[a] * scale[b];
    if (scale[a] == 0) system(a, a) = 1;
  }
  const VectorXd right = m.target_products.cwiseProduct(scale);
  const Eigen::LLT<MatrixXd> cholesky(system);
  VectorXd weights;
  if (cholesky.info() == Eigen::Success) weights = cholesky.solve(right);
  if (weights.size() == 0 || !weights.allFinite()) {
    // Columns that repeat one another and no penalty: the smallest of the solutions.
    system.triangularView<Eigen::StrictlyUpper>() = system.transpose();
    weights = system.completeOrthogonalDecomposition().solve(right);
  }
  weights = weights.cwiseProduct(scale);
  return weights.allFinite() ? weights : VectorXd::Zero(weights.size());
}

/// (centred columns)' (centred columns) + l2, never formed.
class NormalEquations {
 public:
  NormalEquations(const Problem& problem, std::span<const std::uint32_t> rows)
      : x_(problem.x), rows_(rows), means_(VectorXd::Zero(x_.features)), lengths_(VectorXd::Zero(x_.features)) {
    const auto count = static_cast<double>(rows.size());
    for (const std::uint32_t row : rows) target_mean_ += problem.target[row] / count;
    right_ = VectorXd::Zero(x_.features);
    for (const std::uint32_t row : rows) {
      const auto index = x_.indices(row);
      const auto value = x_.values(row);
      for (std::size_t k = 0; k < index.size(); ++k) {
        const double v = value[k];
        means_[index[k]] += v / count;
        lengths_[index[k]] += v * v;
        right_[index[k]] += v * (problem.target[row] - target_mean_);
      }
    }
    lengths_ -= count * means_.cwiseProduct(means_);
  }

  const VectorXd& means() const { return means_; }
  double target_mean() const { return target_mean_; }

  VectorXd apply(const VectorXd& v, double l2) const {
    VectorXd result = l2 * v;
    const double shift = means_.dot(v);
    double sum = 0;
    for (const std::uint32_t row : rows_) {
      const auto index = x_.indices(row);
      const auto value = x_.values(row);
      double product = -shift;
      for (std::size_t k = 0; k < index.size(); ++k) product += static_cast<double>(value[k]) * v[index[k]];
      for (std::size_t k = 0; k < index.size(); ++k) result[index[k]] += static_cast<double>(value[k]) * product;
      sum += product;
    }
    return result - sum * means_;
  }

  /// Conjugate gradients from `start`, columns scaled to equal length.
  VectorXd solve(double l2, const VectorXd& start) const {
    const VectorXd scale = (lengths_.array().max(0) + std::max(l2, 1e-12)).inverse();
    VectorXd weights = start;
    VectorXd residual = right_ - apply(weights, l2);
    VectorXd direction = scale.cwiseProduct(residual);
    double energy = residual.dot(direction);
    const double enough = kResidual * kResidual * right_.dot(scale.cwiseProduct(right_));
    for (int step = 0; step < kMostSteps && energy > enough; ++step) {
      const VectorXd image = apply(direction, l2);
      const double curvature = direction.dot(image);
      if (!(curvature > 0)) break;
      const double length = energy / curvature;
      weights += length * direction;
      residual -= length * image;
      const VectorXd scaled = scale.cwiseProduct(residual);
      const double next = residual.dot(scaled);
      direction = scaled + (next / energy) * direction;
      energy = next;
    }
    return weights.allFinite() ? weights : VectorXd::Zero(weights.size());
  }

 private:
  const SparseRows& x_;
  std::span<const std::uint32_t> rows_;
  double target_mean_ = 0;
  VectorXd means_;
  VectorXd lengths_;
  VectorXd right_;
};

class Ridge final : public Family {
 public:
  std::vector<model::LinearParameters> fit(const Problem& problem, std::span<const std::uint32_t> rows,
                                           std::span<const double> l2, std::uint64_t) const override {
    std::vector<model::LinearParameters> fitted;
    if (rows.empty()) {
      fitted.assign(l2.size(), no_parameters(problem));
    } else if (problem.x.features <= kMostGramFeatures) {
      const Moments moments = moments_of(problem, rows);
      for (const double strength : l2) {
        fitted.push_back(to_parameters(solve(moments, strength), moments.means, moments.target_mean));
      }
    } else {
      const NormalEquations equations(problem, rows);
      VectorXd weights = VectorXd::Zero(problem.x.features);
      for (const double strength : l2) {
        weights = equations.solve(strength, weights);
        fitted.push_back(to_parameters(weights, equations.means(), equations.target_mean()));
      }
    }
    return fitted;
  }
  bool shares_work() const override { return true; }
};

}  // namespace

std::unique_ptr<Family> make_ridge() { return std::make_unique<Ridge>(); }

}  // namespace espalier::trainer
