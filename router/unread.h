// What clients have been answered and haven't read yet: how much more a router keeps for each
// (docs/life-of-a-prediction.md, "Limits").
//
// Small replies are bounded by the number that a connection's queue takes (client_queues()); the bytes of larger ones
// are counted, so that a small reply costs nothing here.
//
// Thread safety: the router's thread; ZeroMQ's threads count down. Ownership: copies connections' names.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/status.h"
#include "router/limits.h"
#include "wire/held_bytes.h"
#include "wire/socket.h"

namespace espalier::router {

class Unread {
 public:
  explicit Unread(const Limits& limits) : limits_(limits), all_(std::make_shared<wire::HeldBytes>()) {}

  /// overloaded: the connection has half of what is kept for it to read, so that what it asks may be computed in vain.
  Status may_ask(std::string_view connection) const {
    return all_->now() < limits_.unread_of_connection / 2 ? Status() : refuse_full(connection);
  }
  /// overloaded: the reply is too much for what the connection hasn't read yet; one that has read everything gets any,
  /// but for more than its part while others leave too much unread.
  /// ok: it is to be sent now, and is counted until it is read. Cheap where it is small.
  Status take(std::string_view connection, std::span<wire::Frame> reply) {
    std::uint64_t bytes = 0;
    for (const wire::Frame& frame : reply) bytes += sizeof(wire::Frame) + frame.size();
    return bytes < kSmallReplyBytes || reply.empty() ? Status() : take_large(connection, reply.back(), bytes);
  }
  std::uint64_t bytes() const { return all_->now(); }
  std::size_t connections() const { return connections_.size(); }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  bool is_crowded(std::uint64_t bytes) const;
  Status refuse_full(std::string_view connection) const;
  Status take_large(std::string_view connection, wire::Frame& last, std::uint64_t bytes);

  const Limits limits_;
  const std::shared_ptr<wire::HeldBytes> all_;
  std::unordered_map<std::string, std::shared_ptr<wire::HeldBytes>, Hash, std::equal_to<>> connections_;
};

}  // namespace espalier::router
