// The expressions of a spec's [features]: text to a syntax tree. docs/features.md has the grammar.
//
// Thread safety: values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::model {

inline constexpr std::size_t kMaxExpressionBytes = 4096;
inline constexpr int kMaxExpressionDepth = 64;

/// A node of the tree; `at` is its first byte in the expression, for messages.
struct Syntax {
  enum class Kind : std::uint8_t { number, name, call, negate, operation };
  struct Option {
    std::string name;
    std::size_t at = 0;
    bool is_number = false;
    double number = 0;
    std::string word;  ///< when it is no number; empty for a flag
  };

  Kind kind = Kind::number;
  std::size_t at = 0;
  double number = 0;
  std::string name;  ///< column or function
  char operation = 0;
  std::vector<Syntax> children;
  std::vector<Option> options;
};

/// invalid_argument: syntax, an unknown function or option, too many or too few arguments, too long, too deep.
Result<Syntax> parse_expression(std::string_view expression);

/// `message`, then the expression with a caret under byte `at`.
Status expression_error(std::string_view expression, std::size_t at, const std::string& message);

/// `; did you mean "x"?` when one of `known` is near `name`, else nothing.
std::string suggestion(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace espalier::model
