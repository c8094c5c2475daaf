// Filters and orders of a search: text to a checked tree, and whether an item passes. docs/search.md has the grammar.
//
// Thread safety: immutable after parse. Ownership: borrows the field table it was parsed with. Errors: invalid_argument
// with the text and a caret under the place; matches(): the store's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "registry/search/fields.h"

namespace espalier::registry::search {

inline constexpr std::size_t kMaxFilterBytes = 16384;
inline constexpr std::size_t kMaxTests = 1000;
inline constexpr std::size_t kMaxOrderFields = 8;
inline constexpr int kMaxFilterDepth = 100;
inline constexpr std::size_t kMaxPatternBytes = 256;  ///< of a like: it may be tried at each byte of a text

enum class Relation : std::uint8_t { equal, less, less_equal, greater, greater_equal, like, under, missing };

/// One test of a field. False of a missing value (but for `missing`), before `negated` turns it round.
struct Test {
  FieldRef field;
  Relation relation = Relation::equal;
  bool negated = false;
  std::vector<Value> literals;  ///< equal: any of them; missing: none; else one

  Result<bool> holds(const Item& item) const;
};

class Filter {
 public:
  /// That everything passes.
  Filter() = default;
  /// Of blank text: that everything passes.
  static Result<Filter> parse(std::string_view text, const Fields& fields);

  Result<bool> matches(const Item& item) const;
  /// The tests that each thing that passes has to pass.
  std::vector<const Test*> conjuncts() const;

 private:
  friend class FilterParser;
  enum class Kind : std::uint8_t { all_of, any_of, negation, test };
  struct Node {
    Kind kind;
    std::vector<std::size_t> operands{};  ///< indices into nodes_
    Test test{};
  };
  Result<bool> matches(const Node& node, const Item& item) const;

  std::vector<Node> nodes_;
  std::size_t root_ = 0;
};

struct OrderTerm {
  FieldRef field;
  bool descending = false;
};
/// "metrics.rmse desc, created"; blank text: no order.
Result<std::vector<OrderTerm>> parse_order(std::string_view text, const Fields& fields);

/// Whether `text` is of the pattern: % any run, _ one character of UTF-8, \ takes the next as it is.
bool is_like(std::string_view text, std::string_view pattern);
/// Whether the partition `text` is `root` or lies below it, both in text form.
bool is_under(std::string_view text, std::string_view root);

}  // namespace espalier::registry::search
