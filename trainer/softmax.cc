// Softmax regression for any number of classes. With few features by Newton's method; with many by coordinate ascent on
// the dual, one row at a time.
//
// The dual has a distribution over the classes for each row (its share); the weights are at every moment
//   W = 1/l2 * sum over rows of (class of the row - share of the row) * features of the row,
// and at the optimum each share is the softmax of the row's scores. A step takes one row and finds the share that is
// best while all others stand still. That needs no step size, touches only the features that the row has, and gets
// within a hundredth of the optimum in a few passes (Yu, Huang and Lin, "Dual coordinate descent methods for logistic
// regression and maximum entropy models", 2011, have the theory). The intercept is the weight of a feature that is
// always 1, penalised like the others.
#include <algorithm>
#include <array>
#include <cmath>

#include "trainer/family.h"
#include "trainer/fast_math.h"
#include "trainer/newton.h"

namespace espalier::trainer {
namespace {

constexpr std::size_t kLanes = 16;
constexpr int kMostPasses = 40;
constexpr double kEnough = 0.01;  ///< a pass that finds less than this share of the objective to gain is the last
constexpr float kStill = 3e-4f;   ///< shares are left where they are when that moves the row's own scores by less
constexpr float kLittle = 0.02f;  ///< rows whose own scores move less may rest for some passes
constexpr std::uint8_t kLongestRest = 4;
constexpr int kSearchSteps = 3;
constexpr double kSmallestDualPenalty = 1e-4;
/// Where Newton's method is used.
constexpr std::uint32_t kMostNewtonFeatures = 512;
constexpr std::size_t kMostNewtonNumbers = 32u << 20;  ///< rows x classes
constexpr std::size_t kMostNewtonWeights = 1u << 17;   ///< features x classes, after the dual
constexpr float kAbsent = -100.0f;                     ///< score of the lanes behind the last class

using Lanes = std::array<float, kLanes>;

float total(const Lanes& lanes) {
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

/// Finds a row's best share: log(share) + pull * (share - old share) = scores - level, the shares adding up to 1.
class ShareSearch {
 public:
  explicit ShareSearch(std::size_t width) : log_(width), goal_(width), share_(width) {}

  /// Leaves new share - old share in `change`.
  void run(const float* scores, const float* old, float pull, float* change) {
    start(scores, old, pull);
    for (int step = 0; step < kSearchSteps; ++step) improve(pull);
    Lanes sums{};
    for (std::size_t b = 0; b < log_.size(); b += kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) {
        share_[b + i] = fast_exp(log_[b + i]);
        sums[i] += share_[b + i];
      }
    }
    const float inverse = 1 / total(sums);
    for (std::size_t i = 0; i < log_.size(); ++i) change[i] = share_[i] * inverse - old[i];
  }

  /// Of the last run: how far the row was from its optimum (the divergence of the old share from the softmax, which is
  /// the row's part of the duality gap, to the second order), and the logarithm of the sum of the scores' exponentials.
  float gap() const { return gap_; }
  float level() const { return level_; }
  /// The mean of the scores under the old share.
  float mean() const { return mean_; }

 private:
  /// Between the old share and the softmax of the scores, where a straight line says.
  void start(const float* scores, const float* old, float pull) {
    const std::size_t width = log_.size();
    float top = scores[0];
    for (std::size_t i = 1; i < width; ++i) top = std::max(top, scores[i]);
    Lanes sums{};
    for (std::size_t b = 0; b < width; b += kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) {
        share_[b + i] = fast_exp(scores[b + i] - top);
        sums[i] += share_[b + i];
      }
    }
    const float sum = total(sums);
    const float inverse = 1 / sum;
    level_ = std::log(sum) + top;
    Lanes gaps{};
    Lanes means{};
    for (std::size_t b = 0; b < width; b += kLanes) {
      for (std::size_t l = 0; l < kLanes; ++l) {
        const std::size_t i = b + l;
        const float p = share_[i] * inverse;
        const float larger = p > old[i] ? p : old[i];
        gaps[l] += (p - old[i]) * (p - old[i]) / (p + old[i] + 1e-30f);
        means[l] += old[i] * scores[i];
        const float x = old[i] + (p - old[i]) / (1 + pull * larger);
        log_[i] = rough_log(x > 1e-30f ? x : 1e-30f);
        const float goal = scores[i] - level_;
        goal_[i] = (goal > -200.0f ? goal : -200.0f) + pull * old[i];
      }
    }
    gap_ = total(gaps);
    mean_ = total(means);
  }

