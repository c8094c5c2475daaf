// How long a message waited before it was taken up: on the sender's side after it was handed over, on the way, and in
// the receiver's queue.
//
// The sender stamps a message with its own monotonic clock. Its zero is unknown, so the receiver compares: of the
// messages of one connection, the one with the least difference between the receiver's clock and the stamp waited
// least, and what another's difference is above that is what it waited longer. So a wait is told too short rather than
// too long: by what the least waiting message itself waited, and by an allowance for clocks that run apart. It is told
// too long while clocks run apart by more than that, as when one is slewed.
//
// The least difference is that of the last one to two seconds, so that it recovers from a clock that jumped (a machine
// that stood still). It is given up only after the receiver has found nothing waiting: while a queue never empties, or
// when a process is stopped and goes on, what was known before holds.
//
// Thread safety: belongs to one thread. Ownership: copies peers' names; allocates when a peer is new.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace espalier {

class QueueClock {
 public:
  /// Microseconds that the message waited, at least; 0 for the first of a connection. `peer` names the connection,
  /// whose messages come in the order sent; `sent_us` is its sender's clock, `now_us` the receiver's, both monotonic.
  /// A stamp outside [1, 2^62] says nothing: 0, and nothing is remembered.
  std::int64_t waited_us(std::string_view peer, std::int64_t sent_us, std::int64_t now_us);
  /// Whether later messages' waits would count from this one's, so that `now_us` has to be the present: one that is old
  /// makes this message look quicker than any is.
  bool sets_least(std::string_view peer, std::int64_t sent_us, std::int64_t now_us);
  /// The receiver has found nothing waiting, of any peer.
  void was_empty() { ++empties_; }

 private:
  struct Least {
    std::int64_t difference_us = 0;
    std::int64_t at_us = 0;
    std::int64_t as_of(std::int64_t now_us) const;
  };
  struct Peer {
    Least current, before;
    std::int64_t since_us = 0;  ///< `current` began then
    std::int64_t sent_us = 0;   ///< stamp of the last message
    std::uint64_t empties = 0;  ///< when `current` began
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  Peer* find(std::string_view name);
  Peer& peer_of(std::string_view name, const Least& first);
  bool begins_window(const Peer& peer, std::int64_t now_us) const;

  std::unordered_map<std::string, Peer, Hash, std::equal_to<>> peers_;
  // The peer of the last message: most have few.
  std::string_view last_name_;
  Peer* last_ = nullptr;
  std::uint64_t empties_ = 0;
};

}  // namespace espalier
