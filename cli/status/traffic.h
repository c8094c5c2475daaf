// What came through a cluster between two looks, row by row: what `espalier top` shows.
//
// Thread safety: pure functions over values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "metrics/tally.h"
#include "wire/traffic_messages.h"

namespace espalier::cli {

/// The replies of one look, by process; of those that answered.
using Look = std::map<Uuid, wire::TrafficReply>;

/// What a row is about: by tenant, by model, by shard, by version.
enum class By { tenant, model, shard, version };
enum class Sort { rate, p50, p99, fallback, errors, name };

struct Traffic {
  std::string name;
  double rate = 0;      ///< requests a second
  double failed = 0;    ///< share of them that have an error
  double fallback = 0;  ///< share of parts that others answered than should
  std::uint64_t p50_us = 0, p99_us = 0;
};

/// Of the processes that were there at both looks, rows with something in between; in order, the largest (or, by name,
/// the first) first.
std::vector<Traffic> traffic_between(const Look& before, const Look& now, By by, Sort sort);

}  // namespace espalier::cli
