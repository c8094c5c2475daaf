// Fitting a plan: what its steps learn from training rows. Everything is counted in the order of the rows and sorted
// before it is written, so that the same rows give the same bytes.

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <unordered_map>

#include "common/bytes.h"
#include "model/feature_plan.h"
#include "model/feature_text.h"

namespace espalier::model {
namespace {

/// What a step has learnt, as it goes into the program.
struct Learnt {
  double x = 0;
  double y = 0;
  std::uint32_t width = 0;
  std::string data;
};

/// The most frequent `max` of the keys that stand in `min_rows` rows or more, sorted by key.
template <class Key>
std::vector<Key> frequent(std::vector<std::pair<Key, std::uint64_t>> counts, std::uint64_t min_rows,
                          std::uint64_t max) {
  std::erase_if(counts, [&](const auto& count) { return count.second < min_rows; });
  std::sort(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (counts.size() > max) counts.resize(max);
  std::vector<Key> keys;
  for (auto& count : counts) keys.push_back(std::move(count.first));
  std::sort(keys.begin(), keys.end());
  return keys;
}

class Learner {
 public:
  virtual ~Learner() = default;
  virtual void row(std::span<const Value> inputs, ProgramState& state) = 0;
  virtual Learnt finish() = 0;
};

/// mean, median, scale and buckets: of the numbers that are not missing.
class NumberLearner : public Learner {
 public:
  NumberLearner(const Step& step, std::uint32_t place) : step_(step), place_(place) {}

  void row(std::span<const Value>, ProgramState& state) override {
    if (!step_.edges.empty()) return;
    const double x = state.numbers[place_];
    if (!std::isnan(x)) numbers_.push_back(x);
  }

  Learnt finish() override {
    Learnt learnt;
    switch (step_.learns) {
      case Learns::mean: learnt.x = mean(); break;
      case Learns::median: learnt.x = median(); break;
      case Learns::scale: learnt.x = mean(), learnt.y = inverse_deviation(learnt.x); break;
      default: edges(learnt);
    }
    return learnt;
  }

 private:
  double mean() const {
    double mean = 0;
    double count = 0;
    for (const double x : numbers_) mean += (x - mean) / ++count;
    return std::isfinite(mean) ? mean : 0;
  }
  double inverse_deviation(double mean) const {
    double squares = 0;
    for (const double x : numbers_) squares += (x - mean) * (x - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(1, numbers_.size())));
    // A column that never changes says nothing: 0 also where rounding leaves a trace of a deviation.
    const bool constant = !(deviation > 1e-12 * std::fabs(mean));
    const double inverse = 1 / deviation;
    return constant || !std::isfinite(inverse) ? 0 : inverse;
  }
  double median() {
    if (numbers_.empty()) return 0;
    std::sort(numbers_.begin(), numbers_.end());
    const std::size_t half = numbers_.size() / 2;
    return numbers_.size() % 2 == 1 ? numbers_[half] : numbers_[half - 1] / 2 + numbers_[half] / 2;
  }
  void edges(Learnt& learnt) {
    std::vector<double> edges = step_.edges;
    if (edges.empty() && !numbers_.empty()) {
      std::sort(numbers_.begin(), numbers_.end());
      for (std::uint32_t k = 1; k < step_.quantiles; ++k) {
        const double edge = numbers_[numbers_.size() * k / step_.quantiles];
        // An edge at the smallest number would leave the first bucket empty.
        if (edge > numbers_.front() && (edges.empty() || edge > edges.back())) edges.push_back(edge);
      }
    }
    append(learnt.data, TableHead{static_cast<std::uint32_t>(edges.size()), 0});
    for (const double edge : edges) append(learnt.data, edge);
    learnt.width = static_cast<std::uint32_t>(edges.size()) + 2;
  }

  const Step& step_;
  std::uint32_t place_;
  std::vector<double> numbers_;
};

class TextLearner : public Learner {
 public:
  explicit TextLearner(const Step& step) : step_(step) {}

  void row(std::span<const Value> inputs, ProgramState&) override {
    const Value& value = inputs[step_.a];
    if (value.kind != Value::Kind::text) {
      ++missing_;
      return;
    }
    const auto found = counts_.find(value.text);
    if (found != counts_.end()) {
      ++found->second;
    } else {
      counts_.emplace(value.text, 1);
    }
  }

