// From a filter's text to its nodes (the grammar stands in data/where.h).
//
// Thread safety: a parser belongs to one thread. Errors: invalid_argument with a caret under the place.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/status.h"
#include "data/where.h"

namespace espalier::data {

/// "where: WHAT", the filter, and a caret under its byte `place`.
Status where_error(std::string_view text, std::size_t place, std::string_view what);

class WhereParser {
 public:
  explicit WhereParser(std::string_view text) : text_(text) {}
  Result<Where> parse();

 private:
  enum class TokenKind { end, word, name, text, number, symbol };
  struct Token {
    TokenKind kind = TokenKind::end;
    std::size_t place = 0;
    std::string text;  ///< without quotes
    double number = 0;
  };

  Status advance();
  Status read_quoted(char quote);
  void read_word();
  bool is_keyword(std::string_view word) const;
  bool is_symbol(std::string_view symbol) const;
  Status error(std::string_view what) const { return where_error(text_, token_.place, what); }

  Result<std::size_t> any_of(int depth);
  Result<std::size_t> all_of(int depth);
  Result<std::size_t> one(int depth);
  Result<std::size_t> comparison();
  Result<std::size_t> membership(const Token& column, bool negated);
  Result<Token> literal();
  std::size_t field(const Token& column, model::FieldType type);
  std::size_t add(Where::Node node);

  std::string_view text_;
  std::size_t at_ = 0;
  Token token_;
  Where where_;
};

}  // namespace espalier::data
