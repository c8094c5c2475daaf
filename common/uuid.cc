#include "common/uuid.h"

#include <sodium.h>

#include <cstring>

#include "common/bytes.h"

namespace espalier {
namespace {

constexpr std::size_t kTextSize = 36;

bool is_dash_place(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

std::string Uuid::text() const {
  const std::string digits = to_hex(view());
  std::string text;
  text.reserve(kTextSize);
  for (const char digit : digits) {
    if (is_dash_place(text.size())) text.push_back('-');
    text.push_back(digit);
  }
  return text;
}

Result<Uuid> Uuid::from_bytes(std::string_view raw) {
  Uuid uuid;
  if (raw.size() != uuid.bytes.size()) {
    return invalid_argument("a UUID has 16 bytes, not " + std::to_string(raw.size()));
  }
  std::memcpy(uuid.bytes.data(), raw.data(), uuid.bytes.size());
  return uuid;
}

Result<Uuid> Uuid::parse(std::string_view text) {
  const Status wrong = invalid_argument("a UUID is written as 8-4-4-4-12 hexadecimal digits");
  if (text.size() != kTextSize) return wrong;
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_dash_place(i)) {
      digits.push_back(text[i]);
    } else if (text[i] != '-') {
      return wrong;
    }
  }
  const auto raw = from_hex(digits);
  if (!raw) return wrong;
  return from_bytes(*raw);
}

UuidSource::UuidSource(const Clock& clock) : clock_(clock) { randombytes_buf(state_, sizeof state_); }

// Bits: 48 of milliseconds, version, 12 + 20 of the sequence, 42 of random. The sequence starts each millisecond at a
// random number below 2^31, so two sources seldom meet and two thousand million fit before the millisecond has to be
// moved on.
Uuid UuidSource::next(std::int64_t wall_us) {
  static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == 8);
  const auto random = [this] {
    ++state_[2];
    std::uint64_t bits;
    crypto_shorthash(reinterpret_cast<unsigned char*>(&bits), reinterpret_cast<const unsigned char*>(&state_[2]),
                     2 * sizeof(std::uint64_t), reinterpret_cast<const unsigned char*>(&state_[0]));
    return bits;
  };
  const auto millisecond = static_cast<std::uint64_t>(wall_us / 1'000);
  if (millisecond > last_millisecond_) {
    last_millisecond_ = millisecond;
    sequence_ = static_cast<std::uint32_t>(random()) >> 1;
  } else if (++sequence_ == 0) {
    ++last_millisecond_;
  }

  const std::uint64_t high = last_millisecond_ << 16 | 0x7000u | sequence_ >> 20;
  const std::uint64_t low = std::uint64_t{0b10} << 62 | std::uint64_t{sequence_ & 0xFFFFFu} << 42 | random() >> 22;
  const std::uint64_t big_endian[2] = {__builtin_bswap64(high), __builtin_bswap64(low)};
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), big_endian, sizeof big_endian);
  return uuid;
}

}  // namespace espalier
