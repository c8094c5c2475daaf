// Running a feature program: everything was checked by open(), so nothing is checked here.

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/bytes.h"
#include "model/feature_program.h"
#include "model/feature_text.h"

namespace espalier::model {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// Undefined and overflowed results are missing.
double defined(double x) { return std::isfinite(x) ? x : kMissing; }

double power(double x, double y) {
  if (std::isnan(x) || std::isnan(y)) return kMissing;  // pow(NaN, 0) would be 1
  return y == 2 ? x * x : std::pow(x, y);
}

std::uint32_t category_of_text(const char* data, const Value& value) {
  const TextTable table = TextTable::at(data);
  if (value.kind != Value::Kind::text) return table.head.count + (table.head.flags & kHasMissing);
  const std::uint32_t found = table.find(value.text);
  return found == kNone ? table.head.count : found;
}

std::uint32_t category_of_number(const char* data, double x) {
  const auto head = load<TableHead>(data);
  if (std::isnan(x)) return head.count + (head.flags & kHasMissing);
  const auto* begin = reinterpret_cast<const double*>(data + sizeof head);
  const auto* place = std::lower_bound(begin, begin + head.count, x);
  return place != begin + head.count && *place == x ? static_cast<std::uint32_t>(place - begin) : head.count;
}

std::uint32_t bucket_of(const char* data, double x) {
  const auto head = load<TableHead>(data);
  if (std::isnan(x)) return head.count + 1;
  const auto* begin = reinterpret_cast<const double*>(data + sizeof head);
  return static_cast<std::uint32_t>(std::upper_bound(begin, begin + head.count, x) - begin);
}

std::uint32_t pair_of(const char* data, std::uint64_t pair) {
  const auto head = load<TableHead>(data);
  const auto* begin = reinterpret_cast<const std::uint64_t*>(data + sizeof head);
  const auto* place = std::lower_bound(begin, begin + head.count, pair);
  return place != begin + head.count && *place == pair ? static_cast<std::uint32_t>(place - begin) : head.count;
}

double arithmetic(const Instruction& i, const double* number) {
  const double a = number[i.a];
  const auto b = [&] { return number[i.b]; };
  switch (i.op) {
    case Op::add: return defined(a + b());
    case Op::subtract: return defined(a - b());
    case Op::multiply: return defined(a * b());
    case Op::divide: return defined(a / b());
    case Op::power: return defined(power(a, b()));
    case Op::negate: return -a;
    case Op::log: return defined(std::log(a));
    case Op::log1p: return defined(std::log1p(a));
    case Op::exp: return defined(std::exp(a));
    case Op::sqrt: return defined(std::sqrt(a));
    case Op::abs: return std::fabs(a);
    case Op::min: return std::isnan(a) || std::isnan(b()) ? kMissing : std::min(a, b());
    case Op::max: return std::isnan(a) || std::isnan(b()) ? kMissing : std::max(a, b());
    case Op::fill: return std::isnan(a) ? i.x : a;
    case Op::missing: return std::isnan(a) ? 1 : 0;
    case Op::standardise: return std::isnan(a) ? 0 : defined((a - i.x) * i.y);
    default: return kMissing;
  }
}

void append_feature(FeatureVector& out, std::uint32_t index, double value) {
  const auto stored = static_cast<float>(value);
  // A number beyond the float's range is as undefined as any other overflow.
  if (stored == 0 || !std::isfinite(stored)) return;
  out.index.push_back(index);
  out.value.push_back(stored);
}

/// Sorts hits, weighs each run of equal ones, scales the block to length 1 times `scale`.
void emit_hits(const GramTable& table, std::uint32_t base, double scale, std::vector<std::uint32_t>& hits,
               FeatureVector& out) {
  std::sort(hits.begin(), hits.end());
  const std::size_t first = out.index.size();
  double squares = 0;
  for (std::size_t from = 0, to = 0; from < hits.size(); from = to) {
    while (to < hits.size() && hits[to] == hits[from]) ++to;
    double weight = static_cast<double>(to - from);
    if (table.head.flags & kBinary) {
      weight = 1;
    } else if (table.head.flags & kSublinear && weight > 1) {
      weight = 1 + std::log(weight);
    }
    if (table.idf != nullptr) weight *= table.idf[hits[from]];
    squares += weight * weight;
    out.index.push_back(base + hits[from]);
    out.value.push_back(static_cast<float>(weight));
  }
  const double factor = squares > 0 ? scale / std::sqrt(squares) : 0;
  std::size_t kept = first;
  for (std::size_t i = first; i < out.index.size(); ++i) {
    const auto value = static_cast<float>(out.value[i] * factor);
    if (value == 0 || !std::isfinite(value)) continue;
    out.index[kept] = out.index[i];
    out.value[kept] = value;
    ++kept;
  }
  out.index.resize(kept);
  out.value.resize(kept);
}

}  // namespace

