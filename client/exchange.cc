#include "client/exchange.h"

#include <algorithm>
#include <cstring>

#include "common/bytes.h"
#include "wire/messages.h"

namespace espalier::client {
namespace {

std::string seconds_text(std::int64_t us) {
  std::string text = std::to_string(us / 1'000'000) + "." + std::to_string(us / 100'000 % 10);
  return text + " s";
}

}  // namespace

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
  return socket_->connect(endpoints_[endpoint_]);
}

Ticket Exchange::send(std::string header, std::vector<std::string> bodies, std::int64_t timeout_us,
                      std::int64_t resend_us) {
  const Ticket ticket = ++last_ticket_;
  Request request{{}, clock_.monotonic_us() + timeout_us, timeout_us, resend_us, false};
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
  const bool once = request.resend_us <= 0;
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

void Exchange::use_next_endpoint() {
  if (endpoints_.size() < 2) return;
  endpoint_ = (endpoint_ + 1) % endpoints_.size();
  // A new socket: whatever the old one still had queued would be lost or doubled. Where it can't be made, the old one
  // stays.
  std::unique_ptr<wire::Socket> old = std::move(socket_);
  if (!reconnect().ok()) {
    socket_ = std::move(old);
    return;
  }
  for (auto& [ticket, request] : in_flight_) {
    if (request.sent && request.resend_us > 0) {
      request.sent = false;
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
    if (answered_.empty()) expire();
    send_kept();
    if (!answered_.empty()) {
      answer = std::move(answered_.front());
      answered_.pop_front();
      return true;
    }
    std::int64_t left = until - clock_.monotonic_us();
    if (left <= 0) return false;
    const std::int64_t event = next_event_us();
    if (event >= 0) left = std::min(left, event);
    // What could not be sent is tried again soon: the socket is waited on for reading only.
    if (unsent_ > 0) left = std::min<std::int64_t>(left, 1000);
    poller_.clear();
    poller_.add(*socket_);
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
