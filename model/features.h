// The feature program: from the inputs of one row to a sparse vector. One implementation for training and serving (rule
// 9).
//
// A spec's [features] are expressions; fitting them on training rows (means, vocabularies, bucket edges, idf weights)
// gives a program, bytes that are stored in the artefact and run in place from there. docs/features.md has the grammar,
// every function, what a missing value, an unseen category and odd bytes mean, and the byte tables.
//
// Thread safety: Program is immutable after open(): any number of threads may run it, each with a Scratch of its own.
// Ownership: Program borrows its bytes, which must stay mapped while it lives.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/value.h"

namespace espalier::model {

/// A sparse vector under construction: `index[i]` < feature_count() has `value[i]`. Indices ascend and are distinct.
struct FeatureVector {
  std::vector<std::uint32_t> index;
  std::vector<float> value;
  void clear() {
    index.clear();
    value.clear();
  }
};

struct ProgramLayout;  // model/feature_program.h
struct ProgramState;

class Program {
 public:
  /// Working memory of one thread; grows to what the largest row needed, then no allocation.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(Scratch&&) noexcept;
    Scratch& operator=(Scratch&&) noexcept;

   private:
    friend class Program;
    friend struct ProgramRun;
    std::unique_ptr<ProgramState> state_;
  };

  /// Checks every offset, count and index, so that run() needs none. corrupt or unimplemented otherwise.
  static Result<Program> open(std::string_view bytes);

  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  /// The columns that the program reads, in the order in which run() takes them.
  const std::vector<Field>& inputs() const;
  /// Length of the vector.
  std::uint32_t feature_count() const;
  /// A name a person recognises ("sex=F", "age=[18,30)"); n-grams are stored as fingerprints and have numbers only
  /// ("words:n-gram 12", "words:hash 1234"). For `espalier inspect`.
  std::string feature_name(std::uint32_t index) const;

  /// What run() takes for the row at most, and how many features come of it: instructions, and n-grams of texts.
  struct Steps {
    std::uint64_t instructions = 0;
    std::uint64_t grams = 0;
  };
  Steps steps(std::span<const Value> inputs) const;

  /// REQUIRES: inputs.size() == inputs().size(), each missing or of its field's type. Never fails: every input has a
  /// meaning.
  void run(std::span<const Value> inputs, Scratch& scratch, FeatureVector& out) const;

 private:
  friend struct ProgramRun;
  explicit Program(std::unique_ptr<ProgramLayout> layout);
  std::unique_ptr<ProgramLayout> layout_;
};

/// Rows to fit a program on, read by index in any order and from several threads.
class Rows {
 public:
  virtual ~Rows() = default;
  virtual std::size_t count() const = 0;
  /// Fills `out` with the row's values of the fields that it was made for, in their order.
  virtual void read(std::size_t row, std::span<Value> out) const = 0;
};

/// One `name = "expression"` of a spec's [features], or a target's expression.
struct FeatureDefinition {
  std::string name;
  std::string expression;
};

/// Expressions parsed and checked, not yet fitted.
class FeatureSet {
 public:
  /// invalid_argument names the feature and puts a caret under the place of the error.
  static Result<FeatureSet> parse(const std::vector<FeatureDefinition>& definitions);

  FeatureSet(FeatureSet&&) noexcept;
  FeatureSet& operator=(FeatureSet&&) noexcept;
  ~FeatureSet();

  /// The columns that the expressions read, sorted by name, each with the type its use implies.
  const std::vector<Field>& inputs() const;

  /// Learns means, vocabularies, edges and idf weights from `rows` (which give inputs() in order) and returns the
  /// program's bytes. The same rows give the same bytes. invalid_argument: no rows.
  Result<std::string> fit(const Rows& rows) const;

 private:
  struct Impl;
  explicit FeatureSet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace espalier::model
