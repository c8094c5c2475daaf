// How often a worker answered for each model, and why the node that answered did (docs/fallback.md).
//
// Models are counted one by one up to a limit, in the order in which they are first asked for, the others together.
//
// Thread safety: add() from the worker's thread; the rest from any. A reader sees each answer or not yet. Ownership:
// keeps the models' names.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shard/model_table.h"

namespace espalier::shard {

/// Parts answered, by reason.
using Reasons = std::array<std::uint64_t, NodeCounts::kReasons>;

/// Whether a fallback of this reason is a fault, or on the way to one. The others are how things are meant to be.
constexpr bool is_unexpected(wire::Reason reason) {
  return reason != wire::Reason::exact && reason != wire::Reason::no_version && reason != wire::Reason::removed;
}
/// Of those, the ones that somebody decided on: a memory budget, a quarantine.
constexpr bool is_deliberate(wire::Reason reason) {
  return reason == wire::Reason::over_budget || reason == wire::Reason::quarantined;
}
std::uint64_t count_of(const Reasons& reasons);
std::uint64_t unexpected_of(const Reasons& reasons);

class AnswerCounts {
 public:
  static constexpr std::size_t kModels = 1024;

  AnswerCounts();
  ~AnswerCounts();
  AnswerCounts(const AnswerCounts&) = delete;
  AnswerCounts& operator=(const AnswerCounts&) = delete;

  /// `hash`: of the model's key.
  void add(const Model& model, std::uint64_t hash, wire::Reason reason);

  /// visit(tenant, model, Reasons) for each model, and with empty names for all that have no place of their own.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const auto& place : places_) {
      const Counted* counted = place.load(std::memory_order_acquire);
      if (counted != nullptr) visit(counted->tenant, counted->model, counted->read());
    }
    visit(std::string(), std::string(), rest_.read());
  }

 private:
  struct Counted {
    std::string key, tenant, model;
    std::array<std::atomic<std::uint64_t>, NodeCounts::kReasons> reasons{};
    /// One thread writes.
    void add(wire::Reason reason) {
      auto& count = reasons[static_cast<std::size_t>(reason)];
      count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    Reasons read() const;
  };
  static constexpr std::size_t kPlaces = 2 * kModels;

  std::array<std::atomic<Counted*>, kPlaces> places_{};
  std::size_t taken_ = 0;  ///< the worker's
  Counted rest_;
};

}  // namespace espalier::shard
