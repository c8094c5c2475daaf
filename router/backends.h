// The shards' endpoints that a router sends to: their sockets, how busy each is, and which have gone silent.
//
//   answering --(its connection was lost, or nothing heard while something is in flight)--> suspect
//   suspect --(anything heard)--> answering
//
// Silence counts while the router runs: it doesn't go on while the router itself is held up.
//
// A suspect endpoint is asked only where no other is left. One that has as much in flight as it may is asked nothing,
// so what a silent shard has been sent stays bounded. A small "hello" goes from time to time to one that is suspect,
// and to one at which something unanswered is waited for no more, whatever else was heard from it: the answer says that
// it is there, and what was lost. One that could not be connected to is asked nothing, and tried again from time to
// time.
//
// Thread safety: the router's thread. Ownership: owns its sockets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/view.h"
#include "common/curve_key.h"
#include "common/status.h"
#include "router/limits.h"
#include "router/response_times.h"
#include "router/retry_policy.h"
#include "router/slot_table.h"
#include "wire/keyring.h"
#include "wire/socket.h"

namespace espalier::router {

/// Of a socket that carries requests: both queues are deep, and bounded.
wire::SocketOptions request_queues();
/// Of the one that clients connect to: fewer replies wait for one that doesn't read, and fewer requests for the router.
wire::SocketOptions client_queues();

/// Request id of what is sent to a shard, which gives it back. `number` is its connection's: Flow::hear(). A hello has
/// no ticket, and the number of the last message before it.
struct ShardRequestId {
  Ticket ticket;
  std::uint32_t piece : 24 = 0;
  std::uint32_t attempt : 8 = 0;
  std::uint32_t number = 0;
};
static_assert(sizeof(ShardRequestId) == 16);

struct Backend {
  explicit Backend(const Limits& limits) : flow(limits) {}

  std::string endpoint;
  std::optional<PublicKey> key;          ///< of whoever is to listen there
  std::string shard;                     ///< whose it is in the view
  std::unique_ptr<wire::Socket> socket;  ///< null: not connected yet, or let go of
  Flow flow;
  std::uint32_t open_attempts = 0;  ///< of requests that are not over
  bool is_suspect = false;
  std::int64_t suspect_since_us = 0;  ///< 0: its connection was lost, or it was suspect from the first
  bool is_gone = false;               ///< as the view says: its lease has ended, or it came back with nothing
  bool is_wanted = true;              ///< false: no shard of the view has it any more; kept until nothing is in flight
  bool is_let_go = false;             ///< for good: its place is never used again
  std::int64_t heard_us = 0;          ///< monotonic time of the last message
  /// Since when it owes an answer, as the router's waking time: of the last message, or of the first in flight since.
  std::int64_t silent_since_us = 0;
  /// The least that an answer has taken, in the present window of some seconds and the one before; -1: none came.
  std::int64_t least_us = -1, least_before_us = -1;
  std::int64_t window_end_us = 0;
  /// How long work takes there, as a share of what it was said to take; learned while it is busy.
  ResponseTimes times;  ///< where requests are hedged
  double pace = 0.05;
  std::uint64_t worked_us = 0;  ///< of its flow, at the last look
  std::int64_t unpaced_us = 0;  ///< it has been busy since its pace was last learned
  bool is_busy = false;         ///< something has been in flight since the last look
  bool is_greeted = false;      ///< until everything up to message `greeted_for` is answered or lost
  std::uint32_t greeted_for = 0;
  std::uint32_t failed_tries = 0;  ///< to connect, one after the other
  // Suspect or greeted: when the next hello is due; not connected: the next try. The wait after it doubles.
  std::int64_t next_try_us = 0;
  std::int64_t try_wait_us = 0;
};

class Backends {
 public:
  /// What a router proves who it is with, and whether a key is a shard's; without keys nobody needs any. `insecure`:
  /// shards are asked, too, where the connection is neither secured nor private.
  Backends(wire::Context& context, const Limits& limits, std::shared_ptr<const KeyPair> key = nullptr,
           wire::Keyring* keyring = nullptr, bool insecure = false)
      : context_(context), limits_(limits), key_(std::move(key)), keyring_(keyring), insecure_(insecure) {}

  /// Cheap while the keys that count stay the same. Else: ends the connections to shards whose keys don't, or are not
  /// theirs, and names
  /// these; they are tried again, in case they will.
  const std::vector<std::uint32_t>& check_keys(std::int64_t now_us);

  /// Connects to what is new in the view and lets go of what has left it.
  void take_view(const cluster::View& view, std::int64_t now_us);

  /// By number; numbers stay as they are for the life of the router.
  std::size_t size() const { return backends_.size(); }
  Backend& at(std::uint32_t number) { return *backends_[number]; }
  /// False where it isn't connected yet, and once its endpoint was let go of.
  bool is_open(std::uint32_t number) const { return backends_[number]->socket != nullptr; }