  /// A Newton step on all logarithms and the level together.
  void improve(float pull) {
    const std::size_t width = log_.size();
    Lanes sums{};
    Lanes misses{};
    Lanes slopes{};
    for (std::size_t b = 0; b < width; b += kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) {
        const float share = fast_exp(log_[b + i]);
        const float slope = share / (1 + pull * share);
        share_[b + i] = share;
        sums[i] += share;
        slopes[i] += slope;
        misses[i] += slope * (log_[b + i] + pull * share - goal_[b + i]);
      }
    }
    const float level = (total(sums) - 1 - total(misses)) / total(slopes);
    for (std::size_t i = 0; i < width; ++i) {
      const float miss = log_[i] + pull * share_[i] - goal_[i] + level;
      float step = -miss / (1 + pull * share_[i]);
      step = step < -8.0f ? -8.0f : step;
      step = step > 4.0f ? 4.0f : step;
      const float moved = log_[i] + step;
      log_[i] = moved < 0.0f ? moved : 0.0f;
    }
  }

  std::vector<float> log_;
  std::vector<float> goal_;
  std::vector<float> share_;
  float gap_ = 0;
  float level_ = 0;
  float mean_ = 0;
};

/// Pseudo-random order of the rows, the same everywhere.
class Shuffle {
 public:
  explicit Shuffle(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  void apply(std::vector<std::uint32_t>& order) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[next() % i]);
  }

 private:
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

