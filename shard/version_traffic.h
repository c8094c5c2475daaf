// Which versions one worker answers with most, how fast and why: for `espalier top`.
//
// Looks at one request of 64, and at one after 10 ms without a look, and counts it for all since the last: so what is
// rare is seen, and what is frequent costs little. Keeps the versions with the largest counts (a space-saving sketch,
// as Busiest); one that takes the place of another begins with nothing, and what that had is counted with the rest.
//
// Thread safety: note() on the worker's thread, add_to() on any other; they share a lock, taken for a request looked
// at.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "common/uuid.h"
#include "wire/traffic_messages.h"

namespace espalier::shard {

class VersionTraffic {
 public:
  static constexpr std::uint64_t kOneOf = 64;
  static constexpr std::int64_t kLookUs = 10'000;
  static constexpr std::size_t kVersions = 128;

  /// A request: by what it was answered (a nil version: by nothing), how long it took.
  struct Seen {
    const std::string* tenant = nullptr;
    const std::string* model = nullptr;
    Uuid version;
    bool is_unexpected = false;
    bool has_failed = false;
    std::int64_t took_us = 0;
  };
  void note(const Seen& seen, std::int64_t now_us) {
    ++unseen_;
    if (unseen_ < kOneOf && now_us - looked_us_ < kLookUs) return;
    looked_us_ = now_us;
    look_at(seen);
  }

  /// Adds to `rows`, by version.
  void add_to(std::map<Uuid, wire::TrafficRow>& rows) const;

 private:
  void look_at(const Seen& seen);

  // The worker's.
  std::uint64_t unseen_ = 0;  ///< requests since the last look, with this one
  std::int64_t looked_us_ = 0;

  mutable std::mutex mutex_;
  // Under the lock.
  std::map<Uuid, wire::TrafficRow> versions_;
  wire::TrafficRow rest_;
};

/// Adds counts of the same row.
void add_traffic(wire::TrafficRow& to, const wire::TrafficRow& more);

}  // namespace espalier::shard
