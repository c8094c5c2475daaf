// How the registry is doing. As messages.h: twin of docs/wire-protocol/status.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/health_messages.h"

namespace espalier::wire {

/// What a histogram of durations says, each within 1.6 % of the true value; zero where there are none.
struct Durations {
  std::uint64_t count = 0;
  std::uint64_t p50_us = 0, p90_us = 0, p99_us = 0, max_us = 0;
};

/// A shard that has left the view because its lease had ended, and not come back.
struct LostShard {
  std::string name;
  std::vector<std::string> endpoints;
  std::int64_t lost_us = 0;  ///< the registry's clock on the wall
};

struct StatusRequest {
  static constexpr std::string_view op = "status";
};
struct StatusReply {
  std::uint64_t generation = 0, epoch = 0;
  std::string version;  ///< of Espalier
  /// From a release's commit until every shard of the view answers from it; of all releases since the registry's start.
  Durations served;
  std::uint64_t being_served = 0;  ///< releases that are on their way to the shards
  std::uint64_t not_timed = 0;     ///< releases that no time was taken of, because too many were on their way
  std::uint64_t jobs = 0;          ///< collections and erasures that are under way or wait for that
  std::vector<LostShard> lost;     ///< within the last day, since the registry's start
  Health health;
};

}  // namespace espalier::wire
