// One request from client to shard and back (docs/life-of-a-prediction.md, steps 2, 3, 4 and 8).
//
// The router reads headers only: bodies are moved through untouched. It stamps the prediction id, picks the shards by
// placement, splits a request of many parts into pieces, asks another replica where a shard refuses or stays silent,
// and puts the pieces' replies together in order. It holds no state that matters: another router answers the same
// request alike.
//
// Thread safety: run() on one thread, which owns all sockets; the counters may be read from any. Ownership: borrows the
// routes. Errors: every message is answered, under an empty request id where it has none.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/queue_clock.h"
#include "common/uuid.h"
#include "metrics/tally.h"
#include "router/backends.h"
#include "router/limits.h"
#include "router/request.h"
#include "router/request_counts.h"
#include "router/retry_policy.h"
#include "router/router_state.h"
#include "router/routes.h"
#include "router/slot_table.h"
#include "router/slow_log.h"
#include "router/tenants.h"
#include "router/timing_wheel.h"
#include "router/unread.h"
#include "wire/health_messages.h"
#include "wire/keyring.h"
#include "wire/predict_codec.h"
#include "wire/socket.h"
#include "wire/traffic_messages.h"

namespace espalier::router {

/// The router's thread counts.
struct RouterCounters {
  metrics::Tally requests;         ///< predictions taken in
  metrics::Tally refused;          ///< answered with an error by the router itself
  metrics::Tally sent;             ///< pieces sent to shards
  metrics::Tally asked_again;      ///< of these: to another shard, after a refusal or silence
  metrics::Tally not_asked_again;  ///< times a piece would have been after silence, but for the retry budget
  metrics::Tally overloaded;       ///< pieces for which no shard had room
  metrics::Tally waited;           ///< requests refused for having waited too long until they were taken up
  metrics::Tally unread;           ///< replies that became errors since their client hadn't read enough of those before
  metrics::Tally hedged;           ///< pieces for which a second shard was asked since the first took long
  metrics::Tally limited;          ///< requests refused by a tenant's limits or share
  metrics::Tally late;             ///< replies to requests that were over
  metrics::Tally slow;             ///< requests that took longer than Limits::slow_us
  metrics::Tally dropped;          ///< messages that could not be answered, replies to clients that are gone
};

/// By what a router proves who it is, and tells who asks; without either it has no keys, and everybody is local.
struct Access {
  std::shared_ptr<const KeyPair> key;
  wire::Keyring* keyring = nullptr;  ///< of the context
  bool insecure = false;             ///< shards may be asked over connections that are neither secured nor private
};

class Router {
 public:
  /// Binds all `endpoints` on one socket.
  static Result<std::unique_ptr<Router>> make(wire::Context& context, const std::vector<std::string>& endpoints,
                                              LiveRoutes& live, const Clock& clock, const Limits& limits = {},
                                              const Access& access = {});

  /// Until `stop_fd` is readable and what is in flight is answered; requests that come after the stop are refused with
  /// unavailable. `routes_fd` becomes readable when there are new routes; it is an eventfd and is read here.
  void run(int stop_fd, int routes_fd);

  const std::vector<std::string>& endpoints() const { return endpoints_; }
  const RouterCounters& counters() const { return counters_; }
  /// Bytes of large replies that clients haven't read yet. Any thread.
  std::uint64_t unread_bytes() const { return unread_.bytes(); }
  const RequestCounts& request_counts() const { return request_counts_; }
  const RouterState& state() const { return state_; }
  /// What else its status says; called on its thread. REQUIRES: before run().
  void complete_status(std::function<void(wire::RouterStatusReply&)> complete) {
    complete_status_ = std::move(complete);
  }

 private:
  /// Of a piece's shards the one to ask, and where; backend null: it isn't connected.
  struct Target {
    std::size_t place = 0;
    std::uint32_t number = 0;
    Backend* backend = nullptr;
  };
  struct Alarm {
    Ticket ticket;
    std::int64_t due_us;
    std::uint32_t piece;
    std::uint32_t attempt;
    bool is_hedge = false;  ///< only to ask another one as well
  };
  Router(std::unique_ptr<wire::Socket> socket, wire::Context& context, LiveRoutes& live, const Clock& clock,
         const Limits& limits, const Access& access);

  // The loop (router.cc).
  bool is_done(std::int64_t quiet_since_us) const;
  bool turn();
  void wait(int stop_fd, int routes_fd);
  void take_routes(const Routes& routes);
  void tell_state();
  std::vector<ShardState> shard_states();
  wire::RouterStatusReply status(const Routes& routes);
  wire::TrafficReply traffic();
  Status answer_operation(const Routes& routes, std::size_t id_at, const Principal& who, std::string_view op);
  bool drain_clients(const Routes& routes);
  bool drain_shards(bool all);
  bool drain_shard(std::uint32_t number);

