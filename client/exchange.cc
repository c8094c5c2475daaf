#include "client/exchange.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "common/bytes.h"
#include "wire/messages.h"

namespace espalier::client {
namespace {

/// The longest wait before the next endpoint, once all were tried in vain; the first is that of one round.
constexpr std::int64_t kFirstMoveUs = 20'000;
constexpr std::int64_t kLongestMoveUs = 1'000'000;

std::string seconds_text(std::int64_t us) {
  std::string text = std::to_string(us / 1'000'000) + "." + std::to_string(us / 100'000 % 10);
  return text + " s";
}

}  // namespace

Exchange::Exchange(std::vector<std::string> endpoints, Options options, const Clock& clock)
    : endpoints_(std::move(endpoints)), options_(std::move(options)), clock_(clock), chance_(std::random_device{}()) {}

Result<std::unique_ptr<Exchange>> Exchange::open(std::vector<std::string> endpoints, Options options,
                                                 const Clock& clock) {
  if (endpoints.empty()) return invalid_argument("no endpoint of " + options.peer + " is given");
  std::unique_ptr<Exchange> exchange(new Exchange(std::move(endpoints), std::move(options), clock));
  RETURN_IF_ERROR(exchange->reconnect());
  return exchange;
}

Status Exchange::reconnect() {
  ASSIGN_OR_RETURN(socket_, wire::Socket::make(context_, wire::SocketKind::dealer, options_.socket));
  heard_us_ = clock_.monotonic_us();
  hello_sent_us_ = 0;
  if (is_watched()) RETURN_IF_ERROR(socket_->watch_connection(context_));
  return socket_->connect(endpoints_[endpoint_]);
}

Ticket Exchange::send(std::string header, std::vector<std::string> bodies, std::int64_t timeout_us,
                      std::int64_t resend_us) {
  const Ticket ticket = ++last_ticket_;
  const std::int64_t now_us = clock_.monotonic_us();
  if (in_flight_.empty()) busy_since_us_ = now_us;
  Request request{{}, now_us + timeout_us, timeout_us, resend_us, false};
  request.frames.reserve(bodies.size() + 2);
  std::string id;
  append(id, ticket);
  request.frames.emplace_back(std::string_view(id));
  request.frames.emplace_back(std::move(header));
  for (std::string& body : bodies) request.frames.emplace_back(std::move(body));

  Request& kept = in_flight_.emplace(ticket, std::move(request)).first->second;
  ++unsent_;
  try_send(kept);
  const std::int64_t again_us = resend_us > 0 ? std::min(timeout_us, resend_us) : timeout_us;
  events_.emplace(kept.deadline_us - timeout_us + again_us, ticket);
  return ticket;
}

void Exchange::try_send(Request& request) {
  wire::Message copy;
  const bool once = request.resend_us <= 0 && !is_watched();
  if (request.was_sent && is_watched()) {
    std::string header = options_.renew(request.frames[1].view(), request.deadline_us - clock_.monotonic_us());
    if (header.empty()) {  // too late to send it; it ends with its time
      request.sent = true;
      --unsent_;
      return;
    }
    request.frames[1] = wire::Frame(std::move(header));
  }
  if (!once) {
    copy.reserve(request.frames.size());
    for (wire::Frame& frame : request.frames) copy.push_back(frame.share());
  }
  const Result<bool> sent = socket_->send(once ? request.frames : copy);
  // A failure means that the connection broke meanwhile: the request counts as sent and its timer decides.
  if (sent.ok() && !*sent) return;
  request.sent = true;
  --unsent_;
  if (once) request.frames.clear();
}

void Exchange::send_kept() {
  if (unsent_ == 0) return;
  for (auto& [ticket, request] : in_flight_) {
    if (!request.sent) try_send(request);
  }
}

void Exchange::drain() {
  for (;;) {
    const Result<bool> got = socket_->receive(incoming_);
    if (!got.ok() || !*got) return;
    heard_us_ = clock_.monotonic_us();
    hello_sent_us_ = 0;
    must_move_us_ = 0;
    moves_ = 0;
    // A reply that nobody waits for any more, or that is not one, is dropped.
    if (incoming_.size() < 2 || incoming_[0].size() != sizeof(Ticket)) continue;
    const auto found = in_flight_.find(load<Ticket>(incoming_[0].view().data()));
    if (found == in_flight_.end()) continue;
    Answer& answer = answered_.emplace_back();
    answer.ticket = found->first;
    answer.status = wire::peek_status(incoming_[1].view());
    answer.frames = std::move(incoming_);
    incoming_ = wire::Message();
    if (!found->second.sent) --unsent_;
    in_flight_.erase(found);
  }
}

void Exchange::fail(Ticket ticket, const Request& request) {
  Answer& answer = answered_.emplace_back();
  answer.ticket = ticket;
  answer.status = Status(options_.late, options_.peer + " at " + endpoints_[endpoint_] + " did not answer within " +
                                            seconds_text(request.timeout_us));
}

/// Looks whether the other side is still there.
void Exchange::watch() {
  if (!is_watched()) return;
  const wire::Socket::ConnectionNews news = socket_->take_connection_news();
  const std::int64_t now_us = clock_.monotonic_us();
  const bool has_others = endpoints_.size() > 1;
  if (news.was_lost || (news.was_refused && has_others)) return move_on(now_us);
  if (must_move_us_ > 0 && now_us >= must_move_us_) return move_on(now_us);
  if (!has_others || in_flight_.empty()) {
    hello_sent_us_ = 0;
  } else if (hello_sent_us_ > 0) {
    if (now_us - hello_sent_us_ >= options_.hello_us) move_on(now_us);
  } else if (now_us - std::max(heard_us_, busy_since_us_) >= options_.silence_us) {
    say_hello(now_us);
  }
}

/// Any answer to it, or to anything else, is a sign of life; its request id is nobody's ticket.
void Exchange::say_hello(std::int64_t now_us) {
  wire::Message message;
  message.emplace_back(std::string_view("\0\0\0\0\0\0\0\0", sizeof(Ticket)));
  message.emplace_back(wire::encode(wire::HelloRequest{"client"}));
  static_cast<void>(socket_->send(message));  // where the queue is full the silence says enough
  hello_sent_us_ = now_us;
}

/// To the next endpoint, or, once all were tried since the last message, after a while.
void Exchange::move_on(std::int64_t now_us) {
  if (now_us < may_move_us_) {
    must_move_us_ = may_move_us_;
    return;
  }
  must_move_us_ = 0;
  if (++moves_ >= endpoints_.size()) {
    const std::uint32_t rounds = moves_ / static_cast<std::uint32_t>(endpoints_.size());
    const std::int64_t longest_us = std::min(kLongestMoveUs, kFirstMoveUs << std::min(rounds, 6u));
    may_move_us_ = now_us + std::uniform_int_distribution<std::int64_t>(longest_us / 2, longest_us)(chance_);
  }
  use_next_endpoint();
}

std::int64_t Exchange::next_watch_us(std::int64_t now_us) const {
  std::int64_t due_us = must_move_us_ > 0 ? must_move_us_ : std::numeric_limits<std::int64_t>::max();
  if (endpoints_.size() > 1 && !in_flight_.empty()) {
    const std::int64_t silence_us = hello_sent_us_ > 0 ? hello_sent_us_ + options_.hello_us
                                                       : std::max(heard_us_, busy_since_us_) + options_.silence_us;
    due_us = std::min(due_us, silence_us);
  }
  return std::max<std::int64_t>(0, due_us - now_us);
}

void Exchange::use_next_endpoint() {
  if (endpoints_.size() < 2 && !is_watched()) return;
  endpoint_ = (endpoint_ + 1) % endpoints_.size();
  // A new socket: whatever the old one still had queued would be lost or doubled. Where it can't be made, the old one
  // stays.
  std::unique_ptr<wire::Socket> old = std::move(socket_);
  if (!reconnect().ok()) {
    socket_ = std::move(old);
    return;
  }
  if (is_watched() && endpoints_.size() > 1 && !in_flight_.empty()) say_hello(heard_us_);
  for (auto& [ticket, request] : in_flight_) {
    if (request.sent && (request.resend_us > 0 || is_watched())) {
      request.sent = false;
      request.was_sent = true;
      ++unsent_;
    }
  }
}

void Exchange::expire() {
  const std::int64_t now = clock_.monotonic_us();
  while (!events_.empty() && events_.top().first <= now) {
    const Ticket ticket = events_.top().second;
    events_.pop();
    const auto found = in_flight_.find(ticket);
    if (found == in_flight_.end()) continue;
    Request& request = found->second;
    const bool silent = now - heard_us_ >= (request.resend_us > 0 ? request.resend_us : request.timeout_us);
    if (now >= request.deadline_us) {
      fail(ticket, request);
      if (!request.sent) --unsent_;
      in_flight_.erase(found);
      if (silent) use_next_endpoint();
      continue;
    }
    if (request.sent) {
      request.sent = false;
      ++unsent_;
    }
    // Ever more rarely, so that a slow peer is not buried under repetitions.
    request.resend_us *= 2;
    events_.emplace(std::min(request.deadline_us, now + request.resend_us), ticket);
    if (silent) use_next_endpoint();
  }
}

std::int64_t Exchange::next_event_us() const {
  if (in_flight_.empty()) return -1;
  return std::max<std::int64_t>(0, events_.top().first - clock_.monotonic_us());
}

bool Exchange::receive(Answer& answer, std::int64_t timeout_us) {
  const std::int64_t until = clock_.monotonic_us() + timeout_us;
  for (;;) {
    if (answered_.empty()) drain();
    if (answered_.empty()) watch();
    if (answered_.empty()) expire();
    send_kept();
    if (!answered_.empty()) {
      answer = std::move(answered_.front());
      answered_.pop_front();
      return true;
    }
    const std::int64_t now_us = clock_.monotonic_us();
    std::int64_t left = until - now_us;
    if (left <= 0) return false;
    const std::int64_t event = next_event_us();
    if (event >= 0) left = std::min(left, event);
    // What could not be sent is tried again soon: the socket is waited on for reading only.
    if (unsent_ > 0) left = std::min<std::int64_t>(left, 1000);
    poller_.clear();
    poller_.add(*socket_);
    if (is_watched()) {
      poller_.add_news(*socket_);
      left = std::min(left, next_watch_us(now_us));
    }
    poller_.wait(left);
  }
}

Answer Exchange::wait_for(Ticket ticket) {
  std::deque<Answer> others;
  Answer answer;
  do {
    while (!receive(answer, 1'000'000)) {
    }
    if (answer.ticket != ticket) others.push_back(std::move(answer));
  } while (answer.ticket != ticket);
  answered_.insert(answered_.begin(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
  return answer;
}

void Exchange::forget(Ticket ticket) {
  const auto found = in_flight_.find(ticket);
  if (found != in_flight_.end()) {
    if (!found->second.sent) --unsent_;
    in_flight_.erase(found);
    return;
  }
  std::erase_if(answered_, [ticket](const Answer& answer) { return answer.ticket == ticket; });
}

}  // namespace espalier::client
