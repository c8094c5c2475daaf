#include "wire/held_bytes.h"

#include <zmq.h>

#include <new>
#include <utility>

namespace espalier::wire {

struct HeldBytes::Counted {
  Frame frame;
  std::uint64_t bytes;
  std::shared_ptr<HeldBytes> one, all;
};

void HeldBytes::let_go(void*, void* hint) {
  auto* counted = static_cast<Counted*>(hint);
  counted->one->bytes_.fetch_sub(counted->bytes, std::memory_order_relaxed);
  counted->all->bytes_.fetch_sub(counted->bytes, std::memory_order_relaxed);
  delete counted;
}

void HeldBytes::count(Frame& frame, std::uint64_t bytes, std::shared_ptr<HeldBytes> one,
                      std::shared_ptr<HeldBytes> all) {
  auto counted = std::make_unique<Counted>(Counted{std::move(frame), bytes, std::move(one), std::move(all)});
  counted->one->bytes_.fetch_add(bytes, std::memory_order_relaxed);
  counted->all->bytes_.fetch_add(bytes, std::memory_order_relaxed);
  Frame outer;
  auto* message = static_cast<zmq_msg_t*>(outer.handle());
  zmq_msg_close(message);
  if (zmq_msg_init_data(message, counted->frame.data(), counted->frame.size(), let_go, counted.get()) != 0) {
    zmq_msg_init(message);
    let_go(nullptr, counted.release());
    throw std::bad_alloc();
  }
  static_cast<void>(counted.release());
  frame = std::move(outer);
}

}  // namespace espalier::wire
