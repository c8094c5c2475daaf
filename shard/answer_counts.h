// What a worker answered, for alerts (docs/fallback.md), status and metrics: requests by code and how long they took,
// parts by why and how far above the node asked for they were answered; and the same for each model.
//
// Models are counted one by one up to a limit, in the order in which they are first asked for, the others together.
//
// Thread safety: the worker's thread counts; the rest from any. A reader sees each answer or not yet. Ownership: keeps
// the models' names.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "metrics/tally.h"
#include "shard/model_table.h"
#include "wire/reply_peek.h"

namespace espalier::shard {

/// Parts answered, by reason.
using Reasons = std::array<std::uint64_t, NodeCounts::kReasons>;

using wire::is_unexpected;
/// Of those, the ones that somebody decided on: a memory budget, a quarantine.
constexpr bool is_deliberate(wire::Reason reason) {
  return reason == wire::Reason::over_budget || reason == wire::Reason::quarantined;
}
std::uint64_t count_of(const Reasons& reasons);
std::uint64_t unexpected_of(const Reasons& reasons);

struct ModelCounts {
  std::string key, tenant, model;  ///< empty: of all that have no place of their own, or could not be told
  std::array<metrics::Tally, NodeCounts::kReasons> reasons;
  metrics::Tally failed;    ///< requests that failed as a whole, or in a part
  metrics::Durations took;  ///< of all requests

  void add(wire::Reason reason) { reasons[static_cast<std::size_t>(reason)].add(); }
  Reasons read() const;
};

class AnswerCounts {
 public:
  static constexpr std::size_t kModels = 1024;
  static constexpr std::size_t kCodes = static_cast<std::size_t>(Code::internal) + 1;
  static constexpr std::size_t kLevelsAbove = 9;  ///< from none to as many levels as a partition may have

  AnswerCounts();
  ~AnswerCounts();
  AnswerCounts(const AnswerCounts&) = delete;
  AnswerCounts& operator=(const AnswerCounts&) = delete;

  /// The model's; the rest's once there are too many. `hash`: of its key. Stays where it is.
  ModelCounts& of(const Model& model, std::uint64_t hash);
  ModelCounts& rest() { return rest_; }
  void add(const Model& model, std::uint64_t hash, wire::Reason reason) { of(model, hash).add(reason); }

  // Of all models.
  std::array<metrics::Tally, kCodes> requests;      ///< by the reply's code
  std::array<metrics::Tally, kCodes> parts_failed;  ///< of replies that are ok as a whole
  std::array<std::array<metrics::Tally, NodeCounts::kReasons>, kLevelsAbove> parts;  ///< answered
  metrics::Durations took;    ///< requests: from when they were taken up until they were answered
  metrics::Durations waited;  ///< before that, as far as can be told

  /// visit(const ModelCounts&) for each model, the rest's last.
  template <class Visit>
  void for_each_model(const Visit& visit) const {
    for (const auto& place : places_) {
      const ModelCounts* counted = place.load(std::memory_order_acquire);
      if (counted != nullptr) visit(*counted);
    }
    visit(rest_);
  }
  /// visit(tenant, model, Reasons) for each.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for_each_model([&](const ModelCounts& counted) { visit(counted.tenant, counted.model, counted.read()); });
  }

 private:
  static constexpr std::size_t kPlaces = 2 * kModels;

  std::array<std::atomic<ModelCounts*>, kPlaces> places_{};
  std::size_t taken_ = 0;  ///< the worker's
  ModelCounts rest_;
};

}  // namespace espalier::shard
