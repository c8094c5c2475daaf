// How a shard is doing. As messages.h: twin of docs/wire-protocol/shard-status.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/health_messages.h"
#include "wire/messages.h"

namespace espalier::wire {

struct ReasonCount {
  Reason reason = Reason::exact;
  std::uint64_t count = 0;
};

/// A model that was answered for by others than it should have been too often: too many parts of the last ten seconds
/// (docs/fallback.md).
struct FallbackAlert {
  std::string tenant, model;      ///< empty: models that are not counted one by one
  Reason reason = Reason::exact;  ///< the most frequent of the unexpected ones
  std::uint64_t answered = 0;     ///< parts, in the last ten seconds
  std::uint64_t unexpected = 0;   ///< of these
  std::int64_t since_us = 0;      ///< so long ago it began
};

struct ModelAnswers {
  std::string tenant, model;
  std::vector<ReasonCount> reasons;  ///< parts answered since the start
};

struct ShardStatusRequest {
  static constexpr std::string_view op = "shard_status";
};
struct ShardStatusReply {
  std::string name;
  std::string version;  ///< of Espalier
  std::uint64_t generation = 0, epoch = 0;
  bool is_starting = false;
  std::uint64_t nodes_wanted = 0;      ///< nodes for which a tag names a version, and that this shard holds
  std::uint64_t nodes_ready = 0;       ///< of these: it answers
  std::vector<ReasonCount> not_ready;  ///< the others, by reason
  std::uint64_t memory_bytes = 0, memory_budget = 0;  ///< of artefacts that may answer; 0: no budget
  std::uint64_t disk_bytes = 0, disk_budget = 0;      ///< of the pack's files; 0: no budget
  std::uint64_t evicted = 0;                          ///< leaves that had to make room, since the start
  std::vector<ReasonCount> answered;                  ///< parts since the start, of all models
  std::vector<ModelAnswers> models;                   ///< with the most unexpected answers, at most 20
  std::uint64_t damaged = 0;                          ///< artefacts found to be damaged since the start
  std::uint64_t scrubbed_bytes = 0;
  std::uint64_t undelivered = 0;  ///< replies that nobody took
  std::vector<FallbackAlert> alerts;
  Health health;
};

}  // namespace espalier::wire
