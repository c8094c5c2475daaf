// What a ROUTER socket receives before the request id: the peer's routing id, and from a REQ socket an empty frame
// (with ZMQ_REQ_CORRELATE four bytes before that). A reply starts with the same frames.
//
// Thread safety: a pure function.
#pragma once

#include <cstddef>

#include "wire/socket.h"

namespace espalier::wire {

/// The place of the request id in a message received by a ROUTER socket; message.size() or more when there is none.
inline std::size_t request_id_at(const Message& message) {
  if (message.size() > 1 && message[1].size() == 0) return 2;
  if (message.size() > 2 && message[1].size() == 4 && message[2].size() == 0) return 3;
  return 1;
}

}  // namespace espalier::wire
