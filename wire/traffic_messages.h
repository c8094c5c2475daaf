// Who asks how much, for `espalier top`: what a router counts by tenant, a shard by model and by version. As
// messages.h: twin of docs/wire-protocol/traffic.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/uuid.h"

namespace espalier::wire {

/// Counts since the process's start; what they were at two moments tells what came in between.
struct TrafficRow {
  std::string tenant, model;  ///< empty: all that have no row of their own
  Uuid version;
  std::uint64_t requests = 0;       ///< answered
  std::uint64_t failed = 0;         ///< of these, with an error, as a whole or in a part
  std::uint64_t answered = 0;       ///< parts
  std::uint64_t unexpected = 0;     ///< of these, fallbacks that should not be (docs/fallback.md)
  std::vector<std::uint64_t> took;  ///< requests by how long they took: metrics::Durations' buckets
};

struct TrafficRequest {
  static constexpr std::string_view op = "traffic";
  std::string by;  ///< "tenant" (a router), "model" or "version" (a shard)
};
struct TrafficReply {
  std::string name;
  Uuid process;                  ///< another one after each start
  std::int64_t running_us = 0;   ///< since its start
  std::vector<TrafficRow> rows;  ///< at most 256, the largest
};

}  // namespace espalier::wire
