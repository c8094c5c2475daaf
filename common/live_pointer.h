// The pointer to the current snapshot of something that many threads read at every request and one thread replaces.
//
//   control thread:  live.publish(std::make_unique<const Table>(...));     // build, swap, drain, destroy
//   worker thread:   auto lease = reader.lease();  lease->find(...);       // no lock, no reference count, no
//   allocation
//
// How: each reader owns a slot (a hazard pointer). A lease writes the pointer it read into the slot and reads again;
// equal means that the writer either sees the slot or has not yet replaced the pointer. The writer swaps, then keeps
// the old snapshot on a retired list until no slot names it, and destroys it on its own thread, never in a reader.
//
// Thread safety: publish() and collect() from one control thread. A Reader belongs to one thread and holds at most one
// Lease at a time. The LivePointer outlives its Readers. Built from atomics that ThreadSanitizer understands.
#pragma once

#include <atomic>
#include <cassert>
#include <memory>
#include <mutex>
#include <vector>

namespace espalier {

template <class T>
class LivePointer {
  struct alignas(64) Slot {
    std::atomic<const T*> held{nullptr};
    bool in_use = false;  // guarded by slots_mutex_
  };

 public:
  explicit LivePointer(std::unique_ptr<const T> first) : current_(first.release()) {
    assert(current_.load() != nullptr);
  }
  LivePointer(const LivePointer&) = delete;
  LivePointer& operator=(const LivePointer&) = delete;
  /// REQUIRES: no Reader lives.
  ~LivePointer() { delete current_.load(); }

  /// A snapshot that stays valid until the lease ends.
  class Lease {
   public:
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { slot_.held.store(nullptr, std::memory_order_release); }
    const T& operator*() const { return *pointer_; }
    const T* operator->() const { return pointer_; }

   private:
    friend class LivePointer;
    Lease(Slot& slot, const T* pointer) : slot_(slot), pointer_(pointer) {}
    Slot& slot_;
    const T* pointer_;
  };

  class Reader {
   public:
    explicit Reader(LivePointer& live) : live_(live), slot_(live.take_slot()) {}
    ~Reader() { live_.give_back(slot_); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    Lease lease() {
      assert(slot_.held.load(std::memory_order_relaxed) == nullptr && "one lease at a time");
      const T* pointer = live_.current_.load(std::memory_order_acquire);
      for (;;) {
        slot_.held.store(pointer, std::memory_order_seq_cst);
        const T* again = live_.current_.load(std::memory_order_seq_cst);
        if (again == pointer) return Lease(slot_, pointer);
        pointer = again;
      }
    }

   private:
    LivePointer& live_;
    Slot& slot_;
  };

  /// Control thread only. The snapshot for leases from now on; the old one goes as soon as no lease names it.
  void publish(std::unique_ptr<const T> next) {
    assert(next != nullptr);
    retired_.emplace_back(current_.exchange(next.release(), std::memory_order_seq_cst));
    collect();
  }

  /// Control thread only. Destroys retired snapshots that no lease names any more; returns how many remain.
  std::size_t collect() {
    std::erase_if(retired_, [this](const std::unique_ptr<const T>& old) { return !is_leased(old.get()); });
    return retired_.size();
  }

  /// Control thread only: the current snapshot, valid until the next publish().
  const T& current() const { return *current_.load(std::memory_order_acquire); }

 private:
  Slot& take_slot() {
    std::lock_guard lock(slots_mutex_);
    for (auto& slot : slots_) {
      if (!slot->in_use) {
        slot->in_use = true;
        return *slot;
      }
    }
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->in_use = true;
    return *slots_.back();
  }
  void give_back(Slot& slot) {
    std::lock_guard lock(slots_mutex_);
    slot.in_use = false;
  }
  bool is_leased(const T* pointer) {
    std::lock_guard lock(slots_mutex_);
    for (const auto& slot : slots_) {
      if (slot->held.load(std::memory_order_seq_cst) == pointer) return true;
    }
    return false;
  }

  std::atomic<const T*> current_;
  // Control thread only.
  std::vector<std::unique_ptr<const T>> retired_;
  // Guarded by slots_mutex_; never taken by lease().
  std::mutex slots_mutex_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace espalier
