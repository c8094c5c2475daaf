// UUIDs, version 7 (RFC 9562): 48 bits of Unix milliseconds, then random bits, so that they sort by time of making.
//
// Thread safety: values; UuidSource belongs to one thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/status.h"

namespace espalier {

struct Uuid {
  std::array<unsigned char, 16> bytes{};

  auto operator<=>(const Uuid&) const = default;
  bool is_nil() const { return *this == Uuid{}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  /// 8-4-4-4-12 lower-case hexadecimal.
  std::string text() const;
  /// invalid_argument unless `raw` has 16 bytes.
  static Result<Uuid> from_bytes(std::string_view raw);
  /// invalid_argument unless in the form of text(); upper case is taken too.
  static Result<Uuid> parse(std::string_view text);
};

/// Makes version 7 UUIDs; within one millisecond they still ascend. The random bits come from the operating system once
/// and then from a counter-mode generator, so that making one costs no system call.
class UuidSource {
 public:
  explicit UuidSource(const Clock& clock);
  Uuid next() { return next(clock_.wall_us()); }
  /// The same for a caller that has looked at the clock: `wall_us` since 1970.
  Uuid next(std::int64_t wall_us);

 private:
  const Clock& clock_;
  std::uint64_t state_[4];
  std::uint64_t last_millisecond_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace espalier

template <>
struct std::hash<espalier::Uuid> {
  std::size_t operator()(const espalier::Uuid& u) const noexcept {
    std::uint64_t last;
    __builtin_memcpy(&last, u.bytes.data() + 8, sizeof last);
    return last;
  }
};
