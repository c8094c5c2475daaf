#include "router/backends.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/log.h"
#include "wire/endpoint.h"
#include "wire/messages.h"

namespace espalier::router {
namespace {

constexpr std::int64_t kFirstTryUs = 50'000;
constexpr std::int64_t kLongestTryUs = 1'000'000;
/// From one look at the connections to the next while something is in flight, and while nothing is.
constexpr std::int64_t kWatchUs = 10'000;
constexpr std::int64_t kIdleWatchUs = 10'000'000;
/// So long the least time of an answer is remembered, and up to twice as long.
constexpr std::int64_t kLeastWindowUs = 5'000'000;
/// Of the time between two looks so much counts as waking: what goes beyond it the router was held up.
constexpr std::int64_t kWakingUs = kWatchUs + kWatchUs / 2;
/// One that has been silent for so long isn't waited for where another shard can answer in its stead.
constexpr std::int64_t kAwayUs = 1'000'000;
/// How much of a new measurement of an endpoint's pace counts, and the slowest that is believed.
constexpr double kPaceShare = 0.2;
constexpr double kSlowestPace = 1;

void wait_longer(Backend& backend, std::int64_t now_us) {
  backend.next_try_us = now_us + backend.try_wait_us;
  backend.try_wait_us = std::min(backend.try_wait_us * 2, kLongestTryUs);
}

bool wants_hello(const Backend& backend) {
  if (backend.socket == nullptr) return false;
  return backend.is_suspect || (backend.is_greeted && backend.flow.has_in_flight(backend.greeted_for));
}

}  // namespace

wire::SocketOptions request_queues() {
  wire::SocketOptions options;
  options.send_queue = 100'000;
  options.receive_queue = 100'000;
  return options;
}

wire::SocketOptions client_queues() {
  wire::SocketOptions options = request_queues();
  options.send_queue = kUnreadReplies;
  options.receive_queue = kUntakenRequests;
  return options;
}

void Backends::take_view(const cluster::View& view, std::int64_t now_us) {
  for (auto& backend : backends_) backend->is_wanted = false;
  for (auto& numbers : of_shard_) numbers.clear();
  shard_at_.clear();
  for (std::size_t shard = 0; shard < view.shards.size(); ++shard) {
    const auto number =
        shards_.try_emplace(view.shards[shard].name, static_cast<std::uint32_t>(shards_.size())).first->second;
    shard_at_.push_back(number);
    if (of_shard_.size() <= number) of_shard_.resize(number + 1);
    for (const std::string& endpoint : view.shards[shard].endpoints) {
      auto it = by_endpoint_.find(endpoint);
      const std::string& name = view.shards[shard].name;
      const bool is_new = it == by_endpoint_.end();
      if (is_new) it = by_endpoint_.emplace(endpoint, add(endpoint, name, now_us)).first;
      Backend& backend = *backends_[it->second];
      backend.is_wanted = true;
      if (backend.shard != name) {  // its key may be nobody's or the other's: check_keys() looks
        backend.shard = name;
        keys_seen_ = kNotSeen;
      }
      backend.is_gone = view.shards[shard].state == cluster::ShardState::gone;
      if (is_new && backend.is_gone) {
        suspect(backend, now_us);
        backend.suspect_since_us = 0;
      }
      of_shard_[number].push_back(it->second);
    }
  }
  has_unwanted_ = true;
  sweep();
}

/// A backend for the endpoint, connected if that can be done now; its number.
std::uint32_t Backends::add(const std::string& endpoint, const std::string& shard, std::int64_t now_us) {
  auto backend = std::make_unique<Backend>(limits_);
  backend->endpoint = endpoint;
  backend->shard = shard;
  if (insecure_) static_cast<void>(wire::check_connect("router", endpoint, true));  // says so, once
  backend->key = wire::parse_endpoint(endpoint).key;
  backend->heard_us = now_us;
  backend->try_wait_us = kFirstTryUs;
  connect(*backend, now_us);
  backends_.push_back(std::move(backend));
  return static_cast<std::uint32_t>(backends_.size() - 1);
}

const std::vector<std::uint32_t>& Backends::check_keys(std::int64_t now_us) {
  shut_out_.clear();
  if (keyring_ == nullptr || keyring_->changes() == keys_seen_) return shut_out_;
  keys_seen_ = keyring_->changes();
  for (std::uint32_t i = 0; i < backends_.size(); ++i) {
    Backend& backend = *backends_[i];
    if (backend.socket == nullptr || may_connect(backend)) continue;
    log::warn("router", "a shard's key doesn't count any more", {{"shard", backend.shard}});
    backend.socket.reset();
    backend.flow = Flow(limits_, backend.flow.last());
    backend.is_greeted = false;
    backend.next_try_us = now_us;
    backend.try_wait_us = kFirstTryUs;
    due_us_ = std::min(due_us_, now_us);
    shut_out_.push_back(i);
  }
  return shut_out_;
}

void Backends::connect(Backend& backend, std::int64_t now_us) {
  wire::SocketOptions options = request_queues();
  options.key = key_;
  options.insecure = insecure_;
  auto socket = wire::Socket::make(context_, wire::SocketKind::dealer, options);
  Status connected = socket.status();
  if (!may_connect(backend)) connected = Status(Code::permission_denied, "its key doesn't count as this shard's");
  if (connected.ok()) connected = (*socket)->watch_connection(context_);
  if (connected.ok()) connected = (*socket)->connect(backend.endpoint);
  if (connected.ok()) {
    backend.socket = *std::move(socket);
    if (backend.failed_tries > 0) {
      log::info("router", "shard connected", {{"endpoint", backend.endpoint}, {"tries", backend.failed_tries + 1}});
      backend.failed_tries = 0;
    }
    return;
  }
  // What can't be connected is tried as long as a view has it: said at the first try, the second, the fourth, …
  const auto level = std::has_single_bit(++backend.failed_tries) ? log::Level::error : log::Level::debug;
  log::write(level, "router", "shard not connected",
             {{"endpoint", backend.endpoint},
              {"tries", backend.failed_tries},
              {"in_us", backend.try_wait_us},
              {"why", connected}});
  wait_longer(backend, now_us);
  due_us_ = std::min(due_us_, backend.next_try_us);
}

bool Backends::is_better(const Backend& one, const Backend& other, std::int64_t remaining_us) const {
  const bool is_one_full = is_full(one, remaining_us);
  if (is_one_full != is_full(other, remaining_us)) return !is_one_full;
  if (one.is_suspect != other.is_suspect) return other.is_suspect;
  return one.flow.in_flight() < other.flow.in_flight();
}

Backend* Backends::choose(std::uint32_t shard, std::uint32_t& number, std::int64_t remaining_us) {
  if (shard >= of_shard_.size() || of_shard_[shard].empty()) return nullptr;
  const std::vector<std::uint32_t>& numbers = of_shard_[shard];
  Backend* best = nullptr;
  const std::size_t first = numbers.size() == 1 ? 0 : ++turn_ % numbers.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::uint32_t place = numbers[(first + i) % numbers.size()];
    Backend& backend = *backends_[place];
    if (backend.socket == nullptr) continue;
    if (best != nullptr && !is_better(backend, *best, remaining_us)) continue;
    best = &backend;
    number = place;
  }
  return best;
}

