// toml++ 3.3 states what it takes for impossible by assertions, some of which a wrong file breaks: it aborts, or with
// NDEBUG runs into undefined behaviour. Here it is compiled in (this is the only file that includes it) with assertions
// that throw. What it takes for unreachable (any letter of Latin-1 where white space may stand) gives "no" instead.
#undef NDEBUG
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_ASSERT(expression)                            \
  do {                                                     \
    if (!(expression)) throw std::logic_error("not TOML"); \
  } while (false)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wterminate"  // an assertion within a noexcept function may end the program
#include <stdexcept>

#include <toml++/impl/forward_declarations.h>
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE \
  return {}
#include <toml++/impl/unicode.h>
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE throw std::logic_error("not TOML")
#include <toml++/toml.h>
#pragma GCC diagnostic pop

#include "model/spec_toml.h"

#include <algorithm>

namespace espalier::model {
namespace {

constexpr int kMaxSpecDepth = 8;
constexpr int kMaxKeyDots = 32;

/// Refuses what toml++ 3.3 has no answer to, with its place: headers without a key, values that are not there, and keys
/// of thousands of parts (a recursion each). Follows strings, comments and brackets up to the first mistake, where
/// toml++ stops too.
class TomlGuard {
 public:
  TomlGuard(std::string_view text, std::string_view source) : text_(text), source_(source) {}

  Status run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        line_start_ = at_ + 1;
        assigned_ = false;
        dots_ = 0;
      } else if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r') {
        return wrong("a control character");
      } else if (c == '#') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (c == '"' || c == '\'') {
        skip_string(c);
      } else if (c == '.') {
        if (++dots_ > kMaxKeyDots) return wrong("a key of too many parts");
      } else if (c == '[') {
        if (brackets_ == 0 && !assigned_) RETURN_IF_ERROR(check_header());
        ++brackets_;
        dots_ = 0;
      } else if (c == ']') {
        brackets_ = std::max(0, brackets_ - 1);
      } else if (c == '=' || c == ',' || c == '{') {
        assigned_ = assigned_ || c == '=';
        dots_ = 0;
      }
      if (at_ < text_.size() && c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '#') {
        if (lacks_value(c)) return wrong("a value is expected here");
        previous_ = c;
      }
      ++at_;
    }
    return {};
  }

 private:
  bool lacks_value(char c) const {
    if (c == ']') return previous_ == '=';
    return (c == '}' || c == ',') &&
           (previous_ == ',' || previous_ == '=' || previous_ == '[' || (c == ',' && previous_ == '{'));
  }

  Status wrong(const std::string& message) const {
    return invalid_argument(source_ + ":" + std::to_string(line_) + ":" + std::to_string(at_ - line_start_ + 1) + ": " +
                            message);
  }

  /// at_ stays on the last character of the string.
  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool many_lines = text_.substr(at_, 3) == three;
    at_ += many_lines ? 3 : 1;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\' && quote == '"') {
        ++at_;
        if (at_ < text_.size() && text_[at_] == '\n') --at_;
      } else if (c == '\n') {
        if (!many_lines) {
          --at_;
          return;
        }
        ++line_;
        line_start_ = at_ + 1;
      } else if (c == quote && !many_lines) {
        return;
      } else if (many_lines && text_.substr(at_, 3) == three) {
        // Up to two quotes may stand before the closing three.
        at_ += 2;
        for (int more = 0; more < 2 && at_ + 1 < text_.size() && text_[at_ + 1] == quote; ++more) ++at_;
        return;
      }
    }
  }

  Status check_header() const {
    std::size_t at = at_ + 1;
    const auto skip = [&] {
      while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t')) ++at;
    };
    skip();
    if (at < text_.size() && text_[at] == '[') {
      ++at;
      skip();
    }
    if (at >= text_.size()) return {};
    const char c = text_[at];
    const bool key = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                     c == '-' || c == '"' || c == '\'' || c == ']';
    return key ? Status() : wrong("a table's name is expected after [");
  }

  std::string_view text_;
  std::string source_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t line_start_ = 0;
  bool assigned_ = false;
  char previous_ = 0;  ///< the last character that is neither white space nor comment
  int brackets_ = 0;
  int dots_ = 0;
};

Result<Json> from_toml(const toml::node& node, const std::string& path, Places& places, int depth) {
  const toml::source_position begin = node.source().begin;
  if (!path.empty()) places.set(path, begin.line, begin.column);
  if (depth > kMaxSpecDepth) return places.wrong(path, "nested too deep");
  if (const auto* table = node.as_table()) {
    Json object = Json::object();
    for (const auto& [key, value] : *table) {
      const std::string name(key.str());
      const std::string inner = path.empty() ? name : path + "." + name;
      ASSIGN_OR_RETURN(object[name], from_toml(value, inner, places, depth + 1));
      const toml::source_position at = key.source().begin;
      places.set(inner, at.line, at.column);
    }
    return object;
  }
  if (const auto* list = node.as_array()) {
    Json array = Json::array();
    for (const auto& value : *list) {
      const std::string inner = path + "[" + std::to_string(array.size()) + "]";
      ASSIGN_OR_RETURN(Json item, from_toml(value, inner, places, depth + 1));
      array.push_back(std::move(item));
    }
    return array;
  }
  if (const auto text = node.value_exact<std::string>()) return Json(*text);
  if (const auto integer = node.value_exact<std::int64_t>()) return Json(*integer);
  if (const auto number = node.value_exact<double>()) return Json(*number);
  if (const auto truth = node.value_exact<bool>()) return Json(*truth);
  return places.wrong(path, "dates and times have no place in a spec");
}

}  // namespace

Result<Json> read_toml(std::string_view text, Places& places) {
  RETURN_IF_ERROR(TomlGuard(text, places.source()).run());
  try {
    return from_toml(toml::parse(text), "", places, 0);
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    return invalid_argument(places.source() + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " +
                            std::string(error.description()));
  } catch (const std::logic_error& error) {
    return invalid_argument(places.source() + ": " + error.what());
  }
}

}  // namespace espalier::model
