// What stands before the header in a message that a ROUTER socket receives: the peer's routing id, from a REQ socket an
// empty frame (with ZMQ_REQ_CORRELATE four bytes before that), and the request id. A reply starts with the same frames.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>

#include "common/status.h"
#include "wire/socket.h"

namespace espalier::wire {

inline constexpr std::size_t kMaxRequestIdBytes = 64;

struct Envelope {
  std::size_t id_at = 1;  ///< place of the request id; the header is the next frame
  Status status;          ///< not ok: there is no readable request, and this is the answer
};

/// Finds the request id. Where it is missing or too long, an empty one stands there afterwards, so that the sender can
/// be answered all the same: the message has id_at + 1 frames at least, and one more when the status is ok.
inline Envelope open_envelope(Message& message) {
  Envelope envelope;
  if (message.size() > 1 && message[1].size() == 0) envelope.id_at = 2;
  // Four bytes and an empty frame with nothing behind them are a request id and an empty header.
  if (message.size() > 3 && message[1].size() == 4 && message[2].size() == 0) envelope.id_at = 3;
  if (message.size() <= envelope.id_at) message.resize(envelope.id_at + 1);
  Frame& id = message[envelope.id_at];
  if (id.size() == 0 || id.size() > kMaxRequestIdBytes) {
    envelope.status = invalid_argument("request id: expected 1 to 64 bytes, got " + std::to_string(id.size()));
    id = Frame();
  } else if (envelope.id_at + 1 == message.size()) {
    envelope.status = invalid_argument("the message has no header frame");
  }
  return envelope;
}

/// Bytes of all frames.
inline std::size_t bytes_of(const Message& message) {
  std::size_t bytes = 0;
  for (const Frame& frame : message) bytes += frame.size();
  return bytes;
}

}  // namespace espalier::wire
