#include "common/utc.h"

#include <chrono>

namespace espalier {
namespace {

/// Takes exactly `digits` digits from the front.
bool take(std::string_view& text, int digits, unsigned& to) {
  to = 0;
  for (int i = 0; i < digits; ++i) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return false;
    to = to * 10 + static_cast<unsigned>(text.front() - '0');
    text.remove_prefix(1);
  }
  return true;
}

bool take(std::string_view& text, char mark) {
  if (text.empty() || text.front() != mark) return false;
  text.remove_prefix(1);
  return true;
}

/// ".25" as 250,000 microseconds; at most six digits.
bool take_fraction(std::string_view& text, std::int64_t& us) {
  us = 0;
  std::int64_t unit = 100'000;
  unsigned digit = 0;
  for (; unit > 0 && take(text, 1, digit); unit /= 10) us += unit * digit;
  return unit < 100'000;
}

}  // namespace

std::optional<std::int64_t> parse_utc(std::string_view text) {
  unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  std::int64_t us = 0;
  if (!take(text, 4, year) || !take(text, '-') || !take(text, 2, month) || !take(text, '-') || !take(text, 2, day)) {
    return std::nullopt;
  }
  if (take(text, ' ') || take(text, 'T')) {
    if (!take(text, 2, hour) || !take(text, ':') || !take(text, 2, minute)) return std::nullopt;
    if (take(text, ':') && !take(text, 2, second)) return std::nullopt;
    if (take(text, '.') && !take_fraction(text, us)) return std::nullopt;
    take(text, 'Z');
  }
  if (!text.empty() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok() || year < 1970) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * 60'000'000 + static_cast<std::int64_t>(second) * 1'000'000 + us;
}

}  // namespace espalier
