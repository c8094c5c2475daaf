#include "registry/search/filter_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "common/bytes.h"
#include "common/hash.h"
#include "common/utc.h"
#include "common/uuid.h"
#include "model/ids.h"

namespace espalier::registry::search {
namespace {

constexpr std::size_t kMaxShown = 200;  ///< bytes of a long filter that a message shows

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word_byte(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-'; }
bool is_inside_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr std::array<std::string_view, 8> kKeywords = {"and", "or", "not", "in", "like", "under", "is", "missing"};

}  // namespace

Result<Filter> Filter::parse(std::string_view text, const Fields& fields) {
  return FilterParser("where", text, fields).filter();
}

Result<std::vector<OrderTerm>> parse_order(std::string_view text, const Fields& fields) {
  return FilterParser("order", text, fields).order();
}

// Long text is shown around the place; what would break the line is shown as a blank.
Status FilterParser::error_at(std::size_t place, std::string_view why) const {
  std::size_t begin = place > kMaxShown / 2 ? place - kMaxShown / 2 : 0;
  while (begin > 0 && is_inside_character(text_[begin])) --begin;
  std::size_t end = std::min(text_.size(), begin + kMaxShown);
  while (end < text_.size() && is_inside_character(text_[end])) ++end;
  std::string shown = (begin > 0 ? "…" : "") + std::string(text_.substr(begin, end - begin));
  std::ranges::replace_if(
      shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  const std::size_t before = place - begin + (begin > 0 ? std::string_view("…").size() : 0);
  const auto columns = std::count_if(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(before),
                                     [](char c) { return !is_inside_character(c); });
  return invalid_argument(std::string(what_) + ": " + std::string(why) + "\n  " + shown +
                          (end < text_.size() ? "…" : "") + "\n  " +
                          std::string(static_cast<std::size_t>(columns), ' ') + "^");
}

Status FilterParser::check_bytes() const {
  if (text_.size() > kMaxFilterBytes) {
    return invalid_argument(std::string(what_) + ": " + std::to_string(text_.size()) + " bytes, at most " +
                            std::to_string(kMaxFilterBytes) + " are allowed");
  }
  if (!is_utf8(text_)) return invalid_argument(std::string(what_) + ": not UTF-8");
  const std::size_t nul = text_.find('\0');
  if (nul != std::string_view::npos) return error_at(nul, "a NUL byte");
  return {};
}

Result<Filter> FilterParser::filter() {
  RETURN_IF_ERROR(check_bytes());
  RETURN_IF_ERROR(advance());
  if (token_.kind == TokenKind::end) return Filter();
  ASSIGN_OR_RETURN(filter_.root_, any_of(0));
  if (token_.kind != TokenKind::end) return error("expected and, or, or the end");
  return std::move(filter_);
}

Result<std::vector<OrderTerm>> FilterParser::order() {
  RETURN_IF_ERROR(check_bytes());
  RETURN_IF_ERROR(advance());
  std::vector<OrderTerm> terms;
  if (token_.kind == TokenKind::end) return terms;
  for (;;) {
    const std::size_t place = token_.place;
    if (terms.size() == kMaxOrderFields) {
      return error_at(place, "more than " + std::to_string(kMaxOrderFields) + " fields");
    }
    OrderTerm term;
    ASSIGN_OR_RETURN(term.field, field());
    if (term.field.field->type == Type::tag) return error_at(place, "a tag is no order");
    if (is_keyword("asc") || is_keyword("desc")) {
      term.descending = is_keyword("desc");
      RETURN_IF_ERROR(advance());
    }
    terms.push_back(std::move(term));
    if (token_.kind == TokenKind::end) return terms;
    if (!is_symbol(",")) return error("expected asc, desc, a comma, or the end");
    RETURN_IF_ERROR(advance());
  }
}

Status FilterParser::advance() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  token_ = {TokenKind::end, at_, {}, 0};
  if (at_ == text_.size()) return {};
  const char first = text_[at_];
  if (first == '\'' || first == '"') return read_quoted(first);
  if (is_letter(first)) {
    while (at_ < text_.size() && is_word_byte(text_[at_])) token_.text.push_back(text_[at_++]);
    token_.kind = TokenKind::word;
    return {};
  }
  if (is_digit(first) || first == '-' || first == '+' || first == '.') return read_number();
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

Status FilterParser::read_quoted(char quote) {
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

Status FilterParser::read_number() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && (is_word_byte(text_[at_]) || text_[at_] == '+')) ++at_;
  std::string_view digits = text_.substr(begin, at_ - begin);
  token_.kind = TokenKind::number;
  token_.text = digits;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), token_.number);
  if (failure != std::errc() || end != digits.data() + digits.size() || !std::isfinite(token_.number)) {
    return error("not a number");
  }
  return {};
}

