// Integers as bytes. Little-endian in artefacts and messages' binary parts, big-endian in registry keys, so that keys
// sort as their numbers do. Bytes are std::string (owned) and std::string_view (borrowed) throughout.
//
// Thread safety: pure functions.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace espalier {

static_assert(std::endian::native == std::endian::little,
              "artefacts are read in place: a little-endian machine is assumed");

/// Reads a trivially copyable T that may be unaligned. REQUIRES: sizeof(T) bytes at `from`.
template <class T>
T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

/// Appends `value` as it lies in memory (little-endian).
template <class T>
void append(std::string& to, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  to.append(raw, sizeof(T));
}

void append_u64_be(std::string& to, std::uint64_t value);
void append_u32_be(std::string& to, std::uint32_t value);
/// REQUIRES: 8 bytes at `from`.
std::uint64_t load_u64_be(const char* from);
/// REQUIRES: 4 bytes at `from`.
std::uint32_t load_u32_be(const char* from);

/// True when there is no other byte than 0x00.
inline bool is_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

/// Lower-case hexadecimal, two digits a byte.
std::string to_hex(std::string_view bytes);
/// The bytes that `text` spells, upper case taken too; nothing when a character is no hexadecimal digit or the count is
/// odd.
std::optional<std::string> from_hex(std::string_view text);

/// True when `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
bool is_utf8(std::string_view text);

}  // namespace espalier
