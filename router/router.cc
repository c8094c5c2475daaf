#include "router/router.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/bytes.h"
#include "common/log.h"

namespace espalier::router {
namespace {

constexpr std::size_t kMaxInFlight = 65536;
constexpr int kMessagesPerDrain = 256;
/// A stopping router is done when nothing is in flight and nothing has come for so long.
constexpr std::int64_t kQuietUs = 50'000;
/// So long it goes on taking in what comes, though more keeps coming; then it finishes what is in flight, for so long.
constexpr std::int64_t kTakesInUs = 1'000'000;
constexpr std::int64_t kFinishesUs = 10'000'000;
/// The clock is read again after so many messages.
constexpr int kMessagesPerLook = 32;
/// What is told of the router's state is told anew so often, also where nothing happens.
constexpr std::int64_t kLongestWaitUs = 1'000'000;

std::int64_t sooner(std::int64_t a, std::int64_t b) { return a < 0 ? b : b < 0 ? a : std::min(a, b); }

}  // namespace

Result<std::unique_ptr<Router>> Router::make(wire::Context& context, const std::vector<std::string>& endpoints,
                                             LiveRoutes& live, const Clock& clock, const Limits& limits,
                                             const Access& access) {
  wire::SocketOptions options = client_queues();
  options.key = access.key;
  ASSIGN_OR_RETURN(auto socket, wire::Socket::make(context, wire::SocketKind::router, options));
  std::unique_ptr<Router> router(new Router(std::move(socket), context, live, clock, limits, access));
  for (const std::string& endpoint : endpoints) {
    ASSIGN_OR_RETURN(std::string bound, router->socket_->bind(endpoint));
    router->endpoints_.push_back(std::move(bound));
  }
  return router;
}

Router::Router(std::unique_ptr<wire::Socket> socket, wire::Context& context, LiveRoutes& live, const Clock& clock,
               const Limits& limits, const Access& access)
    : socket_(std::move(socket)),
      live_(live),
      reader_(live),
      clock_(clock),
      door_(access.keyring),
      ids_(clock),
      backends_(context, limits, access.key, access.keyring, access.insecure),
      retries_(limits),
      in_flight_(kMaxInFlight),
      unread_(limits),
      alarms_(clock.monotonic_us()),
      slow_log_(limits.slow_us) {}

void Router::run(int stop_fd, int routes_fd) {
  std::int64_t quiet_since_us = 0;
  for (;;) {
    now_us_ = clock_.monotonic_us();
    if (turn()) {
      quiet_since_us = now_us_;
    } else if (is_stopping_ && is_done(quiet_since_us)) {
      return;
    }
    // Also after a turn that was busy: one poll(2) says which sockets have more, instead of a receive() of each.
    wait(stop_fd, routes_fd);
  }
}

bool Router::is_done(std::int64_t quiet_since_us) const {
  const std::int64_t stopping_us = now_us_ - stopping_since_us_;
  if (stopping_us >= kFinishesUs) return true;
  return in_flight_.size() == 0 && (now_us_ - quiet_since_us >= kQuietUs || stopping_us >= kTakesInUs);
}

/// Takes in and sends on what is there. false: there was nothing.
bool Router::turn() {
  const auto routes = reader_.lease();
  if (routes->number != routes_number_) take_routes(*routes);
  routes_ = &*routes;
  // In this order: a reply that is there counts before the look or the alarm that misses it, and the wheel is at the
  // present when alarms are added. Where one of these is due, sockets that had nothing at the last poll are asked
  // again.
  for (const std::uint32_t backend : backends_.check_keys(now_us_)) ask_elsewhere(backend);
  bool was_busy = drain_shards(backends_.must_watch(now_us_) || alarms_.is_behind(now_us_));
  if (has_risen_) ask_risen();
  if (backends_.must_watch(now_us_)) {
    for (const std::uint32_t backend : backends_.watch(now_us_)) ask_elsewhere(backend);
  }
  alarms_.advance(now_us_, [this](const Alarm& alarm) { ring(alarm); });
  backends_.tend(now_us_);
  const bool takes_in = !is_stopping_ || now_us_ - stopping_since_us_ < kTakesInUs;
  was_busy = (takes_in && drain_clients(*routes)) || was_busy;
  return was_busy;
}

void Router::tell_state() {
  state_.requests_in_flight.set(in_flight_.size());
  state_.bytes_in_flight.set(bytes_in_flight_);
  if (!state_.must_tell(now_us_)) return;
  state_.tell(shard_states(), now_us_);
}

std::vector<ShardState> Router::shard_states() {
  std::vector<ShardState> shards;
  std::map<std::string_view, std::size_t> places;
  for (std::uint32_t i = 0; i < backends_.size(); ++i) {
    const Backend& backend = backends_.at(i);
    if (backend.is_let_go || !backend.is_wanted) continue;
    const auto [found, is_new] = places.try_emplace(backend.shard, shards.size());
    if (is_new) shards.push_back({backend.shard});
    ShardState& shard = shards[found->second];
    ++shard.endpoints;
    shard.answering += backend.socket != nullptr && !backend.is_suspect;
    shard.in_flight += backend.flow.in_flight();
  }
  return shards;
}

void Router::wait(int stop_fd, int routes_fd) {
  tell_state();
  poller_.clear();
  if (!is_stopping_ || now_us_ - stopping_since_us_ < kTakesInUs) poller_.add(*socket_);
  for (std::uint32_t i = 0; i < backends_.size(); ++i) {
    if (backends_.is_open(i)) poller_.add(*backends_.at(i).socket);
  }
  const std::size_t routes = poller_.add_fd(routes_fd);
  const std::int64_t next =
      sooner(sooner(sooner(alarms_.next_us(now_us_), backends_.next_us(now_us_)), backends_.next_watch_us(now_us_)),
             kLongestWaitUs);
  const auto read_routes = [&] {
    eventfd_t count;
    if (poller_.ready(routes)) eventfd_read(routes_fd, &count);
  };
  if (is_stopping_) {
    if (poller_.wait(sooner(next, kQuietUs))) read_routes();
    return;
  }
  const std::size_t stop = poller_.add_fd(stop_fd);
  if (!poller_.wait(next)) return;
  read_routes();
  if (poller_.ready(stop)) {
    is_stopping_ = true;
    stopping_since_us_ = now_us_;
    log::info("router", "stopping", {{"in_flight", in_flight_.size()}});
  }
}

void Router::take_routes(const Routes& routes) {
  backends_.take_view(routes.view, now_us_);
  retries_.cover(backends_.most_endpoints());
  routes_number_ = routes.number;
}

bool Router::drain_clients(const Routes& routes) {
  if (!socket_->may_have_message()) {
    queue_.was_empty();
    return false;
  }
  wall_us_ = clock_.wall_us();
  int taken = 0;
  for (; taken < kMessagesPerDrain; ++taken) {
    const Result<bool> received = socket_->receive(message_);
    if (!received.ok()) log::error("router", "receive failed", {{"why", received.status()}});
    if (received.ok() && !*received) queue_.was_empty();
    if (!received.ok() || !*received) break;
    if (taken % kMessagesPerLook == 0) now_us_ = clock_.monotonic_us();
    handle_client(routes);
  }
  return taken > 0;
}

/// `all`: also those that are known to have had nothing at the last poll.
bool Router::drain_shards(bool all) {
  bool was_busy = false;
  for (std::uint32_t i = 0; i < backends_.size(); ++i) {
    if (!backends_.is_open(i) || (!all && !backends_.at(i).socket->may_have_message())) continue;
    was_busy = drain_shard(i) || was_busy;
  }
  if (was_busy) backends_.sweep();
  return was_busy;
}

/// While one message is dealt with, the next one's request is fetched: with many in flight it isn't in the cache.
bool Router::drain_shard(std::uint32_t number) {
  const auto receive_next = [&] {
    const Result<bool> received = backends_.at(number).socket->receive(next_message_);
    if (!received.ok()) log::error("router", "receive failed", {{"why", received.status()}});
    if (!received.ok() || !*received) return false;
    if (next_message_[0].size() != sizeof(ShardRequestId)) return true;
    in_flight_.prefetch(load<ShardRequestId>(next_message_[0].view().data()).ticket);
    return true;
  };
  if (!receive_next()) return false;
  for (int taken = 1;; ++taken) {
    std::swap(message_, next_message_);
    if (taken % kMessagesPerLook == 0) now_us_ = clock_.monotonic_us();
    const bool has_next = taken < kMessagesPerDrain && receive_next();
    handle_shard(number);
    if (!has_next) return true;
  }
}

}  // namespace espalier::router
