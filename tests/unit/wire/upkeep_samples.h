// The messages of the registry's upkeep, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/messages.h"
#include "wire/shard_status_messages.h"
#include "wire/status_messages.h"
#include "wire/upkeep_messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> upkeep_messages(const Uuid& uuid) {
  const CheckReply checked{1, 12, 5000, 40, 2, 1, {{"v", "acme 019a9d3c", "is missing"}}, true};
  const ArchiveReply archived{1, 12, 1'763'672'558'000'000, 1, {1, 2}, 5000, 40, 28000, true};
  ShardStatusReply shard;
  shard.name = "s0";
  shard.version = "0.1.0";
  shard.generation = 1;
  shard.epoch = 12;
  shard.is_starting = true;
  shard.nodes_wanted = 5001;
  shard.nodes_ready = 4000;
  shard.not_ready = {{Reason::cold, 1000}, {Reason::corrupt, 1}};
  shard.memory_bytes = 3'600'000;
  shard.memory_budget = 4'000'000;
  shard.disk_bytes = 67'108'864;
  shard.disk_budget = 1'000'000'000;
  shard.evicted = 7;
  shard.answered = {{Reason::exact, 90}, {Reason::cold, 10}};
  shard.models = {{"acme", "total", shard.answered}};
  shard.damaged = 1;
  shard.scrubbed_bytes = 7'200'000;
  shard.undelivered = 2;
  shard.alerts = {{"acme", "total", Reason::cold, 100, 10, 3'000'000}};
  return {{"check.request", encode(CheckRequest{uuid, 3})},
          {"check.reply", encode_reply(Status(), checked)},
          {"status.request", encode(StatusRequest{})},
          {"status.reply", encode_reply(Status(), StatusReply{1, 12, "0.1.0", {300, 4100, 5200, 9300, 10100}, 2, 1})},
          {"shard_status.request", encode(ShardStatusRequest{})},
          {"shard_status.reply", encode_reply(Status(), shard)},
          {"archive.request", encode(ArchiveRequest{uuid, 3, "acme", "total", 11, true})},
          {"archive.reply", encode_reply(Status(), archived)}};
}

}  // namespace espalier::wire::samples