  Learnt finish() override {
    const auto texts = frequent<std::string>({counts_.begin(), counts_.end()}, step_.min_rows, step_.max);
    const std::uint32_t flags = missing_ >= step_.min_rows ? kHasMissing : 0;
    const auto count = static_cast<std::uint32_t>(texts.size());
    Learnt learnt;
    append(learnt.data, TableHead{count, flags});
    std::uint32_t at = 0;
    append(learnt.data, at);
    for (const std::string& text : texts) append(learnt.data, at += static_cast<std::uint32_t>(text.size()));
    for (const std::string& text : texts) learnt.data += text;
    learnt.width = count + 1 + flags;
    return learnt;
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  const Step& step_;
  std::uint64_t missing_ = 0;
  std::unordered_map<std::string, std::uint64_t, Hash, std::equal_to<>> counts_;
};

class CategoryNumberLearner : public Learner {
 public:
  CategoryNumberLearner(const Step& step, std::uint32_t place) : step_(step), place_(place) {}

  void row(std::span<const Value>, ProgramState& state) override {
    const double x = state.numbers[place_];
    std::isnan(x) ? ++missing_ : ++counts_[x + 0.0];  // -0 + 0 is 0
  }

  Learnt finish() override {
    const auto numbers = frequent<double>({counts_.begin(), counts_.end()}, step_.min_rows, step_.max);
    const std::uint32_t flags = missing_ >= step_.min_rows ? kHasMissing : 0;
    Learnt learnt;
    append(learnt.data, TableHead{static_cast<std::uint32_t>(numbers.size()), flags});
    for (const double number : numbers) append(learnt.data, number);
    learnt.width = static_cast<std::uint32_t>(numbers.size()) + 1 + flags;
    return learnt;
  }

 private:
  const Step& step_;
  std::uint32_t place_;
  std::uint64_t missing_ = 0;
  std::unordered_map<double, std::uint64_t> counts_;
};

class PairLearner : public Learner {
 public:
  PairLearner(const Step& step, std::uint32_t a, std::uint32_t b, std::uint32_t width)
      : step_(step), a_(a), b_(b), width_(width) {}

  void row(std::span<const Value>, ProgramState& state) override {
    ++counts_[std::uint64_t{state.categories[a_]} * width_ + state.categories[b_]];
  }

  Learnt finish() override {
    const auto pairs = frequent<std::uint64_t>({counts_.begin(), counts_.end()}, step_.min_rows, step_.max);
    Learnt learnt;
    append(learnt.data, TableHead{static_cast<std::uint32_t>(pairs.size()), 0});
    for (const std::uint64_t pair : pairs) append(learnt.data, pair);
    learnt.width = static_cast<std::uint32_t>(pairs.size()) + 1;
    return learnt;
  }

 private:
  const Step& step_;
  std::uint32_t a_;
  std::uint32_t b_;
  std::uint64_t width_;
  std::unordered_map<std::uint64_t, std::uint64_t> counts_;
};

/// Rows in which each n-gram stands: a table of open addresses, 16 bytes an entry.
class RowCounts {
 public:
  struct Entry {
    std::uint64_t fingerprint = 0;
    std::uint32_t rows = 0;      ///< 0: free
    std::uint32_t last_row = 0;  ///< the last one counted, so that repetition within a row counts once
  };

  void count(std::uint64_t fingerprint, std::uint32_t row) {
    std::size_t at = fingerprint & (table_.size() - 1);
    while (table_[at].rows != 0 && table_[at].fingerprint != fingerprint) at = (at + 1) & (table_.size() - 1);
    Entry& entry = table_[at];
    if (entry.rows == 0) {
      entry = {fingerprint, 1, row};
      if (++used_ * 2 > table_.size()) grow();
    } else if (entry.last_row != row) {
      ++entry.rows;
      entry.last_row = row;
    }
  }
  const std::vector<Entry>& table() const { return table_; }