GramTable GramTable::at(const char* data) {
  GramTable table{.head = load<GramHead>(data)};
  const char* next = data + sizeof(GramHead);
  if (!(table.head.flags & kHashed)) {
    table.directory = reinterpret_cast<const std::uint32_t*>(next);
    next += sizeof(std::uint32_t) * ((std::size_t{1} << table.head.bits) + 1);
    table.remainder = reinterpret_cast<const std::uint32_t*>(next);
    next += sizeof(std::uint32_t) * table.head.count;
  }
  if (table.head.flags & kIdf) table.idf = reinterpret_cast<const float*>(next);
  return table;
}

std::uint32_t GramTable::find(std::uint64_t fingerprint) const {
  const std::uint64_t top = head.bits == 0 ? 0 : fingerprint >> (64 - head.bits);
  if (head.flags & kHashed) return static_cast<std::uint32_t>(top);
  const auto rest = static_cast<std::uint32_t>(fingerprint << head.bits >> 32);
  const std::uint32_t* from = remainder + directory[top];
  const std::uint32_t* to = remainder + directory[top + 1];
  if (to - from > 16) {
    from = std::lower_bound(from, to, rest);
  } else {
    while (from < to && *from < rest) ++from;
  }
  return from < to && *from == rest ? static_cast<std::uint32_t>(from - remainder) : kNone;
}

TextTable TextTable::at(const char* data) {
  TextTable table{.head = load<TableHead>(data)};
  table.offsets = reinterpret_cast<const std::uint32_t*>(data + sizeof(TableHead));
  table.text = reinterpret_cast<const char*>(table.offsets + table.head.count + 1);
  return table;
}

std::uint32_t TextTable::find(std::string_view value) const {
  std::uint32_t low = 0;
  std::uint32_t high = head.count;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    const int order = entry(middle).compare(value);
    if (order == 0) return middle;
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return kNone;
}

void ProgramRun::evaluate(const ProgramLayout& layout, std::span<const Value> inputs, ProgramState& state) {
  const std::uint32_t count = layout.header->instructions;
  if (state.numbers.size() < count) {
    state.numbers.resize(count);
    state.categories.resize(count);
  }
  double* number = state.numbers.data();
  std::uint32_t* category = state.categories.data();
  for (std::uint32_t at = 0; at < count; ++at) {
    const Instruction& i = layout.code[at];
    switch (i.op) {
      case Op::constant: number[at] = i.x; break;
      case Op::input:
        number[at] = inputs[i.a].kind == Value::Kind::number ? defined(inputs[i.a].number) : kMissing;
        break;
      case Op::missing_text: number[at] = inputs[i.a].kind == Value::Kind::text ? 0 : 1; break;
      case Op::date: {
        const Value& value = inputs[i.a];
        number[at] = value.kind == Value::Kind::text ? date_part(value.text, static_cast<DatePart>(i.b)) : kMissing;
        break;
      }
      case Op::category_text: category[at] = category_of_text(layout.data(i), inputs[i.a]); break;
      case Op::category_number: category[at] = category_of_number(layout.data(i), number[i.a]); break;
      case Op::buckets: category[at] = bucket_of(layout.data(i), number[i.a]); break;
      case Op::cross: {
        const std::uint64_t width = layout.code[i.b].width;
        category[at] = pair_of(layout.data(i), category[i.a] * width + category[i.b]);
        break;
      }
      case Op::emit_number:
      case Op::emit_category:
      case Op::emit_words:
      case Op::emit_chars: break;
      default: number[at] = arithmetic(i, number);
    }
  }
}

