// Logistic regression for two classes: Newton's method, each step found by conjugate gradients on the rows themselves,
// so that sparse input stays sparse. The intercept's penalty is a thousandth of the weights', which keeps it finite
// where all rows are of one class.
#include <Eigen/Core>
#include <cmath>

#include "trainer/family.h"

namespace espalier::trainer {
namespace {

using Eigen::VectorXd;

constexpr int kMostNewtonSteps = 50;
constexpr int kMostInnerSteps = 100;
constexpr double kGradientShare = 1e-4;  ///< of the first gradient at which the fit is good
constexpr double kSmallestPenalty = 1e-6;

/// The loss as a function of (weights, intercept).
class Loss {
 public:
  Loss(const Problem& problem, std::span<const std::uint32_t> rows, double l2)
      : x_(problem.x),
        rows_(rows),
        signs_(static_cast<Eigen::Index>(rows.size())),
        penalty_(VectorXd::Constant(x_.features + 1, std::max(l2, kSmallestPenalty))) {
    penalty_[x_.features] *= 1e-3;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      signs_[static_cast<Eigen::Index>(i)] = problem.label[rows[i]] == 1 ? 1 : -1;
    }
  }

  Eigen::Index size() const { return penalty_.size(); }

  VectorXd scores(const VectorXd& w) const {
    VectorXd result(signs_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto index = x_.indices(rows_[i]);
      const auto value = x_.values(rows_[i]);
      double sum = w[x_.features];
      for (std::size_t k = 0; k < index.size(); ++k) sum += static_cast<double>(value[k]) * w[index[k]];
      result[static_cast<Eigen::Index>(i)] = sum;
    }
    return result;
  }

  double value(const VectorXd& w, const VectorXd& scores) const {
    double sum = 0.5 * w.cwiseProduct(penalty_).dot(w);
    for (Eigen::Index i = 0; i < scores.size(); ++i) {
      const double margin = signs_[i] * scores[i];
      sum += margin > 0 ? std::log1p(std::exp(-margin)) : std::log1p(std::exp(margin)) - margin;
    }
    return sum;
  }

  /// Gradient at w; also the curvature of each row and the diagonal of the Hessian, for product().
  VectorXd gradient(const VectorXd& w, const VectorXd& scores) {
    curvatures_.resize(scores.size());
    VectorXd slopes(scores.size());
    for (Eigen::Index i = 0; i < scores.size(); ++i) {
      const double wrong = 1 / (1 + std::exp(signs_[i] * scores[i]));
      slopes[i] = -signs_[i] * wrong;
      curvatures_[i] = wrong * (1 - wrong);
    }
    diagonal_ = penalty_;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto index = x_.indices(rows_[i]);
      const auto value = x_.values(rows_[i]);
      const double curvature = curvatures_[static_cast<Eigen::Index>(i)];
      for (std::size_t k = 0; k < index.size(); ++k) {
        diagonal_[index[k]] += curvature * static_cast<double>(value[k]) * static_cast<double>(value[k]);
      }
      diagonal_[x_.features] += curvature;
    }
    return w.cwiseProduct(penalty_) + transposed(slopes);
  }

  const VectorXd& diagonal() const { return diagonal_; }
  VectorXd product(const VectorXd& v) const {
    return v.cwiseProduct(penalty_) + transposed(scores(v).cwiseProduct(curvatures_));
  }

 private:
  VectorXd transposed(const VectorXd& by_row) const {
    VectorXd result = VectorXd::Zero(penalty_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto index = x_.indices(rows_[i]);
      const auto value = x_.values(rows_[i]);
      const double factor = by_row[static_cast<Eigen::Index>(i)];
      for (std::size_t k = 0; k < index.size(); ++k) result[index[k]] += static_cast<double>(value[k]) * factor;
      result[x_.features] += factor;
    }
    return result;
  }

  const SparseRows& x_;
  std::span<const std::uint32_t> rows_;
  VectorXd signs_;
  VectorXd penalty_;
  VectorXd curvatures_;
  VectorXd diagonal_;
};

/// Where the quadratic model of the loss has its bottom, about: Hessian * step = -gradient.
VectorXd newton_step(const Loss& loss, const VectorXd& gradient) {
  const VectorXd inverse = loss.diagonal().cwiseInverse();
  VectorXd step = VectorXd::Zero(gradient.size());
  VectorXd residual = -gradient;
  VectorXd direction = inverse.cwiseProduct(residual);
  double energy = residual.dot(direction);
  const double enough = 0.01 * energy;
  for (int i = 0; i < kMostInnerSteps && energy > enough; ++i) {
    const VectorXd image = loss.product(direction);
    const double curvature = direction.dot(image);
    if (!(curvature > 0)) break;
    const double length = energy / curvature;
    step += length * direction;
    residual -= length * image;
    const VectorXd scaled = inverse.cwiseProduct(residual);
    const double next = residual.dot(scaled);
    direction = scaled + (next / energy) * direction;
    energy = next;
  }
  return step;
}

VectorXd minimise(Loss& loss, VectorXd w) {
  VectorXd scores = loss.scores(w);
  double value = loss.value(w, scores);
  double first = -1;
  for (int i = 0; i < kMostNewtonSteps; ++i) {
    const VectorXd gradient = loss.gradient(w, scores);
    const double size = std::sqrt(gradient.cwiseProduct(loss.diagonal().cwiseInverse()).dot(gradient));
    if (first < 0) first = size;
    if (!(size > kGradientShare * first) || size < 1e-9) break;
    const VectorXd step = newton_step(loss, gradient);
    const VectorXd moved = loss.scores(step);
    const double slope = gradient.dot(step);
    double length = 1;
    for (; length > 1e-10; length /= 2) {
      const double next = loss.value(w + length * step, scores + length * moved);
      if (next <= value + 1e-4 * length * slope) {
        value = next;
        break;
      }
    }
    if (length <= 1e-10) break;
    w += length * step;
    scores += length * moved;
  }
  return w;
}

class Logistic final : public Family {
 public:
  std::vector<model::LinearParameters> fit(const Problem& problem, std::span<const std::uint32_t> rows,
                                           std::span<const double> l2, std::uint64_t) const override {
    std::vector<model::LinearParameters> fitted;
    VectorXd w = VectorXd::Zero(problem.x.features + 1);
    for (const double strength : l2) {
      fitted.push_back(no_parameters(problem));
      if (rows.empty()) continue;
      Loss loss(problem, rows, strength);
      VectorXd found = minimise(loss, w);
      if (!found.allFinite() || found.cwiseAbs().maxCoeff() > 1e30) continue;
      w = std::move(found);
      for (std::size_t i = 0; i < problem.x.features; ++i) {
        fitted.back().weight[i] = static_cast<float>(w[static_cast<Eigen::Index>(i)]);
      }
      fitted.back().bias[0] = static_cast<float>(w[problem.x.features]);
    }
    return fitted;
  }
  bool shares_work() const override { return true; }
};

}  // namespace

std::unique_ptr<Family> make_logistic() { return std::make_unique<Logistic>(); }

}  // namespace espalier::trainer