bool FilterParser::is_keyword(std::string_view word) const {
  return token_.kind == TokenKind::word && std::ranges::equal(token_.text, word, {}, lower);
}

bool FilterParser::is_symbol(std::string_view symbol) const {
  return token_.kind == TokenKind::symbol && token_.text == symbol;
}

Status FilterParser::expect_keyword(std::string_view word) {
  if (!is_keyword(word)) return error("expected " + std::string(word));
  return advance();
}

std::size_t FilterParser::add(Filter::Node node) {
  filter_.nodes_.push_back(std::move(node));
  return filter_.nodes_.size() - 1;
}

Result<std::size_t> FilterParser::any_of(int depth) {
  ASSIGN_OR_RETURN(const std::size_t first, all_of(depth));
  Filter::Node node{.kind = Filter::Kind::any_of, .operands = {first}};
  while (is_keyword("or")) {
    RETURN_IF_ERROR(advance());
    ASSIGN_OR_RETURN(const std::size_t next, all_of(depth));
    node.operands.push_back(next);
  }
  return node.operands.size() == 1 ? first : add(std::move(node));
}

Result<std::size_t> FilterParser::all_of(int depth) {
  ASSIGN_OR_RETURN(const std::size_t first, one(depth));
  Filter::Node node{.kind = Filter::Kind::all_of, .operands = {first}};
  while (is_keyword("and")) {
    RETURN_IF_ERROR(advance());
    ASSIGN_OR_RETURN(const std::size_t next, one(depth));
    node.operands.push_back(next);
  }
  return node.operands.size() == 1 ? first : add(std::move(node));
}

Result<std::size_t> FilterParser::one(int depth) {
  if (depth > kMaxFilterDepth) return error("nested deeper than " + std::to_string(kMaxFilterDepth));
  if (is_keyword("not")) {
    RETURN_IF_ERROR(advance());
    ASSIGN_OR_RETURN(const std::size_t operand, one(depth + 1));
    return add({.kind = Filter::Kind::negation, .operands = {operand}});
  }
  if (!is_symbol("(")) return test();
  RETURN_IF_ERROR(advance());
  ASSIGN_OR_RETURN(const std::size_t inner, any_of(depth + 1));
  if (!is_symbol(")")) return error("expected and, or, or )");
  RETURN_IF_ERROR(advance());
  return inner;
}

