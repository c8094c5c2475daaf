// Filters on rows: `split = train and (age >= 18 or state in ('CA', NV)) and not domain = 'oos'`.
//
//   filter      either { or either }
//   either      one { and one }
//   one         not one | ( filter ) | column operator literal | column [not] in ( literal {, literal} )
//   operator    = != < <= > >=
//   column      a word, or anything in double quotes
//   literal     a number, text in single quotes ('' is one quote), or a word, which is text
//
// The literal decides how the column is read: as a number or as text. Text compares by its bytes; missing text is ''. A
// missing number equals nothing and is neither less nor greater: only != and `not in` are true of it. The words and,
// or, not, in may be in capitals.
//
// Thread safety: immutable after parse(); matches() from any thread. Ownership: a BoundWhere borrows the Where and the
// frame.
// Errors: invalid_argument with the filter and a caret under the place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "data/frame.h"
#include "model/value.h"

namespace espalier::data {

class Where {
 public:
  /// A filter that every row passes.
  Where() = default;
  static Result<Where> parse(std::string_view text);

  /// The columns that the filter reads, each once.
  const std::vector<model::Field>& fields() const { return fields_; }
  /// invalid_argument points at a column that is not among `columns`, and names those.
  Status check_columns(const std::vector<std::string>& columns) const;

 private:
  friend class BoundWhere;
  friend class WhereParser;
  enum class Kind : std::uint8_t { all_of, any_of, negation, comparison, membership };
  enum class Comparison : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };
  struct Node {
    Kind kind;
    Comparison comparison = Comparison::equal;
    std::size_t field = 0;                ///< index into fields_
    std::vector<double> numbers{};        ///< what a number column is compared with
    std::vector<std::string> texts{};     ///< what a text column is compared with
    std::vector<std::size_t> operands{};  ///< indices into nodes_
  };

  std::string text_;
  std::vector<Node> nodes_;
  std::size_t root_ = 0;
  std::vector<model::Field> fields_;
  std::vector<std::size_t> places_;  ///< for each field, where the text names it first
};

/// A filter on the rows of one frame.
class BoundWhere {
 public:
  /// REQUIRES: the frame has the filter's fields().
  BoundWhere(const Where& where, const Frame& frame);
  bool matches(std::size_t row) const { return where_.nodes_.empty() || matches(where_.nodes_[where_.root_], row); }
  /// The rows that pass, ascending.
  std::vector<std::uint32_t> rows() const;

 private:
  bool matches(const Where::Node& node, std::size_t row) const;

  const Where& where_;
  const Frame& frame_;
  std::vector<std::size_t> columns_;  ///< for each field, its column in the frame
};

}  // namespace espalier::data
