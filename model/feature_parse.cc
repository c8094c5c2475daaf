#include "model/feature_parse.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/bytes.h"

namespace espalier::model {
namespace {

/// The arguments, options and flags that a function takes.
struct FunctionRule {
  std::string_view name;
  std::size_t least;
  std::size_t most;
  std::vector<std::string_view> options;  ///< name=value
  std::vector<std::string_view> flags;    ///< name
};

const std::vector<FunctionRule>& function_rules() {
  static const std::vector<FunctionRule> rules = {
      {"abs", 1, 1, {}, {}},
      {"buckets", 2, 257, {}, {}},
      {"chars", 1, 3, {"min_rows", "max", "hash", "weights"}, {"sublinear", "across"}},
      {"cross", 2, 4, {"min_rows", "max"}, {}},
      {"day", 1, 1, {}, {}},
      {"exp", 1, 1, {}, {}},
      {"fill", 1, 2, {}, {"mean", "median"}},
      {"hour", 1, 1, {}, {}},
      {"log", 1, 1, {}, {}},
      {"log1p", 1, 1, {}, {}},
      {"max", 2, 16, {}, {}},
      {"min", 2, 16, {}, {}},
      {"missing", 1, 1, {}, {}},
      {"month", 1, 1, {}, {}},
      {"onehot", 1, 1, {"min_rows", "max"}, {}},
      {"sqrt", 1, 1, {}, {}},
      {"standardise", 1, 1, {}, {}},
      {"weekday", 1, 1, {}, {}},
      {"words", 1, 3, {"min_rows", "max", "hash", "weights"}, {"sublinear"}},
      {"year", 1, 1, {}, {}},
  };
  return rules;
}

const FunctionRule* find_rule(std::string_view name) {
  for (const FunctionRule& rule : function_rules()) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

bool contains(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Syntax> run() {
    if (text_.size() > kMaxExpressionBytes) {
      return invalid_argument("longer than " + std::to_string(kMaxExpressionBytes) + " bytes");
    }
    if (!is_utf8(text_)) return invalid_argument("not UTF-8");
    if (text_.find_first_of(std::string_view("\n\r\0", 3)) != std::string_view::npos) {
      return invalid_argument("an expression stands on one line");
    }
    ASSIGN_OR_RETURN(Syntax root, sum());
    skip();
    if (at_ < text_.size()) return wrong(at_, "expected an operator or the end");
    return root;
  }

 private:
  Status wrong(std::size_t at, const std::string& message) const { return expression_error(text_, at, message); }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  bool next_is(char c) {
    skip();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool take(char c) { return next_is(c) ? (++at_, true) : false; }

  static Syntax operation(char sign, std::size_t at, Syntax left, Syntax right) {
    Syntax node{.kind = Syntax::Kind::operation,
                .at = at,
                .number = 0,
                .name = {},
                .operation = sign,
                .children = {},
                .options = {}};
    node.children.push_back(std::move(left));
    node.children.push_back(std::move(right));
    return node;
  }

  Result<Syntax> sum() {
    ASSIGN_OR_RETURN(Syntax left, product());
    int chained = 0;
    while (next_is('+') || next_is('-')) {
      const std::size_t at = at_++;
      if (++chained > kMaxExpressionDepth) return wrong(at, "too many terms");
      ASSIGN_OR_RETURN(Syntax right, product());
      left = operation(text_[at], at, std::move(left), std::move(right));
    }
    return left;
  }

  Result<Syntax> product() {
    ASSIGN_OR_RETURN(Syntax left, unary());
    int chained = 0;
    while (next_is('*') || next_is('/')) {
      const std::size_t at = at_++;
      if (++chained > kMaxExpressionDepth) return wrong(at, "too many factors");
      ASSIGN_OR_RETURN(Syntax right, unary());
      left = operation(text_[at], at, std::move(left), std::move(right));
    }
    return left;
  }

  Result<Syntax> unary() {
    skip();
    if (++depth_ > kMaxExpressionDepth) return wrong(at_, "nested too deep");
    const std::size_t at = at_;
    if (take('-')) {
      ASSIGN_OR_RETURN(Syntax inner, unary());
      Syntax node;
      node.at = at;
      if (inner.kind == Syntax::Kind::number) {
        node.number = -inner.number;
      } else {
        node.kind = Syntax::Kind::negate;
        node.children.push_back(std::move(inner));
      }
      --depth_;
      return node;
    }
    ASSIGN_OR_RETURN(Syntax base, primary());
    if (next_is('^')) {
      const std::size_t sign = at_++;
      ASSIGN_OR_RETURN(Syntax exponent, unary());
      base = operation('^', sign, std::move(base), std::move(exponent));
    }
    --depth_;
    return base;
  }

  Result<Syntax> primary() {
    skip();
    const std::size_t at = at_;
    if (at_ >= text_.size()) return wrong(at, "expected a column, a number or a function");
    const char c = text_[at_];
    if (take('(')) {
      ASSIGN_OR_RETURN(Syntax inner, sum());
      if (!take(')')) return wrong(at_, "expected )");
      return inner;
    }
    if (is_digit(c) || c == '.') return number();
    Syntax node;
    node.at = at;
    node.kind = Syntax::Kind::name;
    if (c == '`') {
      const std::size_t end = text_.find('`', at + 1);
      if (end == std::string_view::npos) return wrong(at, "a quoted column name has no closing `");
      if (end == at + 1) return wrong(at, "an empty column name");
      node.name = text_.substr(at + 1, end - at - 1);
      at_ = end + 1;
      return node;
    }
    if (!starts_name(c)) return wrong(at, "expected a column, a number or a function");
    node.name = word();
    if (take('(')) return call(std::move(node));
    return node;
  }

  std::string word() {
    const std::size_t from = at_;
    while (at_ < text_.size() && (starts_name(text_[at_]) || is_digit(text_[at_]))) ++at_;
    return std::string(text_.substr(from, at_ - from));
  }

  Result<Syntax> number() {
    Syntax node;
    node.at = at_;
    const char* end = text_.data() + text_.size();
    const auto [rest, error] = std::from_chars(text_.data() + at_, end, node.number);
    if (error != std::errc() || !std::isfinite(node.number)) return wrong(at_, "not a number that can be stored");
    at_ = static_cast<std::size_t>(rest - text_.data());
    if (at_ < text_.size() && (starts_name(text_[at_]) || text_[at_] == '.')) return wrong(node.at, "not a number");
    return node;
  }

  Result<Syntax> call(Syntax node) {
    node.kind = Syntax::Kind::call;
    const FunctionRule* rule = find_rule(node.name);
    if (rule == nullptr) {
      std::vector<std::string_view> known;
      for (const FunctionRule& each : function_rules()) known.push_back(each.name);
      std::string list;
      for (const auto& name : known) list += (list.empty() ? "" : ", ") + std::string(name);
      return wrong(node.at, "unknown function \"" + node.name + "\"" + suggestion(node.name, known) +
                                " (functions: " + list + ")");
    }
    if (!next_is(')')) {
      do {
        RETURN_IF_ERROR(argument(*rule, node));
      } while (take(','));
    }
    if (!take(')')) return wrong(at_, "expected , or )");
    if (node.children.size() < rule->least || node.children.size() > rule->most) {
      const std::string count = rule->least == rule->most
                                    ? std::to_string(rule->least)
                                    : std::to_string(rule->least) + " to " + std::to_string(rule->most);
      return wrong(node.at, node.name + "() takes " + count + (count == "1" ? " argument, not " : " arguments, not ") +
                                std::to_string(node.children.size()));
    }
    return node;
  }

  Status argument(const FunctionRule& rule, Syntax& node) {
    skip();
    const std::size_t at = at_;
    if (at_ < text_.size() && starts_name(text_[at_])) {
      Syntax::Option option;
      option.name = word();
      option.at = at;
      const bool assigned = take('=');
      const bool flag =
          !assigned && !node.children.empty() && contains(rule.flags, option.name) && (next_is(',') || next_is(')'));
      if (assigned || flag) return take_option(rule, node, std::move(option), assigned);
      at_ = at;
    }
    auto child = sum();
    if (!child.ok()) return child.status();
    node.children.push_back(*std::move(child));
    return {};
  }

  Status take_option(const FunctionRule& rule, Syntax& node, Syntax::Option option, bool assigned) {
    if (assigned && !contains(rule.options, option.name)) {
      std::string list;
      for (const auto& name : rule.options) list += (list.empty() ? "" : ", ") + std::string(name) + "=";
      for (const auto& name : rule.flags) list += (list.empty() ? "" : ", ") + std::string(name);
      return wrong(option.at, node.name + "() has no option \"" + option.name + "=\"" +
                                  suggestion(option.name, rule.options) +
                                  (list.empty() ? " (it has none)" : " (options: " + list + ")"));
    }
    for (const Syntax::Option& other : node.options) {
      if (other.name == option.name) return wrong(option.at, "option \"" + option.name + "\" stands twice");
    }
    if (assigned) {
      skip();
      const std::size_t at = at_;
      if (at_ < text_.size() && starts_name(text_[at_])) {
        option.word = word();
      } else {
        const bool negative = take('-');
        if (at_ >= text_.size() || !is_digit(text_[at_])) return wrong(at, "expected a number or a word");
        auto value = number();
        if (!value.ok()) return value.status();
        option.is_number = true;
        option.number = negative ? -value->number : value->number;
      }
    }
    node.options.push_back(std::move(option));
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<Syntax> parse_expression(std::string_view expression) { return Parser(expression).run(); }

Status expression_error(std::string_view expression, std::size_t at, const std::string& message) {
  at = std::min(at, expression.size());
  std::size_t column = 0;
  for (std::size_t i = 0; i < at; ++i) column += (static_cast<unsigned char>(expression[i]) & 0xC0) != 0x80 ? 1 : 0;
  return invalid_argument("column " + std::to_string(column + 1) + ": " + message + "\n  " + std::string(expression) +
                          "\n  " + std::string(column, ' ') + "^");
}

std::string suggestion(std::string_view name, const std::vector<std::string_view>& known) {
  if (name.size() > 64) return {};
  std::string_view best;
  std::size_t least = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t steps = distance(name, candidate);
    if (steps < least) {
      least = steps;
      best = candidate;
    }
  }
  return best.empty() ? std::string() : "; did you mean \"" + std::string(best) + "\"?";
}

}  // namespace espalier::model
