// What the registry tells Prometheus (docs/metrics.md): requests by operation and outcome, where it stands, and how far
// its shards are.
//
// Thread safety: the server's thread counts and tells; fill() from any thread. Ownership: borrows the histogram.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/metrics.h"
#include "common/status.h"
#include "metrics/page.h"

namespace espalier::registry {

class RegistryMetrics {
 public:
  /// Where the registry stands at one moment.
  struct Gauges {
    struct Shard {
      std::string name, state;
      std::uint64_t epoch = 0;  ///< that it answers from; 0: it has said nothing yet
    };
    std::uint64_t generation = 0, epoch = 0;
    std::uint64_t being_served = 0;  ///< releases that are on their way to the shards
    std::uint64_t waiting = 0;       ///< requests that wait for something to say
    bool is_writing = true;          ///< changes are taken
    std::uint64_t jobs = 0;          ///< collections and erasures, under way or waiting
    bool are_jobs_stuck = false;     ///< the first of them can't go on
    std::int64_t key_ends_us = 0;    ///< clock on the wall: the next key to end by itself; 0: none does
    std::string folder;              ///< of its records
    std::vector<Shard> shards;       ///< of the view
  };

  /// `served`: how long releases took from commit to served, in microseconds.
  explicit RegistryMetrics(const Histogram& served) : served_(served) {}

  /// A request was answered, after so long on the server's thread. `op`: one that the registry has.
  void count(std::string_view op, Code code, std::int64_t us);
  void tell(Gauges gauges);
  void fill(metrics::Page& page) const;

 private:
  const Histogram& served_;
  Histogram answering_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::pair<std::string, Code>, std::uint64_t, std::less<>> requests_;
  Gauges gauges_;
};

}  // namespace espalier::registry
