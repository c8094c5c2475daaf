// How many bytes a socket still holds of what it was given: queued, or on their way to the system.
//
// Thread safety: any thread; frames are let go of by ZeroMQ's own. Ownership: a frame keeps the counts that it is in.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "wire/socket.h"

namespace espalier::wire {

class HeldBytes {
 public:
  std::uint64_t now() const { return bytes_.load(std::memory_order_relaxed); }

  /// Until the socket has passed the frame's bytes on, or dropped them, `bytes` more are held in both counts. Costs an
  /// allocation.
  static void count(Frame& frame, std::uint64_t bytes, std::shared_ptr<HeldBytes> one, std::shared_ptr<HeldBytes> all);

 private:
  struct Counted;
  static void let_go(void*, void* hint);

  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace espalier::wire
