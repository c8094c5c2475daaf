// When to look at a request again: thousands of alarms that are set at every request and hardly ever go off.
//
// An alarm is never taken back: whoever hears it looks whether it still matters. Alarms go off at most one tick (1,024
// µs) late, and never early; one further away than the wheel reaches goes off there, and is set again by whoever hears
// it. Thread safety: belongs to one thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <deque>

namespace espalier::router {

template <class Item>
class TimingWheel {
 public:
  static constexpr std::int64_t kTickUs = 1024;
  static constexpr std::int64_t kTicks = 4096;

  explicit TimingWheel(std::int64_t now_us) : tick_(now_us / kTickUs) {}

  void add(std::int64_t at_us, const Item& item) {
    const std::int64_t tick = std::clamp(at_us / kTickUs + 1, tick_ + 1, tick_ + kTicks - 1);
    const auto place = static_cast<std::size_t>(tick % kTicks);
    const std::uint32_t slot = slot_for(item);
    if ((occupied_[place / 64] >> (place % 64) & 1) == 0) {
      first_[place] = slot;
    } else {
      slots_[last_[place]].next = slot;
    }
    last_[place] = slot;
    occupied_[place / 64] |= std::uint64_t{1} << (place % 64);
  }

  /// Whether advance() may find something to do.
  bool is_behind(std::int64_t now_us) const { return now_us / kTickUs > tick_; }
  /// Calls `ring` for each alarm that is due. It may add alarms.
  template <class Ring>
  void advance(std::int64_t now_us, Ring&& ring) {
    const std::int64_t until = now_us / kTickUs;
    while (tick_ < until) {
      const std::int64_t next = next_occupied();
      if (next < 0 || next > until) {
        tick_ = until;
        return;
      }
      tick_ = next;
      const auto place = static_cast<std::size_t>(tick_ % kTicks);
      occupied_[place / 64] &= ~(std::uint64_t{1} << (place % 64));
      for (std::uint32_t slot = first_[place]; slot != kNone;) {
        const Slot due = slots_[slot];
        slots_[slot].next = free_;
        free_ = slot;
        slot = due.next;
        ring(due.item);
      }
    }
  }

  /// Microseconds from `now_us` to the next alarm; -1: there is none.
  std::int64_t next_us(std::int64_t now_us) const {
    const std::int64_t next = next_occupied();
    return next < 0 ? -1 : std::max<std::int64_t>(0, next * kTickUs - now_us);
  }

 private:
  /// The first tick after tick_ with alarms; -1: none.
  std::int64_t next_occupied() const {
    constexpr std::int64_t kWords = kTicks / 64;
    const std::int64_t first = tick_ + 1;
    const std::int64_t start = first % kTicks;
    for (std::int64_t i = 0; i <= kWords; ++i) {
      const std::int64_t word = (start / 64 + i) % kWords;
      std::uint64_t bits = occupied_[static_cast<std::size_t>(word)];
      if (i == 0) bits &= ~std::uint64_t{0} << (start % 64);
      if (i == kWords) bits &= ~(~std::uint64_t{0} << (start % 64));
      if (bits == 0) continue;
      const std::int64_t place = word * 64 + std::countr_zero(bits);
      return first + (place - start + kTicks) % kTicks;
    }
    return -1;
  }

  std::uint32_t slot_for(const Item& item) {
    if (free_ == kNone) {
      slots_.push_back({item, kNone});
      return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = free_;
    free_ = slots_[slot].next;
    slots_[slot] = {item, kNone};
    return slot;
  }

  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Slot {
    Item item;
    std::uint32_t next;  ///< of the same tick, or free
  };

  std::int64_t tick_;  ///< all alarms up to it have gone off
  // Of all ticks together, so that they take as much memory as there ever were alarms at once.
  std::deque<Slot> slots_;
  std::uint32_t free_ = kNone;
  std::array<std::uint32_t, kTicks> first_, last_;  ///< of a tick that is occupied
  std::array<std::uint64_t, kTicks / 64> occupied_{};
};

}  // namespace espalier::router
