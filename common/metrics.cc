#include "common/metrics.h"

#include <algorithm>
#include <cmath>

namespace espalier {

std::uint64_t Histogram::middle_of(std::size_t bucket) {
  if (bucket < 2 * kLinear) return bucket;
  const std::size_t shift = bucket / kLinear - 1;
  const std::uint64_t lowest = (kLinear + bucket % kLinear) << shift;
  return lowest + (std::uint64_t{1} << shift) / 2;
}

std::uint64_t Histogram::percentile(double p) const {
  // Summed here and not read from count_, so that rank and buckets agree while others record.
  std::uint64_t total = 0;
  for (const auto& bucket : buckets_) total += bucket.load(std::memory_order_relaxed);
  if (total == 0) return 0;
  const double wanted = std::ceil(std::clamp(p, 0.0, 1.0) * static_cast<double>(total));
  const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, total);
  std::uint64_t passed = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    passed += buckets_[i].load(std::memory_order_relaxed);
    if (passed >= rank) return std::min(middle_of(i), max());
  }
  return max();
}

std::uint64_t Histogram::counts_up_to(std::span<const double> bounds, double scale,
                                      std::vector<std::uint64_t>& counts) const {
  counts.clear();
  std::uint64_t passed = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::uint64_t here = buckets_[i].load(std::memory_order_relaxed);
    if (here == 0) continue;
    while (counts.size() < bounds.size() && static_cast<double>(middle_of(i)) > bounds[counts.size()] * scale)
      counts.push_back(passed);
    passed += here;
  }
  counts.resize(bounds.size(), passed);
  return passed;
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::uint64_t more = other.buckets_[i].load(std::memory_order_relaxed);
    if (more != 0) buckets_[i].fetch_add(more, std::memory_order_relaxed);
  }
  count_.fetch_add(other.count(), std::memory_order_relaxed);
  sum_.fetch_add(other.sum(), std::memory_order_relaxed);
  const std::uint64_t theirs = other.max();
  std::uint64_t seen = max();
  while (theirs > seen && !max_.compare_exchange_weak(seen, theirs, std::memory_order_relaxed)) {
  }
}

void Histogram::clear() {
  for (auto& bucket : buckets_) bucket.store(0, std::memory_order_relaxed);
  count_.store(0, std::memory_order_relaxed);
  sum_.store(0, std::memory_order_relaxed);
  max_.store(0, std::memory_order_relaxed);
}

}  // namespace espalier
