// Reads the text of filters and orders, a token ahead; for filter.h's functions only.
//
// Thread safety: one thread, one use. Ownership: borrows text and field table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "registry/search/filter.h"

namespace espalier::registry::search {

class FilterParser {
 public:
  /// `what`: "where" or "order", for messages.
  FilterParser(std::string_view what, std::string_view text, const Fields& fields)
      : what_(what), text_(text), fields_(fields) {}
  Result<Filter> filter();
  Result<std::vector<OrderTerm>> order();

 private:
  enum class TokenKind : std::uint8_t { end, word, name, number, text, symbol };
  struct Token {
    TokenKind kind = TokenKind::end;
    std::size_t place = 0;
    std::string text;
    double number = 0;
  };

  Status check_bytes() const;
  Status advance();
  Status read_quoted(char quote);
  Status read_number();
  bool is_keyword(std::string_view word) const;
  bool is_symbol(std::string_view symbol) const;
  /// Passes over the word, or says that it is missing.
  Status expect_keyword(std::string_view word);

  Result<std::size_t> any_of(int depth);
  Result<std::size_t> all_of(int depth);
  Result<std::size_t> one(int depth);
  Result<std::size_t> test();
  Status relation_of(Test& test);
  Status in_list(Test& test);
  Status is_missing_of(Test& test);
  Result<FieldRef> field();
  /// The literal that stands here, as the field and the relation take it.
  Result<Value> literal(const Test& test);
  Result<Value> text_literal(const Test& test);
  Status check_relation(const Test& test, const Token& at) const;
  std::size_t add(Filter::Node node);

  Status error(std::string_view why) const { return error_at(token_.place, why); }
  Status error_at(std::size_t place, std::string_view why) const;

  const std::string_view what_;
  const std::string_view text_;
  const Fields& fields_;
  std::size_t at_ = 0;
  Token token_;
  std::size_t tests_ = 0;
  Filter filter_;
};

}  // namespace espalier::registry::search
