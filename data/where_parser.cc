#include "data/where_parser.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "data/reader.h"

namespace espalier::data {
namespace {

constexpr int kMaxDepth = 100;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_word_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == '+' ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

Status where_error(std::string_view text, std::size_t place, std::string_view what) {
  std::string shown(text);
  std::ranges::replace_if(
      shown, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  // The caret goes under a character, not a byte: continuation bytes of UTF-8 take no place of their own.
  const auto columns = std::count_if(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(place),
                                     [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  return invalid_argument("where: " + std::string(what) + "\n  " + shown + "\n  " +
                          std::string(static_cast<std::size_t>(columns), ' ') + "^");
}

Result<Where> WhereParser::parse() {
  where_.text_ = text_;
  RETURN_IF_ERROR(advance());
  if (token_.kind == TokenKind::end) return error("the filter is empty");
  ASSIGN_OR_RETURN(where_.root_, any_of(0));
  if (token_.kind != TokenKind::end) return error("expected and, or, or the end");
  return std::move(where_);
}

Status WhereParser::advance() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  token_ = {TokenKind::end, at_, {}, 0};
  if (at_ == text_.size()) return {};
  const char first = text_[at_];
  if (first == '\'' || first == '"') return read_quoted(first);
  if (is_word_byte(first)) {
    read_word();
    return {};
  }
  static constexpr std::array<std::string_view, 10> kSymbols = {"!=", "<=", ">=", "<>", "=", "<", ">", "(", ")", ","};
  for (const std::string_view symbol : kSymbols) {
    if (!text_.substr(at_).starts_with(symbol)) continue;
    token_.kind = TokenKind::symbol;
    token_.text = symbol == "<>" ? "!=" : symbol;
    at_ += symbol.size();
    return {};
  }
  return error("a character that belongs to no filter");
}

Status WhereParser::read_quoted(char quote) {
  for (++at_;; ++at_) {
    if (at_ >= text_.size()) return error("a quote that is never closed");
    if (text_[at_] != quote) {
      token_.text.push_back(text_[at_]);
    } else if (at_ + 1 < text_.size() && text_[at_ + 1] == quote) {
      token_.text.push_back(text_[++at_]);
    } else {
      break;
    }
  }
  ++at_;
  token_.kind = quote == '"' ? TokenKind::name : TokenKind::text;
  return {};
}

void WhereParser::read_word() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && is_word_byte(text_[at_])) ++at_;
  token_.kind = TokenKind::word;
  token_.text = text_.substr(begin, at_ - begin);
  if (const auto number = parse_number(token_.text)) {
    token_.kind = TokenKind::number;
    token_.number = *number;
  }
}

bool WhereParser::is_keyword(std::string_view word) const {
  return token_.kind == TokenKind::word && std::ranges::equal(token_.text, word, [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

bool WhereParser::is_symbol(std::string_view symbol) const {
  return token_.kind == TokenKind::symbol && token_.text == symbol;
}

Result<std::size_t> WhereParser::any_of(int depth) {
  ASSIGN_OR_RETURN(const std::size_t first, all_of(depth));
  Where::Node node{.kind = Where::Kind::any_of, .operands = {first}};
  while (is_keyword("or")) {
    RETURN_IF_ERROR(advance());
    ASSIGN_OR_RETURN(const std::size_t next, all_of(depth));
    node.operands.push_back(next);
  }
  return node.operands.size() == 1 ? first : add(std::move(node));
}

Result<std::size_t> WhereParser::all_of(int depth) {
  ASSIGN_OR_RETURN(const std::size_t first, one(depth));
  Where::Node node{.kind = Where::Kind::all_of, .operands = {first}};
  while (is_keyword("and")) {
    RETURN_IF_ERROR(advance());
    ASSIGN_OR_RETURN(const std::size_t next, one(depth));
    node.operands.push_back(next);
  }
  return node.operands.size() == 1 ? first : add(std::move(node));
}

Result<std::size_t> WhereParser::one(int depth) {
  if (depth > kMaxDepth) return error("nested deeper than " + std::to_string(kMaxDepth));
  if (is_keyword("not")) {
    RETURN_IF_ERROR(advance());
    ASSIGN_OR_RETURN(const std::size_t operand, one(depth + 1));
    return add({.kind = Where::Kind::negation, .operands = {operand}});
  }
  if (!is_symbol("(")) return comparison();
  RETURN_IF_ERROR(advance());
  ASSIGN_OR_RETURN(const std::size_t inner, any_of(depth + 1));
  if (!is_symbol(")")) return error("expected and, or, or )");
  RETURN_IF_ERROR(advance());
  return inner;
}

Result<std::size_t> WhereParser::comparison() {
  if (token_.kind != TokenKind::word && token_.kind != TokenKind::name) return error("expected a column");
  const Token column = token_;
  RETURN_IF_ERROR(advance());
  if (is_keyword("in")) return membership(column, false);
  if (is_keyword("not")) {
    RETURN_IF_ERROR(advance());
    if (!is_keyword("in")) return error("expected in");
    return membership(column, true);
  }
  static constexpr std::array<std::string_view, 6> kOperators = {"=", "!=", "<", "<=", ">", ">="};
  const auto found = std::ranges::find(kOperators, token_.text);
  if (token_.kind != TokenKind::symbol || found == kOperators.end()) {
    return error("expected = != < <= > >= or in");
  }
  RETURN_IF_ERROR(advance());
  ASSIGN_OR_RETURN(const Token right, literal());
  Where::Node node{.kind = Where::Kind::comparison};
  node.comparison = static_cast<Where::Comparison>(found - kOperators.begin());
  if (right.kind == TokenKind::number) {
    node.field = field(column, model::FieldType::number);
    node.numbers.push_back(right.number);
  } else {
    node.field = field(column, model::FieldType::text);
    node.texts.push_back(right.text);
  }
  return add(std::move(node));
}

Result<std::size_t> WhereParser::membership(const Token& column, bool negated) {
  RETURN_IF_ERROR(advance());
  if (!is_symbol("(")) return error("expected ( and a list");
  Where::Node node{.kind = Where::Kind::membership};
  do {
    RETURN_IF_ERROR(advance());
    const Token before = token_;
    ASSIGN_OR_RETURN(const Token item, literal());
    const bool is_number = item.kind == TokenKind::number;
    if (is_number ? !node.texts.empty() : !node.numbers.empty()) {
      return where_error(text_, before.place, "a list has numbers or text, not both (quote numbers to make them text)");
    }
    if (is_number)
      node.numbers.push_back(item.number);
    else
      node.texts.push_back(item.text);
  } while (is_symbol(","));
  if (!is_symbol(")")) return error("expected , or )");
  RETURN_IF_ERROR(advance());
  node.field = field(column, node.numbers.empty() ? model::FieldType::text : model::FieldType::number);
  const std::size_t member = add(std::move(node));
  if (!negated) return member;
  return add({.kind = Where::Kind::negation, .operands = {member}});
}

Result<WhereParser::Token> WhereParser::literal() {
  if (token_.kind != TokenKind::number && token_.kind != TokenKind::text && token_.kind != TokenKind::word) {
    return error("expected a number, a word or 'text'");
  }
  Token result = token_;
  RETURN_IF_ERROR(advance());
  return result;
}

std::size_t WhereParser::field(const Token& column, model::FieldType type) {
  const model::Field wanted{column.text, type};
  const auto found = std::ranges::find(where_.fields_, wanted);
  if (found != where_.fields_.end()) return static_cast<std::size_t>(found - where_.fields_.begin());
  where_.fields_.push_back(wanted);
  where_.places_.push_back(column.place);
  return where_.fields_.size() - 1;
}

std::size_t WhereParser::add(Where::Node node) {
  where_.nodes_.push_back(std::move(node));
  return where_.nodes_.size() - 1;
}

}  // namespace espalier::data