Candidate Backends::candidate(std::uint32_t shard, std::int64_t remaining_us, std::int64_t now_us) {
  std::uint32_t number = 0;
  const Backend* backend = choose(shard, number, remaining_us);
  if (backend == nullptr) return {.shard = shard, .is_suspect = true, .is_away = true};
  return {shard,
          backend->is_suspect,
          false,
          backend->flow.in_flight(),
          is_full(*backend, remaining_us),
          backend->is_gone,
          backend->is_suspect && now_us - backend->suspect_since_us >= kAwayUs};
}

void Backends::heard(Backend& backend, std::int64_t now_us) {
  backend.heard_us = now_us;
  backend.silent_since_us = waking_us_;
  if (!backend.is_suspect) return;
  backend.is_suspect = false;
  log::info("router", "shard answers again", {{"endpoint", backend.endpoint}});
}

void Backends::missed(Backend& backend, std::int64_t sent_us, std::int64_t now_us) {
  greet(backend, now_us);
  if (backend.is_suspect || backend.heard_us > sent_us) return;
  log::warn("router", "shard is silent", {{"endpoint", backend.endpoint}, {"us", now_us - sent_us}});
  suspect(backend, now_us);
}

void Backends::suspect(Backend& backend, std::int64_t now_us) {
  greet(backend, now_us);
  backend.is_suspect = true;
  backend.suspect_since_us = now_us;
}

bool Backends::is_silent(const Backend& backend) const {
  if (backend.is_suspect || backend.flow.in_flight() == 0) return false;
  const std::int64_t way_us = std::max({backend.least_us, backend.least_before_us, std::int64_t{0}});
  return waking_us_ - backend.silent_since_us > limits_.silence_us + 2 * way_us + backend.flow.next_work_us();
}

void Backends::answered(Backend& backend, std::int64_t took_us, std::int64_t now_us) {
  if (now_us >= backend.window_end_us) {
    backend.least_before_us = backend.least_us;
    backend.least_us = -1;
    backend.window_end_us = now_us + kLeastWindowUs;
  }
  if (backend.least_us < 0 || took_us < backend.least_us) backend.least_us = took_us;
}