class Dual {
 public:
  Dual(const Problem& problem, std::span<const std::uint32_t> rows, double l2)
      : problem_(problem),
        rows_(rows),
        strength_(static_cast<float>(1 / l2)),
        width_((problem.classes + kLanes - 1) / kLanes * kLanes),
        weights_(std::size_t{problem.x.features} * width_),
        bias_(width_),
        shares_(rows.size() * width_),
        lengths_(rows.size()),
        rests_(rows.size()),
        scores_(width_),
        change_(width_),
        search_(width_) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      // All of the share on the row's own class: it then adds nothing to the weights.
      shares_[i * width_ + problem.label[rows[i]]] = 1;
      double length = 1;
      for (const float value : problem.x.values(rows[i]))
        length += static_cast<double>(value) * static_cast<double>(value);
      lengths_[i] = length;
    }
  }

  /// False when it has not arrived after kMostPasses.
  bool ascend(std::uint64_t seed) {
    std::vector<std::uint32_t> order(rows_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
    Shuffle shuffle(seed);
    for (int pass = 0; pass < kMostPasses; ++pass) {
      shuffle.apply(order);
      double gap = 0;
      double objective = 0;
      for (const std::uint32_t i : order) {
        const Rest& row = visit_or_rest(i);
        gap += static_cast<double>(row.gap);
        objective += static_cast<double>(row.objective);
      }
      // The first pass begins where nothing is known: every row is as far off as its loss.
      if (pass > 0 && gap <= kEnough * objective) return true;
    }
    return false;
  }

  /// (features + 1) x classes, the intercepts last.
  std::vector<double> weights() const {
    std::vector<double> result;
    for (std::size_t f = 0; f <= problem_.x.features; ++f) {
      const float* const from = f < problem_.x.features ? weights_.data() + f * width_ : bias_.data();
      for (std::size_t o = 0; o < problem_.classes; ++o) result.push_back(static_cast<double>(finite(from[o])));
    }
    return result;
  }

  model::LinearParameters parameters() const {
    model::LinearParameters result = no_parameters(problem_);
    const std::size_t outputs = result.outputs;
    for (std::size_t o = 0; o < outputs; ++o) result.bias[o] = finite(bias_[o]);
    for (std::size_t f = 0; f < problem_.x.features; ++f) {
      for (std::size_t o = 0; o < outputs; ++o) result.weight[f * outputs + o] = finite(weights_[f * width_ + o]);
    }
    return result;
  }

 private:
  struct Rest {
    float gap = 0;
    float objective = 0;
    std::uint8_t length = 0;  ///< passes that the row sits out
    std::uint8_t left = 0;
  };

  static float finite(float number) { return std::isfinite(number) ? number : 0.0f; }

  void score(std::span<const std::uint32_t> index, std::span<const float> value) {
    std::copy(bias_.begin(), bias_.end(), scores_.begin());
    float* const scores = scores_.data();
    for (std::size_t k = 0; k < index.size(); ++k) {
      const float* const weights = weights_.data() + index[k] * width_;
      const float x = value[k];
      for (std::size_t b = 0; b < width_; b += kLanes) {
        for (std::size_t i = 0; i < kLanes; ++i) scores[b + i] += x * weights[b + i];
      }
    }
    for (std::size_t o = problem_.classes; o < width_; ++o) scores[o] = kAbsent;
  }

  /// Rows that hardly moved are passed over for one pass, then for two, and so on; they count as they were last seen.
  const Rest& visit_or_rest(std::size_t i) {
    Rest& rest = rests_[i];
    if (rest.left > 0) {
      --rest.left;
      return rest;
    }
    const float moved = visit(i);
    rest.gap = search_.gap();
    // Its loss, and its part of the penalty: the squared weights are a sum over rows, because the weights are.
    const float own = scores_[problem_.label[rows_[i]]];
    rest.objective = search_.level() - own + 0.5f * (own - search_.mean());
    rest.length = moved < kLittle ? std::min<std::uint8_t>(rest.length + 1, kLongestRest) : 0;
    rest.left = rest.length;
    return rest;
  }

  /// Gives the row at `i` its best share; returns how far that moves one of its own scores at most.
  float visit(std::size_t i) {
    const auto index = problem_.x.indices(rows_[i]);
    const auto value = problem_.x.values(rows_[i]);
    float* const share = shares_.data() + i * width_;
    score(index, value);
    const auto pull = static_cast<float>(std::min(1e30, static_cast<double>(strength_) * lengths_[i]));
    search_.run(scores_.data(), share, pull, change_.data());
    float largest = 0;
    for (std::size_t b = 0; b < width_; b += kLanes) {
      float most = 0;
      for (std::size_t l = 0; l < kLanes; ++l) most = std::max(most, std::fabs(change_[b + l]));
      if (!(pull * most >= kStill)) continue;
      largest = std::max(largest, most);
      move(b, share, index, value);
    }
    return pull * largest;
  }

  void move(std::size_t block, float* share, std::span<const std::uint32_t> index, std::span<const float> value) {
    Lanes step;
    for (std::size_t l = 0; l < kLanes; ++l) {
      const bool is_class = block + l < problem_.classes;
      share[block + l] += is_class ? change_[block + l] : 0;
      step[l] = is_class ? -strength_ * change_[block + l] : 0;
    }
    for (std::size_t l = 0; l < kLanes; ++l) bias_[block + l] += step[l];
    for (std::size_t k = 0; k < index.size(); ++k) {
      float* const weights = weights_.data() + index[k] * width_ + block;
      const float x = value[k];
      for (std::size_t l = 0; l < kLanes; ++l) weights[l] += x * step[l];
    }
  }

  const Problem& problem_;
  std::span<const std::uint32_t> rows_;
  const float strength_;        ///< 1 / l2
  const std::size_t width_;     ///< classes, rounded up to whole blocks of lanes
  std::vector<float> weights_;  ///< features x width
  std::vector<float> bias_;
  std::vector<float> shares_;    ///< rows x width
  std::vector<double> lengths_;  ///< squared length of each row, the intercept's 1 included
  std::vector<Rest> rests_;
  std::vector<float> scores_;
  std::vector<float> change_;
  ShareSearch search_;
};

class Softmax final : public Family {
 public:
  std::vector<model::LinearParameters> fit(const Problem& problem, std::span<const std::uint32_t> rows,
                                           std::span<const double> l2, std::uint64_t seed) const override {
    std::vector<model::LinearParameters> fitted;
    std::vector<double> weights;
    const bool is_affordable = rows.size() * problem.classes <= kMostNewtonNumbers;
    for (const double strength : l2) {
      if (rows.empty() || (is_affordable && problem.x.features <= kMostNewtonFeatures)) {
        fitted.push_back(fit_by_newton(problem, rows, strength, weights));
        continue;
      }
      Dual dual(problem, rows, std::max(strength, kSmallestDualPenalty));
      const bool is_small = is_affordable && std::size_t{problem.x.features} * problem.classes <= kMostNewtonWeights;
      if (dual.ascend(seed) || !is_small) {
        fitted.push_back(dual.parameters());
        continue;
      }
      // Rows that are many, crowded and hardly held back by the penalty: slow for the dual, easy from here.
      weights = dual.weights();
      fitted.push_back(fit_by_newton(problem, rows, strength, weights));
    }
    return fitted;
  }
  bool shares_work() const override { return false; }
};

}  // namespace

std::unique_ptr<Family> make_softmax() { return std::make_unique<Softmax>(); }

}  // namespace espalier::trainer
