// What one worker is asked for most: how many parts a second, and which placement keys have the largest share of them.
// The registry gives those more replicas that one shard should not bear alone (docs/membership.md, "Hot nodes").
//
// One request of 64 is looked at; its keys go into a space-saving sketch (Metwally, Agrawal and El Abbadi 2005), which
// never forgets a key with more than a 128th of all that was looked at. Older counts weigh half of what the next
// interval's do.
//
// Thread safety: note() on the worker's thread, add_to() on any other; they share a lock that note() takes for one
// request of 64.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "shard/model_table.h"
#include "wire/membership_messages.h"
#include "wire/predict_codec.h"

namespace espalier::shard {

class Busiest {
 public:
  static constexpr std::uint32_t kOneOf = 64;
  static constexpr std::size_t kKeys = 128;

  /// A request that was answered, or refused.
  void note(const wire::PredictHeader& header, const ModelTable& table) {
    parts_ += header.parts.size();
    if (++requests_ % kOneOf == 0) look_at(header, table);
  }

  /// Adds what it was asked for to `request`, as of the monotonic time given: a key that is there already gets more.
  void add_to(wire::RenewRequest& request, std::int64_t now_us);

 private:
  struct Key {
    wire::BusyNode node;
    double count = 0;  ///< parts
  };

  void look_at(const wire::PredictHeader& header, const ModelTable& table);

  // The worker's.
  std::uint64_t requests_ = 0;
  std::uint64_t parts_ = 0;  ///< since it was last looked
  std::string key_;

  std::mutex mutex_;
  // Under the lock.
  std::unordered_map<std::string, Key> keys_;
  double asked_ = 0;           ///< parts, with the weight of their age
  double seconds_ = 0;         ///< likewise
  std::int64_t since_us_ = 0;  ///< monotonic: when counting began; 0: not yet
};

/// Keeps the most asked for, best first.
void keep_busiest(wire::RenewRequest& request, std::size_t most = 16);

}  // namespace espalier::shard