Result<FieldRef> FilterParser::field() {
  const bool is_name = token_.kind == TokenKind::name;
  if (!is_name && (token_.kind != TokenKind::word ||
                   std::ranges::any_of(kKeywords, [&](std::string_view word) { return is_keyword(word); }))) {
    return error("expected a field");
  }
  FieldRef found = find_field(fields_, token_.text);
  if (found.field == nullptr) {
    const std::string nearest = nearest_field(fields_, token_.text);
    return error("no field '" + token_.text + "'" + (nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
  }
  RETURN_IF_ERROR(advance());
  return found;
}

Result<std::size_t> FilterParser::test() {
  if (++tests_ > kMaxTests) return error("more than " + std::to_string(kMaxTests) + " tests");
  Test test;
  ASSIGN_OR_RETURN(test.field, field());
  if (is_keyword("is")) {
    RETURN_IF_ERROR(is_missing_of(test));
  } else {
    RETURN_IF_ERROR(relation_of(test));
  }
  return add({.kind = Filter::Kind::test, .test = std::move(test)});
}

Status FilterParser::is_missing_of(Test& test) {
  if (test.field.field->type == Type::tag) return error("a tag takes =, != and in");
  RETURN_IF_ERROR(advance());
  test.relation = Relation::missing;
  if (is_keyword("not")) {
    test.negated = true;
    RETURN_IF_ERROR(advance());
  }
  return expect_keyword("missing");
}

Status FilterParser::relation_of(Test& test) {
  const Token at = token_;
  if (is_keyword("not")) {
    test.negated = true;
    RETURN_IF_ERROR(advance());
    if (!is_keyword("in") && !is_keyword("like") && !is_keyword("under")) {
      return error("expected in, like or under");
    }
  }
  if (is_keyword("in")) return in_list(test);
  static constexpr std::array<std::pair<std::string_view, Relation>, 6> kRelations = {
      {{"=", Relation::equal},
       {"!=", Relation::equal},
       {"<", Relation::less},
       {"<=", Relation::less_equal},
       {">", Relation::greater},
       {">=", Relation::greater_equal}}};
  const auto found = std::ranges::find_if(kRelations, [&](const auto& pair) { return is_symbol(pair.first); });
  if (found != kRelations.end()) {
    test.relation = found->second;
    test.negated = token_.text == "!=";
  } else if (is_keyword("like") || is_keyword("under")) {
    test.relation = is_keyword("like") ? Relation::like : Relation::under;
  } else {
    return error("expected = != < <= > >= in like under or is");
  }
  RETURN_IF_ERROR(check_relation(test, at));
  RETURN_IF_ERROR(advance());
  ASSIGN_OR_RETURN(Value value, literal(test));
  test.literals.push_back(std::move(value));
  return advance();
}

Status FilterParser::in_list(Test& test) {
  RETURN_IF_ERROR(advance());
  if (!is_symbol("(")) return error("expected (");
  do {
    RETURN_IF_ERROR(advance());
    ASSIGN_OR_RETURN(Value value, literal(test));
    test.literals.push_back(std::move(value));
    RETURN_IF_ERROR(advance());
  } while (is_symbol(","));
  if (!is_symbol(")")) return error("expected a comma or )");
  return advance();
}

Status FilterParser::check_relation(const Test& test, const Token& at) const {
  const Type type = test.field.field->type;
  if (type == Type::tag && test.relation != Relation::equal) return error_at(at.place, "a tag takes =, != and in");
  if (test.relation == Relation::under && type != Type::partition) {
    return error_at(at.place,
                    "under is for partitions; '" + test.field.field->name + "' is " + std::string(type_name(type)));
  }
  if (test.relation == Relation::like && (type == Type::number || type == Type::time)) {
    return error_at(at.place, "like is for text; '" + test.field.field->name + "' is " + std::string(type_name(type)));
  }
  return {};
}

Result<Value> FilterParser::literal(const Test& test) {
  const Type type = test.field.field->type;
  if (token_.kind == TokenKind::text) return text_literal(test);
  if (token_.kind != TokenKind::number) {
    const bool bare = token_.kind == TokenKind::word || token_.kind == TokenKind::name;
    return error(bare ? "expected a number, or text in single quotes" : "expected a number or text");
  }
  if (type == Type::number || (type == Type::scalar && test.relation != Relation::like)) return Value(token_.number);
  return error("'" + test.field.field->name + "' is " + std::string(type_name(type)) +
               ": it takes text in single quotes");
}

Result<Value> FilterParser::text_literal(const Test& test) {
  const std::string& text = token_.text;
  const Type type = test.field.field->type;
  if (test.relation == Relation::like && text.size() > kMaxPatternBytes) {
    return error("a pattern of " + std::to_string(text.size()) + " bytes; at most " + std::to_string(kMaxPatternBytes) +
                 " are allowed");
  }
  if (test.relation == Relation::like || type == Type::text || type == Type::scalar || type == Type::tag) {
    return Value(text);
  }
  if (type == Type::number) return error("'" + test.field.field->name + "' is a number, this is text");
  if (type == Type::time) {
    const auto time = parse_utc(text);
    if (!time) return error("not a time: '2026-11-20' or '2026-11-20 22:15:03' is expected");
    return Value(static_cast<double>(*time));
  }
  if (type == Type::partition) {
    const auto partition = model::Partition::parse(text);
    if (!partition.ok()) return error(partition.status().message());
    return Value(partition->text());
  }
  if (type == Type::uuid) {
    const auto uuid = Uuid::parse(text);
    if (!uuid.ok()) return error("not a UUID");
    return Value(uuid->text());
  }
  const auto hash = Hash256::parse(text);
  if (!hash.ok()) return error("not a hash of 64 hexadecimal digits");
  return Value(hash->hex());
}

}  // namespace espalier::registry::search
