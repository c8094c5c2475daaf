#include "metrics/tally.h"

#include <cmath>
#include <numeric>

namespace espalier::metrics {

std::uint64_t Durations::middle_of(std::size_t bucket) {
  if (bucket < 2 * kLinear) return bucket;
  const std::uint64_t shift = bucket / kLinear - 1;
  return ((kLinear + bucket % kLinear) << shift) + (std::uint64_t{1} << shift) / 2;
}

DurationCounts Durations::read() const {
  DurationCounts counts;
  counts.sum_us = sum_.value();
  counts.buckets.resize(kBuckets);
  for (std::size_t i = 0; i < kBuckets; ++i) counts.buckets[i] = buckets_[i].value();
  while (!counts.buckets.empty() && counts.buckets.back() == 0) counts.buckets.pop_back();
  return counts;
}

std::uint64_t DurationCounts::count() const {
  return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

std::uint64_t DurationCounts::percentile(double p) const {
  const std::uint64_t all = count();
  if (all == 0) return 0;
  const double wanted = std::ceil(std::clamp(p, 0.0, 1.0) * static_cast<double>(all));
  const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, all);
  std::uint64_t passed = 0;
  std::size_t bucket = 0;
  while ((passed += buckets[bucket]) < rank) ++bucket;
  return Durations::middle_of(bucket);
}

std::vector<std::uint64_t> DurationCounts::counts_up_to(std::span<const double> bounds) const {
  std::vector<std::uint64_t> counts;
  std::uint64_t passed = 0;
  std::size_t bucket = 0;
  for (const double bound : bounds) {
    while (bucket < buckets.size() && static_cast<double>(Durations::middle_of(bucket)) <= bound * 1e6)
      passed += buckets[bucket++];
    counts.push_back(passed);
  }
  return counts;
}

DurationCounts& DurationCounts::operator+=(const DurationCounts& more) {
  buckets.resize(std::max(buckets.size(), more.buckets.size()));
  for (std::size_t i = 0; i < more.buckets.size(); ++i) buckets[i] += more.buckets[i];
  sum_us += more.sum_us;
  return *this;
}

DurationCounts DurationCounts::since(const DurationCounts& before) const {
  DurationCounts counts = *this;
  for (std::size_t i = 0; i < before.buckets.size() && i < counts.buckets.size(); ++i)
    counts.buckets[i] -= std::min(counts.buckets[i], before.buckets[i]);
  counts.sum_us -= std::min(counts.sum_us, before.sum_us);
  return counts;
}

}  // namespace espalier::metrics
