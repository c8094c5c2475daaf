#include "trainer/newton.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "trainer/family.h"

namespace espalier::trainer {
namespace {

using Eigen::VectorXd;

constexpr int kMostNewtonSteps = 50;
constexpr int kMostInnerSteps = 100;
constexpr double kGradientShare = 1e-4;  ///< of the first gradient at which the fit is good
constexpr double kSmallestGradient = 1e-9;
constexpr double kSmallestPenalty = 1e-6;
constexpr double kShortestStep = 1e-10;
constexpr double kLargestWeight = 1e30;

/// The loss as a function of weights, [feature][output], the intercepts in place of one more feature. Numbers of a row
/// are [row][output].
class Loss {
 public:
  Loss(const Problem& problem, std::span<const std::uint32_t> rows, double l2)
      : problem_(problem),
        x_(problem.x),
        rows_(rows),
        outputs_(problem.outputs()),
        penalty_(VectorXd::Constant((x_.features + 1) * outputs_, std::max(l2, kSmallestPenalty))) {
    penalty_.tail(outputs_) *= 1e-3;
  }

  Eigen::Index size() const { return penalty_.size(); }

  VectorXd scores(const VectorXd& w) const {
    VectorXd result(static_cast<Eigen::Index>(rows_.size()) * outputs_);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto index = x_.indices(rows_[i]);
      const auto value = x_.values(rows_[i]);
      double* const to = of_row(result, i);
      std::copy_n(w.data() + x_.features * outputs_, outputs_, to);
      for (std::size_t k = 0; k < index.size(); ++k) {
        const double* const weights = w.data() + index[k] * outputs_;
        const double v = value[k];
        for (Eigen::Index o = 0; o < outputs_; ++o) to[o] += v * weights[o];
      }
    }
    return result;
  }

  double value(const VectorXd& w, const VectorXd& scores) const {
    double sum = 0.5 * w.cwiseProduct(penalty_).dot(w);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const double* const s = of_row(scores, i);
      const std::uint32_t label = problem_.label[rows_[i]];
      // For two classes the first one's score is 0.
      const double first = outputs_ == 1 ? 0 : s[0];
      const double top = std::max(first, *std::max_element(s, s + outputs_));
      double total = outputs_ == 1 ? std::exp(-top) : 0;
      for (Eigen::Index o = 0; o < outputs_; ++o) total += std::exp(s[o] - top);
      const double own = outputs_ > 1 ? s[label] : label == 1 ? s[0] : 0;
      sum += std::log(total) + top - own;
    }
    return sum;
  }

  /// Gradient at w; also the probabilities and the Hessian's diagonal, for product().
  VectorXd gradient(const VectorXd& w, const VectorXd& scores) {
    probabilities_ = scores;
    for (std::size_t i = 0; i < rows_.size(); ++i) to_probabilities(of_row(probabilities_, i));
    VectorXd slopes = probabilities_;
    diagonal_ = penalty_;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::uint32_t label = problem_.label[rows_[i]];
      if (outputs_ > 1) {
        of_row(slopes, i)[label] -= 1;
      } else {
        of_row(slopes, i)[0] -= label == 1 ? 1 : 0;
      }
      add_curvature(i);
    }
    return w.cwiseProduct(penalty_) + transposed(slopes);
  }

  const VectorXd& diagonal() const { return diagonal_; }

  /// Hessian x v.
  VectorXd product(const VectorXd& v) const {
    VectorXd by_row = scores(v);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      double* const s = of_row(by_row, i);
      const double* const p = of_row(probabilities_, i);
      double mean = 0;
      for (Eigen::Index o = 0; o < outputs_; ++o) mean += p[o] * s[o];
      for (Eigen::Index o = 0; o < outputs_; ++o) s[o] = p[o] * (s[o] - mean);
    }
    return v.cwiseProduct(penalty_) + transposed(by_row);
  }

 private:
  double* of_row(VectorXd& numbers, std::size_t i) const {
    return numbers.data() + static_cast<Eigen::Index>(i) * outputs_;
  }
  const double* of_row(const VectorXd& numbers, std::size_t i) const {
    return numbers.data() + static_cast<Eigen::Index>(i) * outputs_;
  }

  void to_probabilities(double* s) const {
    if (outputs_ == 1) {
      s[0] = 1 / (1 + std::exp(-s[0]));
      return;
    }
    const double top = *std::max_element(s, s + outputs_);
    double total = 0;
    for (Eigen::Index o = 0; o < outputs_; ++o) total += s[o] = std::exp(s[o] - top);
    for (Eigen::Index o = 0; o < outputs_; ++o) s[o] /= total;
  }

  void add_curvature(std::size_t i) {
    const auto index = x_.indices(rows_[i]);
    const auto value = x_.values(rows_[i]);
    const double* const p = of_row(probabilities_, i);
    for (Eigen::Index o = 0; o < outputs_; ++o) {
      const double curvature = p[o] * (1 - p[o]);
      for (std::size_t k = 0; k < index.size(); ++k) {
        const double v = value[k];
        diagonal_[index[k] * outputs_ + o] += curvature * v * v;
      }
      diagonal_[x_.features * outputs_ + o] += curvature;
    }
  }

  VectorXd transposed(const VectorXd& by_row) const {
    VectorXd result = VectorXd::Zero(penalty_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto index = x_.indices(rows_[i]);
      const auto value = x_.values(rows_[i]);
      const double* const from = of_row(by_row, i);
      for (std::size_t k = 0; k < index.size(); ++k) {
        double* const to = result.data() + index[k] * outputs_;
        const double v = value[k];
        for (Eigen::Index o = 0; o < outputs_; ++o) to[o] += v * from[o];
      }
      for (Eigen::Index o = 0; o < outputs_; ++o) result[x_.features * outputs_ + o] += from[o];
    }
    return result;
  }

  const Problem& problem_;
  const SparseRows& x_;
  std::span<const std::uint32_t> rows_;
  const Eigen::Index outputs_;
  VectorXd penalty_;
  VectorXd probabilities_;
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
    if (!(size > kGradientShare * first) || size < kSmallestGradient) break;
    const VectorXd step = newton_step(loss, gradient);
    const VectorXd moved = loss.scores(step);
    const double slope = gradient.dot(step);
    double length = 1;
    for (; length > kShortestStep; length /= 2) {
      const double next = loss.value(w + length * step, scores + length * moved);
      if (next <= value + 1e-4 * length * slope) {
        value = next;
        break;
      }
    }
    if (length <= kShortestStep) break;
    w += length * step;
    scores += length * moved;
  }
  return w;
}

}  // namespace

model::LinearParameters fit_by_newton(const Problem& problem, std::span<const std::uint32_t> rows, double l2,
                                      std::vector<double>& weights) {
  model::LinearParameters parameters = no_parameters(problem);
  if (rows.empty()) return parameters;
  Loss loss(problem, rows, l2);
  weights.resize(static_cast<std::size_t>(loss.size()), 0.0);
  const VectorXd found = minimise(loss, Eigen::Map<const VectorXd>(weights.data(), loss.size()));
  if (!found.allFinite() || found.cwiseAbs().maxCoeff() > kLargestWeight) return parameters;
  std::copy_n(found.data(), weights.size(), weights.begin());
  const std::size_t count = parameters.weight.size();
  std::transform(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(count), parameters.weight.begin(),
                 [](double weight) { return static_cast<float>(weight); });
  for (std::size_t o = 0; o < parameters.outputs; ++o) parameters.bias[o] = static_cast<float>(weights[count + o]);
  return parameters;
}

}  // namespace espalier::trainer
