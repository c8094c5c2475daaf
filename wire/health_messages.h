// What every process says of itself in its status: the registry's (status_messages.h), a shard's
// (shard_status_messages.h) and a router's. As messages.h: twin of docs/wire-protocol/health.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/uuid.h"

namespace espalier::wire {

/// Something that the process itself knows to be wrong.
struct HealthProblem {
  std::string kind;    ///< a word for programs: "not_writing", "unsaved", …
  std::string detail;  ///< for people
  bool operator==(const HealthProblem&) const = default;
};

struct Health {
  Uuid process;                 ///< another one after each start: says which endpoints are of one process
  std::int64_t wall_us = 0;     ///< its clock on the wall
  std::int64_t running_us = 0;  ///< since its start
  std::uint64_t newest = 0;     ///< the last change of the registry that it has heard of
  std::int64_t behind_us =
      0;  ///< for how long it hasn't been known to serve that, or the registry was silent; 0: it serves it
  std::uint64_t disk_free = 0, disk_size = 0;  ///< bytes of the file system of its folder; size 0: not known
  bool is_disk_read_only = false;
  std::vector<HealthProblem> problems;
  bool operator==(const Health&) const = default;
};

struct RouterStatusRequest {
  static constexpr std::string_view op = "router_status";
};
struct RoutedShard {
  std::string name;
  std::uint32_t endpoints = 0, answering = 0;
  std::uint64_t in_flight = 0;  ///< messages without answer
};
struct RouterStatusReply {
  std::string name;
  std::string version;  ///< of Espalier
  std::uint64_t generation = 0, epoch = 0, view = 0;
  std::uint64_t requests = 0;       ///< answered since the start
  std::uint64_t failed = 0;         ///< of these, with an error as a whole
  std::uint64_t answered = 0;       ///< parts
  std::uint64_t unexpected = 0;     ///< of these, fallbacks that should not be (docs/fallback.md)
  std::uint64_t in_flight = 0;      ///< requests
  std::vector<RoutedShard> shards;  ///< of the view
  Health health;
};

}  // namespace espalier::wire