void ProgramRun::emit(const ProgramLayout& layout, std::span<const Value> inputs, ProgramState& state,
                      FeatureVector& out) {
  for (std::uint32_t at = 0; at < layout.header->instructions; ++at) {
    const Instruction& i = layout.code[at];
    if (!is_emit(i.op)) continue;
    if (i.op == Op::emit_number) {
      if (!std::isnan(state.numbers[i.a])) append_feature(out, i.base, state.numbers[i.a]);
      continue;
    }
    const double scale = i.b == kNone ? 1 : state.numbers[i.b];
    if (std::isnan(scale)) continue;
    if (i.op == Op::emit_category) {
      append_feature(out, i.base + state.categories[i.a], scale);
      continue;
    }
    if (inputs[i.a].kind != Value::Kind::text) continue;
    const GramTable table = GramTable::at(layout.data(i));
    state.hits.clear();
    const auto hit = [&](std::uint64_t fingerprint) {
      const std::uint32_t found = table.find(fingerprint);
      if (found != kNone) state.hits.push_back(found);
    };
    if (i.op == Op::emit_words) {
      split_words(inputs[i.a].text, state.text, state.starts, state.ends);
      each_word_gram(state.text, state.starts, state.ends, table.head.low, table.head.high, hit);
    } else {
      split_characters(inputs[i.a].text, state.text, state.starts);
      each_char_gram(state.text, state.starts, table.head.low, table.head.high, (table.head.flags & kAcross) != 0, hit);
    }
    emit_hits(table, i.base, scale, state.hits, out);
  }
}

double date_part(std::string_view text, DatePart part) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  std::size_t at = 0;
  const auto digits = [&](std::size_t count) {
    int value = 0;
    if (text.size() - at < count) return -1;
    for (std::size_t i = 0; i < count; ++i, ++at) {
      if (text[at] < '0' || text[at] > '9') return -1;
      value = value * 10 + (text[at] - '0');
    }
    return value;
  };
  const auto follows = [&](char mark) { return at < text.size() && text[at] == mark ? (++at, true) : false; };
  const int year = digits(4);
  if (year < 0) return kMissing;
  const int month = follows('-') ? digits(2) : 0;
  if (month != 0 && (month < 1 || month > 12)) return kMissing;
  const int day = month != 0 && follows('-') ? digits(2) : 0;
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  if (day != 0 && (day < 1 || day > kDays[month - 1] + (month == 2 && leap ? 1 : 0))) return kMissing;
  const int hour = day != 0 && (follows('T') || follows(' ')) ? digits(2) : -1;
  if (at < text.size() && hour < 0 && text[at] != ' ') return kMissing;
  switch (part) {
    case DatePart::year: return year;
    case DatePart::month: return month == 0 ? kMissing : month;
    case DatePart::day: return day == 0 ? kMissing : day;
    case DatePart::hour: return hour < 0 || hour > 23 ? kMissing : hour;
    case DatePart::weekday: break;
  }
  if (day == 0) return kMissing;
  // Sakamoto's method; Monday is 1, Sunday 7.
  static constexpr int kShift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
  const int y = month < 3 ? year - 1 : year;
  const int weekday = (y + y / 4 - y / 100 + y / 400 + kShift[month - 1] + day) % 7;
  return weekday == 0 ? 7 : weekday;
}

}  // namespace espalier::model
