#include "registry/search/plain_numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace espalier::registry::search {
namespace {

constexpr std::size_t kMostNumbers = 64;

bool is_decimal(char c) { return c >= '0' && c <= '9'; }

/// Goes over a text once; each function passes over what it reads.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool at_end() const { return at_ == end_; }
  void pass_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) ++at_;
  }
  bool take(char wanted) {
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }
  /// A text of printable ASCII without escapes.
  bool take_name(std::string_view& to) {
    if (!take('"')) return false;
    const char* const begin = at_;
    while (at_ != end_ && *at_ != '"') {
      if (*at_ < ' ' || *at_ > '~' || *at_ == '\\') return false;
      ++at_;
    }
    to = {begin, static_cast<std::size_t>(at_ - begin)};
    return take('"');
  }
  /// JSON's grammar is narrower than from_chars(): no leading zeros, digits on both sides of the point.
  bool take_number(double& to) {
    const char* const begin = at_;
    static_cast<void>(take('-'));
    if (!take('0') && !take_digits()) return false;
    if (take('.') && !take_digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) static_cast<void>(take('-'));
      if (!take_digits()) return false;
    }
    const auto [end, error] = std::from_chars(begin, at_, to);
    return error == std::errc() && end == at_ && std::isfinite(to);
  }

 private:
  bool take_digits() {
    const char* const begin = at_;
    while (at_ != end_ && is_decimal(*at_)) ++at_;
    return at_ != begin;
  }

  const char* at_;
  const char* const end_;
};

void add(std::string_view name, double number, std::vector<NamedNumber>& to) {
  const auto at = std::ranges::lower_bound(to, name, {}, &NamedNumber::name);
  if (at != to.end() && at->name == name) {
    at->number = number;
  } else {
    to.insert(at, {name, number});
  }
}

}  // namespace

bool read_plain_numbers(std::string_view text, std::vector<NamedNumber>& to) {
  to.clear();
  Scanner scanner(text);
  scanner.pass_space();
  if (!scanner.take('{')) return false;
  scanner.pass_space();
  bool more = !scanner.take('}');
  while (more) {
    NamedNumber number;
    scanner.pass_space();
    if (to.size() == kMostNumbers || !scanner.take_name(number.name)) return false;
    scanner.pass_space();
    if (!scanner.take(':')) return false;
    scanner.pass_space();
    if (!scanner.take_number(number.number)) return false;
    scanner.pass_space();
    add(number.name, number.number, to);
    more = scanner.take(',');
    if (!more && !scanner.take('}')) return false;
  }
  scanner.pass_space();
  return scanner.at_end();
}

}  // namespace espalier::registry::search
