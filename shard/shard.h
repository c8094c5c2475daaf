// A shard's threads: W workers that answer, and the control thread that keeps their table up to date.
//
// Thread safety: run() on the main thread, once. Ownership: everything made here ends with run().
// Errors: run() returns only what makes a start impossible: a folder or an endpoint that can't be used.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/signals.h"
#include "common/status.h"
#include "shard/predict.h"

namespace espalier::shard {

struct ShardOptions {
  std::string name;
  std::string folder;                  ///< of its pack and state; made when missing
  std::vector<std::string> registry;   ///< endpoints, any of which reaches the registry
  std::vector<std::string> endpoints;  ///< to bind, one a worker
  std::string key;                     ///< file of its key; empty: it has none
  bool insecure = false;               ///< listens and connects without keys where others could, too
  double weight = 1;                   ///< share of keys relative to other shards
  std::string zone;                    ///< what fails together with it; empty: not said
  Verify verify = Verify::admission;
  std::uint64_t memory_budget = 0;                 ///< bytes of artefacts that may answer; 0: none
  std::string metrics;                             ///< HOST:PORT to tell Prometheus at; empty: nowhere
  std::uint64_t disk_budget = 0;                   ///< bytes of the pack's files; 0: none
  std::int64_t scrub_interval_us = 3'600'000'000;  ///< in which all that answers is checked; 0: never
};

/// Where others reach a running shard.
struct Addresses {
  std::vector<std::string> endpoints;  ///< of its worker threads
  std::string metrics;                 ///< HOST:PORT; empty: it has none
};

/// Answers until a stop is asked for, or it was drained and nobody asks it any more: `unavailable` at first. Calls
/// `ready` with where others reach it, once the shard holds what it owns, or all of it but leaves where
/// there are many (docs/shard-memory.md): after the first sync with the registry, or from its own disk while the
/// registry is away. Calls `drained` where the end was that: others hold what the shard owned.
Status run(const ShardOptions& options, StopSignals& stop, const std::function<void(const Addresses&)>& ready,
           const std::function<void()>& drained);

}  // namespace espalier::shard