const std::vector<std::uint32_t>& Backends::watch(std::int64_t now_us) {
  const std::int64_t elapsed_us = now_us - watched_us_;
  waking_us_ += std::min(elapsed_us, kWakingUs);
  watched_us_ = now_us;
  crowd_work_us_ = 0;
  watch_due_us_ = now_us + kWatchUs;
  fallen_.clear();
  for (std::uint32_t i = 0; i < backends_.size(); ++i) {
    Backend& backend = *backends_[i];
    if (backend.socket == nullptr) continue;
    learn_pace(backend, elapsed_us);
    if (is_crowded(backend)) {
      const auto work_us = static_cast<std::uint64_t>(static_cast<double>(limits_.crowd_us) / backend.pace) + 1;
      crowd_work_us_ = crowd_work_us_ == 0 ? work_us : std::min(crowd_work_us_, work_us);
    }
    const wire::Socket::ConnectionNews news = backend.socket->take_connection_news();
    const bool is_lost = news.was_lost || news.was_refused;
    if (backend.is_suspect) {
      if (is_lost) backend.suspect_since_us = 0;
      continue;
    }
    if (is_lost) {
      log::warn("router", "shard is not connected", {{"endpoint", backend.endpoint}});
    } else if (is_silent(backend)) {
      log::warn("router", "shard is silent", {{"endpoint", backend.endpoint}, {"in_flight", backend.flow.in_flight()}});
    } else {
      continue;
    }
    suspect(backend, now_us);
    if (is_lost) backend.suspect_since_us = 0;
    fallen_.push_back(i);
  }
  return fallen_;
}

/// From what was answered since the last look at which something was, if it was never idle and the router never held
/// up.
void Backends::learn_pace(Backend& backend, std::int64_t elapsed_us) {
  const std::uint64_t worked_us = backend.flow.worked_us() - backend.worked_us;
  backend.worked_us = backend.flow.worked_us();
  const bool was_busy = backend.is_busy && backend.flow.in_flight() > 0;
  backend.is_busy = backend.flow.in_flight() > 0;
  if (!was_busy || elapsed_us > kWakingUs) {
    backend.unpaced_us = 0;
    return;
  }
  backend.unpaced_us += elapsed_us;
  if (worked_us == 0) return;  // a large message takes more than one look
  const double pace = static_cast<double>(backend.unpaced_us) / static_cast<double>(worked_us);
  backend.unpaced_us = 0;
  backend.pace += kPaceShare * (std::min(pace, kSlowestPace) - backend.pace);
}

bool Backends::is_crowded(const Backend& backend) const {
  if (backend.is_suspect) return false;  // what it doesn't answer is nobody's flood
  return wait_us(backend) > limits_.crowd_us || backend.flow.in_flight() > limits_.requests_at_endpoint / 2 ||
         backend.flow.bytes_in_flight() > limits_.bytes_at_endpoint / 2;
}

std::int64_t Backends::next_watch_us(std::int64_t now_us) {
  const bool is_waiting = std::ranges::any_of(backends_, [](const auto& each) { return each->flow.in_flight() > 0; });
  return std::max<std::int64_t>(0, is_waiting ? watch_due_us_ - now_us : kIdleWatchUs);
}

std::size_t Backends::most_endpoints() const {
  std::size_t most = 0;
  for (const auto& numbers : of_shard_) most = std::max(most, numbers.size());
  return most;
}

void Backends::greet(Backend& backend, std::int64_t now_us) {
  if (backend.socket == nullptr) return;
  const bool was_under_way = wants_hello(backend);
  backend.is_greeted = true;
  backend.greeted_for = backend.flow.last();
  if (was_under_way) return;
  backend.try_wait_us = kFirstTryUs;
  backend.next_try_us = now_us;
  due_us_ = std::min(due_us_, now_us);
}

void Backends::tend_due(std::int64_t now_us) {
  due_us_ = kNever;
  for (const auto& backend : backends_) {
    const bool is_unconnected = backend->is_wanted && backend->socket == nullptr;
    if (!is_unconnected && !wants_hello(*backend)) {
      backend->is_greeted = false;
      continue;
    }
    if (backend->next_try_us <= now_us) {
      if (is_unconnected) {
        connect(*backend, now_us);
      } else {
        say_hello(*backend, now_us);
      }
    }
    if (backend->socket == nullptr || wants_hello(*backend)) due_us_ = std::min(due_us_, backend->next_try_us);
  }
}

void Backends::say_hello(Backend& backend, std::int64_t now_us) {
  if (hello_.empty()) hello_ = wire::encode(wire::HelloRequest{"router"});
  const ShardRequestId id{{}, 0, 0, backend.flow.last()};
  wire::Message message;
  message.emplace_back(std::string_view(reinterpret_cast<const char*>(&id), sizeof id));
  message.emplace_back(std::string_view(hello_));
  const Result<bool> sent = backend.socket->send(message);
  if (!sent.ok()) log::warn("router", "hello not sent", {{"endpoint", backend.endpoint}, {"why", sent.status()}});
  wait_longer(backend, now_us);
}

void Backends::sweep() {
  if (!has_unwanted_) return;
  has_unwanted_ = false;
  for (auto& backend : backends_) {
    if (backend->is_wanted || backend->is_let_go) continue;
    if (backend->open_attempts > 0) {
      has_unwanted_ = true;
      continue;
    }
    by_endpoint_.erase(backend->endpoint);
    backend->socket.reset();
    backend->is_let_go = true;
    backend->is_suspect = false;
    backend->is_greeted = false;
    backend->flow.release();
  }
}

}  // namespace espalier::router
