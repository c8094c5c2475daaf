// Requests to one side of the cluster and their replies, many in flight at once over one connection: what Client and
// RegistryClient share.
//
// A request is [request id][header][body]…; its reply has the same request id. A request that stays without reply is
// sent again where its caller allows that, over the next endpoint where there is more than one; when its time is over
// it is answered here with a failure.
//
// With Options::renew the other side is watched: where the connection is lost, or it answers neither a request nor a
// hello, what is under way is sent again at once, over the next endpoint. Only whole messages are heard, so the time
// that their bytes may be on the way is nobody's silence. Once all have been tried in vain the next round waits, longer
// each time, and is more patient, until a request is answered. What is sent again after one silence soon after another
// has a budget, since who is silent may be busy; what was lost with its connection, or after long calm, has none. A
// request is answered once, whatever was sent twice: a late answer to the first sending has no socket left to come
// through.
//
// Thread safety: belongs to one thread. Ownership: keeps a request's frames until it is answered, if it may be sent
// again.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "wire/socket.h"

namespace espalier::client {

/// Names a request from send() to its answer; never 0, never used twice by one Exchange.
using Ticket = std::uint64_t;

/// What became of one request.
struct Answer {
  Ticket ticket = 0;
  Status status;         ///< the reply's own, or why there is none
  wire::Message frames;  ///< request id, header, bodies; empty when there is no reply

  /// The reply's header; empty when there is none.
  std::string_view header() const { return frames.size() > 1 ? frames[1].view() : std::string_view(); }
  std::size_t body_count() const { return frames.size() > 2 ? frames.size() - 2 : 0; }
  /// REQUIRES: index < body_count()
  std::string_view body(std::size_t index) const { return frames[index + 2].view(); }
};

class Exchange {
 public:
  struct Options {
    /// In messages: "the registry at ipc://… did not answer within 10 s".
    std::string peer = "the other side";
    /// The code of a request whose time is over.
    Code late = Code::unavailable;
    wire::SocketOptions socket;
    /// For requests that may be answered twice: the header of one that is sent again, `remaining_us` before its time is
    /// over; empty: it isn't. Null: what is under way is sent again by its resend_us only.
    std::function<std::string(std::string_view header, std::int64_t remaining_us)> renew;
    /// So long the other side may be silent while something is under way, before it is asked whether it is there; and
    /// so long it may take to say so.
    std::int64_t silence_us = 60'000;
    std::int64_t hello_us = 100'000;
    /// Sent again after a silence within 10 s of another: one of ten requests, and beyond that so many, which fills up
    /// anew.
    std::uint32_t resend_reserve = 4096;
    /// Requests that may be under way or have an answer that wasn't received yet, and bytes of those under way.
    std::size_t most_requests = 65'536;
    std::uint64_t most_bytes = 1ull << 30;
    /// What waits for half of its time until the connection's queue takes it is refused with overloaded, while the
    /// other side answers.
    bool refuses_what_waits = false;
  };

  /// invalid_argument: no endpoints, or one that can't be parsed. failed_precondition: one that is neither secured nor
  /// private, unless SocketOptions say `insecure`. Whether somebody answers there is not known yet.
  static Result<std::unique_ptr<Exchange>> open(std::vector<std::string> endpoints, Options options,
                                                const Clock& clock = Clock::system());

  /// overloaded: there is no room for another request of so many bytes until answers are received, or it would wait too
  /// long until it is sent.
  Status check_room(std::uint64_t bytes, std::int64_t timeout_us) const;
  /// Sends, or keeps for sending when the connection's queue is full. `timeout_us` from now its answer is a failure.
  /// `resend_us`: send it again after so long without reply (0: never).
  Ticket send(std::string header, std::vector<std::string> bodies, std::int64_t timeout_us, std::int64_t resend_us);

  /// The next answer, in the order of arrival, waiting up to `timeout_us` (0: not at all). false: none now.
  bool receive(Answer& answer, std::int64_t timeout_us);
  /// The answer of `ticket`, waiting until it is there; answers of others are kept for receive().
  /// REQUIRES: ticket is in flight or its answer not yet received.
  Answer wait_for(Ticket ticket);
  /// Its answer will not be given any more.
  void forget(Ticket ticket);

