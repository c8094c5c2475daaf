// Values that filters and orders compare, and bytes that sort as they do.
//
// Thread safety: values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace espalier::registry::search {

/// What a field holds. A scalar is a number or text, from one thing to the next. A tag isn't read but asked for.
enum class Type : std::uint8_t { number, time, text, uuid, hash, partition, scalar, tag };
std::string_view type_name(Type type);

/// Nothing (missing), a number (times: microseconds since 1970), or text (UUIDs, hashes and partitions in their text
/// form).
using Value = std::variant<std::monostate, double, std::string>;
inline Value number(std::uint64_t value) { return static_cast<double>(value); }
inline Value text_or_missing(std::string text) { return text.empty() ? Value() : Value(std::move(text)); }
inline bool is_missing(const Value& value) { return value.index() == 0; }

/// A number in the order of the numbers, NaN has no place in it; and as 8 bytes, big-endian. On disk: docs/search.md.
std::uint64_t sortable_bits(double number);
std::string sortable(double number);
/// Bytes that sort as values do: numbers, then text, then what is missing; with `descending`, numbers and text each the
/// other way round. None is the beginning of another.
void append_sortable(std::string& to, const Value& value, bool descending);
/// An epoch or a time as keys have it: 8 bytes, big-endian.
std::string as_key(std::uint64_t number);
/// Turns the order of bytes of equal length round.
std::string complement(std::string_view bytes);

}  // namespace espalier::registry::search
