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
#include "wire/traffic_messages.h"
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
  RouterStatusReply router;
  router.name = "router";
  router.version = "0.1.0";
  router.generation = 1;
  router.epoch = 12;
  router.view = 3;
  router.requests = 1000;
  router.failed = 10;
  router.answered = 1980;
  router.unexpected = 5;
  router.in_flight = 2;
  router.shards = {{"s0", 1, 1, 2}, {"s1", 1, 0, 0}};
  router.health.process = uuid;
  router.health.wall_us = 1'763'672'558'000'000;
  router.health.running_us = 60'000'000;
  router.health.newest = 13;
  router.health.behind_us = 250'000;
  router.health.disk_free = 1'000'000'000;
  router.health.disk_size = 2'000'000'000;
  router.health.is_disk_read_only = true;
  router.health.problems = {{"unsaved", "the disk is full"}};
  const TrafficReply traffic{
      "s0", uuid, 60'000'000, {{"acme", "total", uuid, 100, 1, 110, 2, {0, 0, 90, 10}}}};
  return {{"check.request", encode(CheckRequest{uuid, 3})},
          {"check.reply", encode_reply(Status(), checked)},
          {"status.request", encode(StatusRequest{})},
          {"status.reply", encode_reply(Status(), StatusReply{1, 12, "0.1.0", {300, 4100, 5200, 9300, 10100}, 2, 1, 2,
                                                             {{"s2", {"tcp://10.0.0.5:7800"}, 1'763'672'558'000'000}}, {}})},
          {"shard_status.request", encode(ShardStatusRequest{})},
          {"shard_status.reply", encode_reply(Status(), shard)},
          {"router_status.request", encode(RouterStatusRequest{})},
          {"router_status.reply", encode_reply(Status(), router)},
          {"traffic.request", encode(TrafficRequest{"version"})},
          {"traffic.reply", encode_reply(Status(), traffic)},
          {"archive.request", encode(ArchiveRequest{uuid, 3, "acme", "total", 11, true})},
          {"archive.reply", encode_reply(Status(), archived)}};
}

}  // namespace espalier::wire::samples
