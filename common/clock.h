// Time behind an interface, so that tests move it by hand.
//
// Durations and deadlines use monotonic time; the wall clock appears in records only.
// Thread safety: SystemClock and ManualClock may be used from any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace espalier {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Microseconds since an arbitrary start; never goes back.
  virtual std::int64_t monotonic_us() const = 0;
  /// Microseconds since 1970-01-01 UTC; may jump.
  virtual std::int64_t wall_us() const = 0;

  /// The operating system's clock; lives for the whole process.
  static const Clock& system();
};

/// By the system's clock: `start_us` is monotonic.
inline double seconds_since(std::int64_t start_us) {
  return static_cast<double>(Clock::system().monotonic_us() - start_us) * 1e-6;
}

/// For tests: stands still until moved.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t wall_us = 0) : wall_us_(wall_us) {}
  std::int64_t monotonic_us() const override { return monotonic_us_; }
  std::int64_t wall_us() const override { return wall_us_; }
  void advance(std::int64_t us) {
    monotonic_us_ += us;
    wall_us_ += us;
  }
  void set_wall(std::int64_t us) { wall_us_ = us; }

 private:
  std::atomic<std::int64_t> monotonic_us_{0};
  std::atomic<std::int64_t> wall_us_;
};

}  // namespace espalier
