// What is in flight: slots named by tickets that are never mistaken for each other, so that a late reply finds nothing
// instead of a stranger's request.
//
// Thread safety: belongs to one thread. Ownership: the table keeps a payload's memory for the next use of its slot.
#pragma once

#include <cassert>
#include <cstdint>
#include <deque>
#include <vector>

namespace espalier::router {

/// Slot and use of it; a ticket stays unique until its slot has been used 2^32 times.
struct Ticket {
  std::uint32_t slot = 0;
  std::uint32_t use = 0;
  bool operator==(const Ticket&) const = default;
};

template <class Payload>
class SlotTable {
 public:
  explicit SlotTable(std::size_t limit) : limit_(limit) {}

  bool is_full() const { return size_ == limit_; }
  std::size_t limit() const { return limit_; }
  std::size_t size() const { return size_; }

  /// The payload is as its last user left it. REQUIRES: !is_full()
  Ticket add() {
    assert(!is_full());
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    slots_[slot].is_used = true;
    ++size_;
    return {slot, slots_[slot].use};
  }
  /// Null when the ticket's request is over.
  Payload* find(Ticket ticket) {
    if (ticket.slot >= slots_.size()) return nullptr;
    Slot& slot = slots_[ticket.slot];
    return slot.is_used && slot.use == ticket.use ? &slot.payload : nullptr;
  }
  /// Says that find(ticket) comes soon, whether it is known or not.
  void prefetch(Ticket ticket) const {
    if (ticket.slot >= slots_.size()) return;
    const auto* at = reinterpret_cast<const char*>(&slots_[ticket.slot]);
    for (std::size_t i = 0; i < sizeof(Slot); i += kCacheLine) __builtin_prefetch(at + i);
  }
  /// Calls `each(ticket, payload)` for all that is there; it may add, and remove the one it is called with.
  template <class Each>
  void for_each(Each&& each) {
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].is_used) each(Ticket{i, slots_[i].use}, slots_[i].payload);
    }
  }
  /// REQUIRES: find(ticket) is not null.
  void remove(Ticket ticket) {
    assert(find(ticket) != nullptr);
    Slot& slot = slots_[ticket.slot];
    slot.is_used = false;
    ++slot.use;
    free_.push_back(ticket.slot);
    --size_;
  }

 private:
  static constexpr std::size_t kCacheLine = 64;
  struct Slot {
    std::uint32_t use = 1;
    bool is_used = false;
    Payload payload;
  };

  const std::size_t limit_;
  std::size_t size_ = 0;
  std::deque<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace espalier::router