  std::size_t in_flight() const { return in_flight_.size(); }
  /// To wait on together with others; becomes another one after an endpoint was given up, so add it anew for each wait.
  wire::Socket& socket() { return *socket_; }
  /// When receive() should be called again though nothing arrived: microseconds from now, -1 when nothing is in flight.
  std::int64_t next_event_us() const;

 private:
  struct Request {
    wire::Message frames;  ///< kept for sending again; empty once sent if it never will be
    std::int64_t deadline_us;
    std::int64_t timeout_us;
    std::int64_t resend_us;
    std::uint64_t bytes;
    bool sent;
    bool is_stale = false;  ///< its header says what was true some time ago
  };
  using Event = std::pair<std::int64_t, Ticket>;

  Exchange(std::vector<std::string> endpoints, Options options, const Clock& clock);
  bool is_watched() const { return options_.renew != nullptr; }
  Status reconnect();
  void watch();
  void say_hello(std::int64_t now_us);
  void move_on(std::int64_t now_us);
  std::int64_t back_us() const;
  std::int64_t silent_us() const;
  std::int64_t hello_over_us() const;
  std::uint32_t rounds() const { return moves_ / static_cast<std::uint32_t>(endpoints_.size()); }
  void heard(const wire::Message& message);
  std::int64_t next_watch_us(std::int64_t now_us) const;
  bool try_send(Request& request);
  void send_later(Ticket ticket, Request& request);
  void send_kept();
  void send_waiting();
  void drain();
  void expire();
  void use_next_endpoint();
  void send_all_again(bool was_lost);
  bool has_waited(Ticket ticket, std::int64_t us) const;
  void refuse_waiting();
  void fail(Ticket ticket, Status why);
  Status late(const Request& request) const;
  void end(std::unordered_map<Ticket, Request>::iterator request);

  const std::vector<std::string> endpoints_;
  const Options options_;
  const Clock& clock_;
  wire::Context context_;
  std::unique_ptr<wire::Socket> socket_;
  wire::Poller poller_;
  std::size_t endpoint_ = 0;
  Ticket last_ticket_ = 0;
  std::unordered_map<Ticket, Request> in_flight_;
  std::uint64_t bytes_in_flight_ = 0;
  std::deque<Ticket> unsent_;  ///< for which the connection's queue had no room; some may be over
  /// When to look at a request again: to send it anew or to give it up. May name requests that are answered.
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::deque<Answer> answered_;
  wire::Message incoming_;
  std::int64_t heard_us_ = 0;    ///< or since when it could have been
  std::int64_t message_us_ = 0;  ///< the last one over this connection; 0: none
  // While the other side is watched.
  std::int64_t busy_since_us_ = 0;               ///< something has been under way
  std::int64_t hello_sent_us_ = 0;               ///< 0: nobody was asked since the last message
  std::int64_t may_move_us_ = 0;                 ///< to the next endpoint, not before
  std::int64_t must_move_us_ = 0;                ///< a move that had to wait; 0: none
  std::uint32_t moves_ = 0;                      ///< since the last answer to a request
  std::optional<std::int64_t> last_silence_us_;  ///< for which an endpoint was given up
  bool was_lost_ = false;                        ///< the connection, with whatever was sent over it
  std::int64_t there_us_ = 0;                    ///< when all that was sent will have arrived, at the slowest
  std::int64_t up_us_ = 0;                       ///< what has been sent since the last message may take to arrive
  std::int64_t hello_up_us_ = 0;                 ///< what was ahead of the hello may
  std::uint64_t largest_sent_ = 0;               ///< in bytes, since something has been under way
  std::uint64_t largest_heard_ = 0;
  std::uint64_t resend_room_;     ///< token bucket: see kToken
  std::deque<Ticket> waiting_{};  ///< to be sent again when there is room
  std::minstd_rand chance_;
};

}  // namespace espalier::client
