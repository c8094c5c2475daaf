// Which requests are slow, and which of these the log tells of one by one: a few a second, so that a router in trouble
// doesn't write more than it answers; the others are counted.
//
// Thread safety: the router's thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace espalier::router {

class SlowLog {
 public:
  static constexpr std::uint32_t kLinesPerSecond = 5;

  /// `slow_us` 0: no request is slow.
  explicit SlowLog(std::int64_t slow_us)
      : slow_us_(slow_us > 0 ? slow_us : std::numeric_limits<std::int64_t>::max() / 4) {}

  /// `work_us`: what the request's rows may take.
  bool is_slow(std::int64_t us, std::uint64_t work_us) const {
    return us - static_cast<std::int64_t>(work_us) > slow_us_;
  }
  /// How many slow ones weren't told of since the last one; nothing: nor is this one.
  std::optional<std::uint64_t> admit(std::int64_t now_us) {
    if (!has_begun_ || now_us - since_us_ >= kSecondUs) {
      has_begun_ = true;
      since_us_ = now_us;
      lines_ = 0;
    }
    if (lines_ == kLinesPerSecond) {
      ++untold_;
      return std::nullopt;
    }
    ++lines_;
    return std::exchange(untold_, 0);
  }

 private:
  static constexpr std::int64_t kSecondUs = 1'000'000;

  const std::int64_t slow_us_;
  bool has_begun_ = false;
  std::int64_t since_us_ = 0;
  std::uint32_t lines_ = 0;
  std::uint64_t untold_ = 0;
};

}  // namespace espalier::router
