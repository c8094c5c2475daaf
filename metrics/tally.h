// Counts and durations that one thread writes on the request path and others read: a load and a store each, no lock and
// no atomic addition.
//
// Durations are kept in log-linear buckets, 8 to each power of two of microseconds: a value counts as the middle of its
// bucket, within 6.3 % of the true one, exact below 8 µs; count and sum are exact.
//
// Thread safety: add() and record() from one thread, the rest from any. A reader sees each value or not yet.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace espalier::metrics {

class Tally {
 public:
  void add(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A number that its owner sets now and then.
class Gauge {
 public:
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// What Durations had recorded at one moment.
struct DurationCounts {
  std::vector<std::uint64_t> buckets;  ///< by number; those at the end that are empty may be missing
  std::uint64_t sum_us = 0;

  std::uint64_t count() const;
  /// Microseconds that the share `p` of all does not exceed; 0 when there are none.
  std::uint64_t percentile(double p) const;
  /// For each bound, ascending, in seconds, how many values don't exceed it, to a bucket.
  std::vector<std::uint64_t> counts_up_to(std::span<const double> bounds) const;
  DurationCounts& operator+=(const DurationCounts& more);
  /// What came since `before`, an earlier look at the same.
  DurationCounts since(const DurationCounts& before) const;
};

class Durations {
 public:
  static constexpr std::uint64_t kBits = 3;
  static constexpr std::uint64_t kLinear = 1u << kBits;
  static constexpr std::uint64_t kMostUs = (std::uint64_t{1} << 30) - 1;  ///< 18 minutes; longer ones count as that
  static constexpr std::size_t kBuckets = kLinear * (30 - kBits + 1);

  /// A negative one counts as 0.
  void record(std::int64_t us) {
    const std::uint64_t value = std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0)), kMostUs);
    buckets_[bucket_of(value)].add();
    sum_.add(value);
  }
  DurationCounts read() const;

  static std::size_t bucket_of(std::uint64_t us) {
    if (us < kLinear) return us;
    const auto shift = static_cast<std::uint64_t>(std::bit_width(us)) - 1 - kBits;
    return kLinear * shift + (us >> shift);
  }
  static std::uint64_t middle_of(std::size_t bucket);

 private:
  std::array<Tally, kBuckets> buckets_;
  Tally sum_;
};

}  // namespace espalier::metrics
