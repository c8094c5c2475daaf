// Counters and histograms of durations that the request path writes and an operator or a bench reads.
//
// A histogram's buckets are log-linear: 32 to each power of two. A percentile is the middle of its bucket: within 1.6 %
// of the true value, exact below 32. Recording costs a few relaxed atomic additions and no lock.
//
// Thread safety: everything from any thread. A reader that looks while others write sees each recorded value or not
// yet; count, sum and buckets may differ by values that are just being recorded.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace espalier {

/// Counts up. Has a cache line of its own, so that neighbours on other threads do not slow it.
class alignas(64) Counter {
 public:
  void add(std::uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Values of any unit, usually microseconds; about 15 KB.
class Histogram {
 public:
  void record(std::uint64_t value) {
    buckets_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
    std::uint64_t seen = max_.load(std::memory_order_relaxed);
    while (value > seen && !max_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
  }

  std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  std::uint64_t max() const { return max_.load(std::memory_order_relaxed); }
  /// 0 when nothing was recorded.
  double mean() const { return count() == 0 ? 0 : static_cast<double>(sum()) / static_cast<double>(count()); }
  /// The value that the share `p` of all recorded ones does not exceed; p in [0, 1], so 0.99 for the 99th percentile.
  /// 0 when nothing was recorded.
  std::uint64_t percentile(double p) const;
  /// For each bound, ascending and in units of which the recorded ones are `scale` times as fine, how many values don't
  /// exceed it, to a bucket; and how many there are, counted in the same look. So the last is never below any before
  /// it.
  std::uint64_t counts_up_to(std::span<const double> bounds, double scale, std::vector<std::uint64_t>& counts) const;
  /// Adds what `other` recorded.
  void merge(const Histogram& other);
  /// Forgets everything. REQUIRES: nobody records at the same time.
  void clear();

 private:
  static constexpr int kBits = 5;
  static constexpr std::uint64_t kLinear = 1u << kBits;
  static constexpr std::size_t kBuckets = kLinear * (64 - kBits + 1);

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kLinear) return static_cast<std::size_t>(value);
    const int shift = std::bit_width(value) - 1 - kBits;
    return static_cast<std::size_t>(kLinear) * static_cast<std::size_t>(shift) +
           static_cast<std::size_t>(value >> shift);
  }
  static std::uint64_t middle_of(std::size_t bucket);

  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
  std::atomic<std::uint64_t> count_{0};
  std::atomic<std::uint64_t> sum_{0};
  std::atomic<std::uint64_t> max_{0};
};

}  // namespace espalier
