#include "common/bytes.h"

namespace espalier {
namespace {

template <class T>
void append_be(std::string& to, T value) {
  char raw[sizeof(T)];
  for (std::size_t i = 0; i < sizeof(T); ++i) raw[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  to.append(raw, sizeof(T));
}

template <class T>
T load_be(const char* from) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = (value << 8) | static_cast<unsigned char>(from[i]);
  return value;
}

/// Length of the sequence that `lead` starts, 0 when it can't start one; the bounds are those of its second byte.
struct Sequence {
  std::size_t size;
  unsigned char second_min;
  unsigned char second_max;
};

Sequence sequence_of(unsigned char lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

void append_u64_be(std::string& to, std::uint64_t value) { append_be(to, value); }
void append_u32_be(std::string& to, std::uint32_t value) { append_be(to, value); }
std::uint64_t load_u64_be(const char* from) { return load_be<std::uint64_t>(from); }
std::uint32_t load_u32_be(const char* from) { return load_be<std::uint32_t>(from); }

std::string to_hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const Sequence sequence = sequence_of(byte(i));
    if (sequence.size == 0 || text.size() - i < sequence.size) return false;
    if (sequence.size > 1 && (byte(i + 1) < sequence.second_min || byte(i + 1) > sequence.second_max)) return false;
    for (std::size_t j = i + 2; j < i + sequence.size; ++j) {
      if ((byte(j) & 0xC0) != 0x80) return false;
    }
    i += sequence.size;
  }
  return true;
}

}  // namespace espalier
