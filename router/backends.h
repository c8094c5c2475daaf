// The shards' endpoints that a router sends to: their sockets, how busy each is, and which have gone silent.
//
//   answering --(nothing heard since a request that was not answered in time)--> suspect --(anything heard)-->
//   answering
//
// A suspect endpoint is asked only where no other is left; a small "hello" goes to it from time to time, so that it is
// noticed when it answers again. Thread safety: the router's thread. Ownership: owns its sockets.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/view.h"
#include "common/status.h"
#include "router/retry_policy.h"
#include "wire/socket.h"

namespace espalier::router {

/// Of a socket that carries requests: both queues are deep, and bounded.
wire::SocketOptions request_queues();

struct Backend {
  std::string endpoint;
  std::unique_ptr<wire::Socket> socket;
  std::uint32_t in_flight = 0;
  bool is_suspect = false;
  bool is_wanted = true;      ///< false: no shard of the view has it any more; kept until nothing is in flight
  std::int64_t heard_us = 0;  ///< monotonic time of the last message
  std::int64_t next_probe_us = 0;
  std::int64_t probe_wait_us = 0;
};

class Backends {
 public:
  explicit Backends(wire::Context& context) : context_(context) {}

  /// Connects to what is new in the view and lets go of what has left it.
  void take_view(const cluster::View& view, std::int64_t now_us);

  /// By number; numbers stay as they are for the life of the router.
  std::size_t size() const { return backends_.size(); }
  Backend& at(std::uint32_t number) { return *backends_[number]; }
  /// False once its endpoint was let go of.
  bool is_open(std::uint32_t number) const { return backends_[number]->socket != nullptr; }

  /// A number for the shard at this place of the view, the same in every view that has a shard of its name.
  std::uint32_t shard_at(std::uint32_t place) const { return shard_at_[place]; }
  /// The shard's endpoint to send to, answering before suspect, then least busy; null when it has none.
  Backend* choose(std::uint32_t shard, std::uint32_t& number);
  /// The shard as a candidate that was not tried yet.
  Candidate candidate(std::uint32_t shard);

  void heard(Backend& backend, std::int64_t now_us);
  /// A request sent at `sent_us` was not answered in time.
  void missed(Backend& backend, std::int64_t sent_us, std::int64_t now_us);
  /// Sends the hellos that are due; microseconds until the next is, -1 when nothing is suspect.
  std::int64_t probe(std::int64_t now_us);
  /// Lets go of endpoints that have left the view and have nothing in flight.
  void sweep();

  /// Request id of a hello: no ticket has it.
  static constexpr std::string_view kProbeId = "hello";

 private:
  wire::Context& context_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::map<std::string, std::uint32_t> by_endpoint_;
  std::map<std::string, std::uint32_t> shards_;       ///< number by name
  std::vector<std::uint32_t> shard_at_;               ///< number by place in the view
  std::vector<std::vector<std::uint32_t>> of_shard_;  ///< backends by the shard's number
  std::uint32_t turn_ = 0;
  std::string hello_;
  bool has_unwanted_ = false;
};

}  // namespace espalier::router