  // From a client to the shards (request_way.cc).
  void handle_client(const Routes& routes);
  Status take_in(const Routes& routes, std::size_t id_at);
  static Status check(const wire::PredictHeader& header, const Principal& principal);
  Status take_off_wait(std::string_view client, std::size_t bytes);
  Status plan(const Routes& routes, Request& request);
  std::int64_t remaining_us(const Request& request) const { return request.deadline_us - now_us_; }
  std::size_t candidates_of(const Routes& routes, const cluster::Placement::TenantShards& tenant, std::uint32_t levels,
                            const wire::PredictHeader::Part& part, std::array<std::uint32_t, kMaxCandidates>& shards);
  void add_to_piece(Request& request, std::uint32_t part, const std::array<std::uint32_t, kMaxCandidates>& shards,
                    std::size_t count, bool spread);
  Sending ask_next(Ticket ticket, Request& request, std::uint32_t piece_number, Cause cause);
  std::optional<Target> next_target(Request& request, Piece& piece, Cause cause, Sending& why);
  std::span<const Candidate> candidates_of(const Piece& piece, std::int64_t remaining_us);
  bool has_others(const Request& request, const Piece& piece) const;
  bool add_stand_ins(const Request& request, Piece& piece);
  bool forgive_lost(Piece& piece);
  bool send_piece(Ticket ticket, Request& request, std::uint32_t piece_number, const Target& target,
                  std::size_t others_left);

  // From the shards to the client (reply_way.cc).
  void handle_shard(std::uint32_t backend);
  bool is_last_word(Ticket ticket, Request& request, std::uint32_t piece_number, const Status& status);
  void ask_elsewhere(std::uint32_t backend);
  void ask_risen();
  bool is_left_alone(const Piece& piece);
  void ask_now_or_soon(Ticket ticket, Request& request, std::uint32_t piece_number);
  void close_attempt(Attempt& attempt);
  void give_up(Piece& piece);
  void ring(const Alarm& alarm);
  void hedge(const Alarm& alarm, Request& request, const Piece& piece);
  void finish_piece(Ticket ticket, Request& request, Piece& piece);
  void reply_merged(Request& request);
  void end(Ticket ticket, Request& request);
  void count_late();
  void discard(const wire::Message& reply);
  void reply_with(Request& request, std::span<wire::Frame> rest);

  // Where its time went (look_back.cc).
  void begin_trace(Request& request);
  void note_times(Request& request, std::uint32_t piece, std::uint32_t attempt);
  void look_back(Request& request, wire::Frame& header);
  void say_slow(const Request& request, std::string_view reply);
  wire::Trace trace_of(const Request& request);
  void reply_error(std::span<wire::Frame> envelope, const Status& status, std::int64_t retry_after_us);
  void send_to_client(std::span<wire::Frame> envelope, std::span<wire::Frame> rest);

  const std::unique_ptr<wire::Socket> socket_;
  std::vector<std::string> endpoints_;
  LiveRoutes& live_;
  LiveRoutes::Reader reader_;
  const Clock& clock_;
  wire::Door door_;
  RouterCounters counters_;
  RequestCounts request_counts_;
  RouterState state_;
  std::function<void(wire::RouterStatusReply&)> complete_status_;
  UuidSource ids_;
  Backends backends_;
  RetryBudget retries_;
  SlotTable<Request> in_flight_;
  Unread unread_;
  QueueClock queue_;  ///< of the clients' connections
  TimingWheel<Alarm> alarms_;
  Tenants tenants_;
  std::uint64_t routes_number_ = 0;
  const Routes* routes_ = nullptr;  ///< under the lease of this turn
  bool has_risen_ = false;          ///< a shard answers again
  std::size_t bytes_in_flight_ = 0;
  std::int64_t now_us_ = 0;   ///< monotonic time, a few messages old
  std::int64_t wall_us_ = 0;  ///< the clock on the wall, a turn old
  bool is_stopping_ = false;
  std::int64_t stopping_since_us_ = 0;
  // Reused.
  wire::Poller poller_;
  wire::Message message_;
  wire::Message next_message_;
  wire::Message out_;
  wire::PredictHeader header_;
  std::string header_bytes_;
  std::string model_key_;
  std::array<Candidate, kMaxAsked> candidates_;
  SlowLog slow_log_;
  std::int64_t retry_hint_us_ = 0;  ///< of the refusal that take_in() gives
  Tenant* refused_ = nullptr;       ///< whose request that is; null: nobody's who is counted
};

}  // namespace espalier::router
