// Content identity (BLAKE2b-256, from libsodium) and placement or checksum hashing (64-bit XXH3, seed 0 unless said).
//
// Thread safety: pure functions; Hasher256 belongs to one thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/status.h"

namespace espalier {

/// BLAKE2b with a 32-byte digest (RFC 7693, no key). All zero means "none".
struct Hash256 {
  std::array<unsigned char, 32> bytes{};

  auto operator<=>(const Hash256&) const = default;
  bool is_none() const { return *this == Hash256{}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  std::string hex() const;
  /// invalid_argument unless `raw` has 32 bytes.
  static Result<Hash256> from_bytes(std::string_view raw);
  /// invalid_argument unless `text` is 64 hexadecimal digits.
  static Result<Hash256> parse(std::string_view text);
};

Hash256 blake2b_256(std::string_view bytes);

/// BLAKE2b-256 of a stream of pieces.
class Hasher256 {
 public:
  Hasher256();
  ~Hasher256();
  Hasher256(const Hasher256&) = delete;
  Hasher256& operator=(const Hasher256&) = delete;
  void update(std::string_view piece);
  /// REQUIRES: called once, last.
  Hash256 finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::uint64_t xxh3_64(std::string_view bytes);
std::uint64_t xxh3_64(std::string_view bytes, std::uint64_t seed);

}  // namespace espalier

template <>
struct std::hash<espalier::Hash256> {
  std::size_t operator()(const espalier::Hash256& h) const noexcept {
    std::uint64_t first;
    __builtin_memcpy(&first, h.bytes.data(), sizeof first);
    return first;
  }
};