  /// A number for the shard at this place of the view, the same in every view that has a shard of its name.
  std::uint32_t shard_at(std::uint32_t place) const { return shard_at_[place]; }
  /// The shard's endpoint to send to, answering before suspect, then least busy, among those that aren't full; a full
  /// one when all are; null when none is connected. `remaining_us`: of the budget of what is to be sent.
  Backend* choose(std::uint32_t shard, std::uint32_t& number, std::int64_t remaining_us = kNever);
  /// The shard as a candidate that was not tried yet.
  Candidate candidate(std::uint32_t shard, std::int64_t remaining_us = kNever, std::int64_t now_us = 0);
  bool hedges() const { return limits_.hedges; }
  /// It has as much in flight as it may, or what is in flight there takes more than half of the time that remains.
  bool is_full(const Backend& backend, std::int64_t remaining_us = kNever) const {
    return backend.flow.is_full(limits_) || wait_us(backend) > remaining_us / 2;
  }
  /// So long a message that is sent now waits there, as far as can be told.
  static std::int64_t wait_us(const Backend& backend) {
    return static_cast<std::int64_t>(static_cast<double>(backend.flow.work_in_flight_us()) * backend.pace);
  }
  /// At the last look some endpoint had more waiting than is well (Limits::crowd_us): how much work, as Flow::send() is
  /// told it, is so much there; 0: there is no crowd.
  std::uint64_t crowd_work_us() const { return crowd_work_us_; }

  void heard(Backend& backend, std::int64_t now_us);
  /// A request was answered so long after it was sent.
  void answered(Backend& backend, std::int64_t took_us, std::int64_t now_us);
  /// A message goes to it; before it is counted in its flow.
  void sends(Backend& backend) {
    if (backend.flow.in_flight() != 0) return;
    backend.silent_since_us = waking_us_;
    backend.is_busy = false;
  }
  /// Whether a look at the connections is due: watch().
  bool must_watch(std::int64_t now_us) const { return now_us >= watch_due_us_; }
  /// Those that have become suspect since the last time: their connections were lost, or they have been silent for
  /// too long. REQUIRES: what has arrived was heard.
  const std::vector<std::uint32_t>& watch(std::int64_t now_us);
  /// The most endpoints that one shard of the view has.
  std::size_t most_endpoints() const;

  /// A request sent at `sent_us` was not answered in time.
  void missed(Backend& backend, std::int64_t sent_us, std::int64_t now_us);
  /// Nobody waits any more for something that was sent and isn't answered: whether it was lost is asked for.
  void greet(Backend& backend, std::int64_t now_us);
  /// Sends the hellos and tries the connections that are due; cheap when none is.
  void tend(std::int64_t now_us) {
    if (now_us >= due_us_) tend_due(now_us);
  }
  /// Microseconds until tend() has something to do; -1: nothing.
  std::int64_t next_us(std::int64_t now_us) const {
    return due_us_ == kNever ? -1 : std::max<std::int64_t>(0, due_us_ - now_us);
  }
  /// The same for watch(): soon while something is in flight.
  std::int64_t next_watch_us(std::int64_t now_us);
  /// Lets go of endpoints that have left the view and have nothing in flight.
  void sweep();

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  static constexpr std::uint64_t kNotSeen = ~std::uint64_t{0};

  bool is_better(const Backend& one, const Backend& other, std::int64_t remaining_us) const;
  void learn_pace(Backend& backend, std::int64_t elapsed_us);
  bool is_crowded(const Backend& backend) const;
  std::uint32_t add(const std::string& endpoint, const std::string& shard, std::int64_t now_us);
  void connect(Backend& backend, std::int64_t now_us);
  void suspect(Backend& backend, std::int64_t now_us);
  bool is_silent(const Backend& backend) const;
  void say_hello(Backend& backend, std::int64_t now_us);
  void tend_due(std::int64_t now_us);

  bool may_connect(const Backend& backend) const {
    return !backend.key || keyring_ == nullptr || keyring_->counts_as_shard(*backend.key, backend.shard);
  }

  wire::Context& context_;
  const Limits limits_;
  const std::shared_ptr<const KeyPair> key_;
  wire::Keyring* const keyring_;
  const bool insecure_;
  std::uint64_t keys_seen_ = 0;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::map<std::string, std::uint32_t> by_endpoint_;
  std::map<std::string, std::uint32_t> shards_;       ///< number by name
  std::vector<std::uint32_t> shard_at_;               ///< number by place in the view
  std::vector<std::vector<std::uint32_t>> of_shard_;  ///< backends by the shard's number
  std::uint32_t turn_ = 0;
  std::string hello_;
  bool has_unwanted_ = false;
  std::int64_t due_us_ = kNever;  ///< monotonic: tend() has nothing to do before
  std::int64_t watch_due_us_ = 0;
  std::int64_t watched_us_ = 0;
  std::int64_t waking_us_ = 0;  ///< grows with the time between two looks, but not while the router is held up
  std::vector<std::uint32_t> fallen_;
  std::vector<std::uint32_t> shut_out_;
  std::uint64_t crowd_work_us_ = 0;
};

}  // namespace espalier::router