 private:
  void grow() {
    std::vector<Entry> old(table_.size() * 2);
    old.swap(table_);
    for (const Entry& entry : old) {
      if (entry.rows == 0) continue;
      std::size_t at = entry.fingerprint & (table_.size() - 1);
      while (table_[at].rows != 0) at = (at + 1) & (table_.size() - 1);
      table_[at] = entry;
    }
  }

  std::vector<Entry> table_ = std::vector<Entry>(1 << 12);
  std::size_t used_ = 0;
};

class GramLearner : public Learner {
 public:
  explicit GramLearner(const Step& step) : step_(step) {
    if (step.grams.flags & kHashed) buckets_.resize(std::size_t{1} << step.grams.bits);
  }

  void row(std::span<const Value> inputs, ProgramState& state) override {
    const Value& value = inputs[step_.a];
    if (value.kind != Value::Kind::text) return;
    ++rows_;
    const bool hashed = step_.grams.flags & kHashed;
    if (hashed && !(step_.grams.flags & kIdf)) return;
    const auto hit = [&](std::uint64_t fingerprint) {
      counts_.count(hashed ? fingerprint >> (64 - step_.grams.bits) : fingerprint, rows_);
    };
    if (step_.op == Op::emit_words) {
      split_words(value.text, state.text, state.starts, state.ends);
      each_word_gram(state.text, state.starts, state.ends, step_.grams.low, step_.grams.high, hit);
    } else {
      split_characters(value.text, state.text, state.starts);
      each_char_gram(state.text, state.starts, step_.grams.low, step_.grams.high, step_.grams.flags & kAcross, hit);
    }
  }

  Learnt finish() override { return step_.grams.flags & kHashed ? finish_hashed() : finish_vocabulary(); }

 private:
  float idf(std::uint32_t rows) const { return static_cast<float>(std::log((1.0 + rows_) / (1.0 + rows)) + 1); }

  Learnt finish_hashed() {
    Learnt learnt;
    GramHead head = step_.grams;
    head.count = learnt.width = 1u << head.bits;
    append(learnt.data, head);
    if (!(head.flags & kIdf)) return learnt;
    for (const auto& entry : counts_.table()) {
      if (entry.rows != 0) buckets_[entry.fingerprint] = entry.rows;
    }
    for (const std::uint32_t rows : buckets_) append(learnt.data, idf(rows));
    return learnt;
  }

  Learnt finish_vocabulary() {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> grams;
    for (const auto& entry : counts_.table()) {
      if (entry.rows >= step_.min_rows) grams.emplace_back(entry.fingerprint, entry.rows);
    }
    if (grams.size() > step_.max) {
      std::sort(grams.begin(), grams.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
      });
      grams.resize(step_.max);
    }
    std::sort(grams.begin(), grams.end());
    GramHead head = step_.grams;
    head.bits = static_cast<std::uint32_t>(std::min<std::size_t>(kMaxDirectoryBits, std::bit_width(grams.size() / 4)));
    // Two n-grams whose stored bits agree can't be told apart: the first stands for both.
    const auto stored = [&](std::uint64_t fingerprint) { return fingerprint >> (32 - head.bits); };
    grams.erase(std::unique(grams.begin(), grams.end(),
                            [&](const auto& a, const auto& b) { return stored(a.first) == stored(b.first); }),
                grams.end());
    head.count = static_cast<std::uint32_t>(grams.size());
    Learnt learnt;
    learnt.width = head.count;
    append(learnt.data, head);
    std::uint32_t next = 0;
    for (std::uint64_t top = 0; top <= (std::uint64_t{1} << head.bits); ++top) {
      while (next < grams.size() && (stored(grams[next].first) >> 32) < top) ++next;
      append(learnt.data, next);
    }
    for (const auto& gram : grams) append(learnt.data, static_cast<std::uint32_t>(stored(gram.first)));
    if (head.flags & kIdf) {
      for (const auto& gram : grams) append(learnt.data, idf(gram.second));
    }
    return learnt;
  }

  const Step& step_;
  std::uint32_t rows_ = 0;
  RowCounts counts_;
  std::vector<std::uint32_t> buckets_;
};

class Fitter {
 public:
  Fitter(const Plan& plan, const Rows& rows) : plan_(plan), rows_(rows), learnt_(plan.steps.size()) {}

