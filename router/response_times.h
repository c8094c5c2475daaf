// How long an endpoint takes to answer, lately: when to ask another replica as well (docs/life-of-a-prediction.md,
// "Hedging").
//
// A histogram of four buckets to each power of two, whose counts are halved from time to time, so that what was long
// ago fades. A percentile is the upper end of its bucket: at most a fifth too long.
//
// Thread safety: belongs to one thread.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace espalier::router {

class ResponseTimes {
 public:
  void record(std::int64_t us) {
    ++buckets_[bucket_of(us)];
    if (++count_ >= kMost) fade();
    if (count_ % kPerLook == 0) p95_us_ = find(0.95);
  }
  /// 0 until enough were recorded.
  std::int64_t p95_us() const { return p95_us_; }

 private:
  static constexpr std::uint32_t kMost = 4096, kPerLook = 64;
  static constexpr std::size_t kBuckets = 4 * 40;  ///< up to 2^40 µs

  static std::size_t bucket_of(std::int64_t us) {
    const auto value = static_cast<std::uint64_t>(us < 4 ? 4 : us);
    const int power = std::bit_width(value) - 1;
    const std::size_t bucket = static_cast<std::size_t>(power) * 4 + ((value >> (power - 2)) & 3);
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }
  static std::int64_t end_of(std::size_t bucket) {
    return static_cast<std::int64_t>((5 + bucket % 4) << (bucket / 4 - 2));
  }
  std::int64_t find(double share) const {
    const auto wanted = static_cast<std::uint32_t>(share * count_);
    std::uint32_t seen = 0;
    for (std::size_t i = 8; i < kBuckets; ++i) {
      seen += buckets_[i];
      if (seen > wanted) return end_of(i);
    }
    return end_of(kBuckets - 1);
  }
  void fade() {
    count_ = 0;
    for (std::uint32_t& bucket : buckets_) count_ += bucket /= 2;
  }

  std::array<std::uint32_t, kBuckets> buckets_{};
  std::uint32_t count_ = 0;
  std::int64_t p95_us_ = 0;
};

}  // namespace espalier::router
