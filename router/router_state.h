// What a router's thread tells of itself from time to time, for its metrics: what is in flight, and how its shards are.
//
// Thread safety: tell() from the router's thread, the rest from any. They share a lock, which the router takes a few
// times a second.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "metrics/tally.h"

namespace espalier::router {

struct ShardState {
  std::string name;
  std::uint32_t endpoints = 0;
  std::uint32_t answering = 0;  ///< of these: not suspect
  std::uint64_t in_flight = 0;  ///< messages without answer
};

class RouterState {
 public:
  static constexpr std::int64_t kEveryUs = 200'000;

  bool must_tell(std::int64_t now_us) const { return now_us - told_us_ >= kEveryUs; }
  void tell(std::vector<ShardState> shards, std::int64_t now_us) {
    told_us_ = now_us;
    const std::lock_guard lock(mutex_);
    shards_ = std::move(shards);
  }
  std::vector<ShardState> shards() const {
    const std::lock_guard lock(mutex_);
    return shards_;
  }

  // Set each time that the router waits.
  metrics::Gauge requests_in_flight;
  metrics::Gauge bytes_in_flight;

 private:
  std::int64_t told_us_ = 0;  ///< the router's
  mutable std::mutex mutex_;
  std::vector<ShardState> shards_;  ///< guarded by mutex_
};

}  // namespace espalier::router