  Result<std::string> run() {
    std::uint32_t waves = 0;
    for (const Step& step : plan_.steps) waves = std::max(waves, step.ready);
    for (std::uint32_t wave = 0; wave < waves; ++wave) RETURN_IF_ERROR(pass(wave));
    return finish();
  }

 private:
  /// The steps whose result is known after `wave` passes, as instructions; place_ says where each is.
  ProgramWriter begin(std::uint32_t wave) {
    ProgramWriter writer(plan_.inputs);
    place_.assign(plan_.steps.size(), kNone);
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      if (step.ready > wave || is_emit(step.op)) continue;
      Instruction instruction{.op = step.op, .a = step.a, .b = step.b, .x = step.x};
      if (step.op != Op::constant && step.op != Op::input && !reads_text_input(step.op)) {
        instruction.a = place_[step.a];
        instruction.b = place_[step.b];
      }
      if (step.learns != Learns::nothing) {
        instruction.x = learnt_[i].x;
        instruction.y = learnt_[i].y;
        instruction.width = learnt_[i].width;
      }
      place_[i] = writer.add(instruction, learnt_[i].data);
    }
    return writer;
  }

  std::unique_ptr<Learner> learner(const Step& step) const {
    switch (step.learns) {
      case Learns::texts: return std::make_unique<TextLearner>(step);
      case Learns::numbers: return std::make_unique<CategoryNumberLearner>(step, place_[step.a]);
      case Learns::pairs:
        return std::make_unique<PairLearner>(step, place_[step.a], place_[step.b], learnt_[step.b].width);
      case Learns::grams: return std::make_unique<GramLearner>(step);
      default: return std::make_unique<NumberLearner>(step, place_[step.a]);
    }
  }

  Status pass(std::uint32_t wave) {
    ASSIGN_OR_RETURN(const std::string bytes, begin(wave).finish());
    ASSIGN_OR_RETURN(const Program program, Program::open(bytes));
    std::vector<std::pair<std::size_t, std::unique_ptr<Learner>>> learners;
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      if (step.learns != Learns::nothing && step.wave == wave) learners.emplace_back(i, learner(step));
    }
    Program::Scratch scratch;
    ProgramState& state = ProgramRun::state(scratch);
    std::vector<Value> inputs(plan_.inputs.size());
    for (std::size_t row = 0; row < rows_.count(); ++row) {
      rows_.read(row, inputs);
      ProgramRun::evaluate(ProgramRun::layout(program), inputs, state);
      for (auto& [step, learner] : learners) learner->row(inputs, state);
    }
    for (auto& [step, learner] : learners) {
      learnt_[step] = learner->finish();
      learner.reset();
      if (learnt_[step].data.size() > kMaxProgramBytes) {
        return invalid_argument("features: what was learnt is larger than 256 MB");
      }
    }
    return {};
  }

  Result<std::string> finish() {
    ProgramWriter writer = begin(kNone - 1);
    for (const PlanOutput& output : plan_.outputs) {
      const Step& step = plan_.steps[output.step];
      Instruction instruction{.op = Op::emit_number, .a = place_[output.step], .width = 1};
      std::string data;
      if (output.kind != PlanOutput::Kind::number) {
        const bool category = output.kind == PlanOutput::Kind::category;
        instruction.op = category ? Op::emit_category : step.op;
        if (!category) {
          instruction.a = step.a;
          data = learnt_[output.step].data;
        }
        instruction.b = output.scale == kNone ? kNone : place_[output.scale];
        instruction.width = learnt_[output.step].width;
      }
      RETURN_IF_ERROR(writer.emit(instruction, output.name, std::move(data)));
    }
    return writer.finish();
  }

  const Plan& plan_;
  const Rows& rows_;
  std::vector<Learnt> learnt_;
  std::vector<std::uint32_t> place_;
};

}  // namespace

Result<std::string> fit_plan(const Plan& plan, const Rows& rows) {
  if (rows.count() == 0) return invalid_argument("features: there are no rows to fit on");
  return Fitter(plan, rows).run();
}

}  // namespace espalier::model
