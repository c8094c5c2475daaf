#include "client/exchange.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "common/bytes.h"
#include "wire/endpoint.h"
#include "wire/messages.h"

namespace espalier::client {
namespace {

/// The longest wait before the next endpoint, once all were tried in vain; the first is that of one round.
constexpr std::int64_t kFirstMoveUs = 20'000;
constexpr std::int64_t kLongestMoveUs = 1'000'000;

/// A round in which nobody answered a request makes the next so much more patient: twice, and 8 times at most.
constexpr std::uint32_t kMostPatience = 3;
/// What sending again costs of the budget, and what each first sending earns.
constexpr std::uint64_t kToken = 100;
constexpr std::uint64_t kResendPercent = 10;
/// Who falls silent after so long without a silence is asked for nothing any more: all of it is sent again, whatever
/// the budget says, so that a router that stands still costs nobody a request however many are under way.
constexpr std::int64_t kCalmUs = 10'000'000;

/// How long so many bytes may be on their way, at the slowest that is believed: as a router counts them.
std::int64_t way_us(std::uint64_t bytes) { return static_cast<std::int64_t>(bytes / 8); }

std::uint64_t bytes_of(const wire::Message& message) {
  std::uint64_t bytes = 0;
  for (const wire::Frame& frame : message) bytes += frame.size();
  return bytes;
}

/// Without a key one gets nowhere where connections are secured.
Status keep_unsecured(std::vector<std::string>& endpoints, const std::string& peer) {
  const std::string first = wire::parse_endpoint(endpoints.front()).address;
  std::erase_if(endpoints, [](const std::string& text) { return wire::parse_endpoint(text).key.has_value(); });
  if (!endpoints.empty()) return {};
  return invalid_argument("to reach " + peer + " at " + first + " one needs a key (--key FILE, ESPALIER_KEY)");
}

Status waits_too_long(const std::string& peer) {
  return {Code::overloaded, "requests wait too long until " + peer + " takes them"};
}

std::string seconds_text(std::int64_t us) {
  std::string text = std::to_string(us / 1'000'000) + "." + std::to_string(us / 100'000 % 10);
  return text + " s";
}

}  // namespace

Exchange::Exchange(std::vector<std::string> endpoints, Options options, const Clock& clock)
    : endpoints_(std::move(endpoints)),
      options_(std::move(options)),
      clock_(clock),
      resend_room_(options_.resend_reserve * kToken),
      chance_(std::random_device{}()) {}

Result<std::unique_ptr<Exchange>> Exchange::open(std::vector<std::string> endpoints, Options options,
                                                 const Clock& clock) {
  if (endpoints.empty()) return invalid_argument("no endpoint of " + options.peer + " is given");
  if (options.socket.key == nullptr) RETURN_IF_ERROR(keep_unsecured(endpoints, options.peer));
  // All of them now, and not only once the others have failed.
  for (const std::string& endpoint : endpoints) {
    RETURN_IF_ERROR(wire::check_connect("client", endpoint, options.socket.insecure));
  }
  std::unique_ptr<Exchange> exchange(new Exchange(std::move(endpoints), std::move(options), clock));
  RETURN_IF_ERROR(exchange->reconnect());
  return exchange;
}

Status Exchange::reconnect() {
  ASSIGN_OR_RETURN(socket_, wire::Socket::make(context_, wire::SocketKind::dealer, options_.socket));
  heard_us_ = clock_.monotonic_us();
  hello_sent_us_ = 0;
  message_us_ = 0;
  there_us_ = 0;
  up_us_ = 0;
  was_lost_ = false;
  if (is_watched()) RETURN_IF_ERROR(socket_->watch_connection(context_));
  return socket_->connect(endpoints_[endpoint_]);
}

Ticket Exchange::send(std::string header, std::vector<std::string> bodies, std::int64_t timeout_us,
                      std::int64_t resend_us) {
  const Ticket ticket = ++last_ticket_;
  const std::int64_t now_us = clock_.monotonic_us();
  if (in_flight_.empty()) {
    busy_since_us_ = now_us;
    up_us_ = std::max<std::int64_t>(0, there_us_ - now_us);
    largest_sent_ = 0;
  }
  Request request{{}, now_us + timeout_us, timeout_us, resend_us, 0, false};
  request.frames.reserve(bodies.size() + 2);
  std::string id;
  append(id, ticket);
  request.frames.emplace_back(std::string_view(id));
  request.frames.emplace_back(std::move(header));
  for (std::string& body : bodies) request.frames.emplace_back(std::move(body));

  request.bytes = bytes_of(request.frames);
  largest_sent_ = std::max(largest_sent_, request.bytes);
  resend_room_ = std::min(options_.resend_reserve * kToken, resend_room_ + kResendPercent);

  bytes_in_flight_ += request.bytes;
  Request& kept = in_flight_.emplace(ticket, std::move(request)).first->second;
  if (!unsent_.empty() || !try_send(kept)) send_later(ticket, kept);
  const std::int64_t again_us = resend_us > 0 ? std::min(timeout_us, resend_us) : timeout_us;
  events_.emplace(kept.deadline_us - timeout_us + again_us, ticket);
  return ticket;
}

Status Exchange::check_room(std::uint64_t bytes, std::int64_t timeout_us) const {
  if (!unsent_.empty() && has_waited(unsent_.front(), timeout_us / 2)) return waits_too_long(options_.peer);
  const std::size_t requests = in_flight_.size() + answered_.size();
  if (requests < options_.most_requests && bytes_in_flight_ + bytes <= options_.most_bytes) return {};
  return {Code::overloaded, std::to_string(requests) + " requests with " + std::to_string(bytes_in_flight_) +
                                " bytes wait for " + options_.peer + " or to be received; at most " +
                                std::to_string(options_.most_requests) + " and " + std::to_string(options_.most_bytes) +
                                " may"};
}

/// false: the connection's queue is full.
bool Exchange::try_send(Request& request) {
  if (request.is_stale && is_watched()) {
    std::string header = options_.renew(request.frames[1].view(), request.deadline_us - clock_.monotonic_us());
    if (header.empty()) {  // too late to send it; it ends with its time
      request.sent = true;
      return true;
    }
    request.frames[1] = wire::Frame(std::move(header));
  }
  wire::Message copy;
  const bool once = request.resend_us <= 0 && !is_watched();
  if (!once) {
    copy.reserve(request.frames.size());
    for (wire::Frame& frame : request.frames) copy.push_back(frame.share());
  }
  const Result<bool> sent = socket_->send(once ? request.frames : copy);
  // A failure means that the connection broke meanwhile: the request counts as sent and its timer decides.
  if (sent.ok() && !*sent) return false;
  request.sent = true;
  there_us_ = std::max(there_us_, clock_.monotonic_us()) + way_us(request.bytes);
  up_us_ += way_us(request.bytes);
  if (once) request.frames.clear();
  return true;
}

void Exchange::send_later(Ticket ticket, Request& request) {
  request.sent = false;
  request.is_stale = true;
  unsent_.push_back(ticket);
}

/// What was asked of somebody silent, as far as the budget goes.
void Exchange::send_waiting() {
  while (!waiting_.empty() && resend_room_ >= kToken) {
    const auto found = in_flight_.find(waiting_.front());
    waiting_.pop_front();
    if (found == in_flight_.end() || !found->second.sent) continue;
    resend_room_ -= kToken;
    send_later(found->first, found->second);
  }
}

/// While the other side answers: one that doesn't isn't overloaded, but left.
bool Exchange::has_waited(Ticket ticket, std::int64_t us) const {
  const auto found = in_flight_.find(ticket);
  if (!options_.refuses_what_waits || found == in_flight_.end()) return false;
  const std::int64_t now_us = clock_.monotonic_us();
  const std::int64_t begun_us = found->second.deadline_us - found->second.timeout_us;
  return now_us - begun_us > us && message_us_ > 0 && now_us - message_us_ < options_.silence_us;
}

void Exchange::refuse_waiting() {
  for (; !unsent_.empty(); unsent_.pop_front()) {
    const auto found = in_flight_.find(unsent_.front());
    if (found == in_flight_.end()) continue;
    if (!has_waited(found->first, found->second.timeout_us / 2)) return;
    fail(found->first, waits_too_long(options_.peer));
    end(found);
  }
}

/// In order, as long as there is room.
void Exchange::send_kept() {
  send_waiting();
  refuse_waiting();
  for (; !unsent_.empty(); unsent_.pop_front()) {
    const auto found = in_flight_.find(unsent_.front());
    if (found != in_flight_.end() && !try_send(found->second)) return;
  }
}

/// A whole message is a sign of life; only an answer to a request says that moving has helped.
void Exchange::heard(const wire::Message& message) {
  heard_us_ = message_us_ = clock_.monotonic_us();
  hello_sent_us_ = 0;
  up_us_ = std::max<std::int64_t>(0, there_us_ - heard_us_);
  if (!was_lost_) must_move_us_ = 0;
  if (message.size() < 2 || message[0].size() != sizeof(Ticket) || load<Ticket>(message[0].view().data()) == 0) return;
  moves_ = 0;
  largest_heard_ = std::max(largest_heard_ - largest_heard_ / 16, bytes_of(message));
}

void Exchange::drain() {
  for (;;) {
    const Result<bool> got = socket_->receive(incoming_);
    if (!got.ok() || !*got) return;
    heard(incoming_);
    // A reply that nobody waits for any more, or that is not one, is dropped.
    if (incoming_.size() < 2 || incoming_[0].size() != sizeof(Ticket)) continue;
    const auto found = in_flight_.find(load<Ticket>(incoming_[0].view().data()));
    if (found == in_flight_.end()) continue;
    Answer& answer = answered_.emplace_back();
    answer.ticket = found->first;
    answer.status = wire::peek_status(incoming_[1].view());
    answer.frames = std::move(incoming_);
    incoming_ = wire::Message();
    end(found);
  }
}

void Exchange::end(std::unordered_map<Ticket, Request>::iterator request) {
  bytes_in_flight_ -= request->second.bytes;
  in_flight_.erase(request);
}

void Exchange::fail(Ticket ticket, Status why) {
  Answer& answer = answered_.emplace_back();
  answer.ticket = ticket;
  answer.status = std::move(why);
}

Status Exchange::late(const Request& request) const {
  const wire::Endpoint endpoint = wire::parse_endpoint(endpoints_[endpoint_]);
  return Status(options_.late, options_.peer + " at " + endpoint.address + " did not answer within " +
                                   seconds_text(request.timeout_us) +
                                   (endpoint.key ? "; whose key doesn't count there is never answered" : ""));
}

/// How long the next message may be on its way back: as large as the largest, or as what was asked.
std::int64_t Exchange::back_us() const {
  return way_us(std::max(largest_sent_, largest_heard_)) << std::min(rounds(), kMostPatience);
}

/// From when on the other side is silent, and its time to answer a hello is over.
std::int64_t Exchange::silent_us() const {
  return std::max(heard_us_, busy_since_us_) + options_.silence_us + up_us_ + back_us();
}

std::int64_t Exchange::hello_over_us() const {
  return hello_sent_us_ + hello_up_us_ + (options_.hello_us << std::min(rounds(), kMostPatience)) + back_us();
}

/// Looks whether the other side is still there.
void Exchange::watch() {
  if (!is_watched()) return;
  const wire::Socket::ConnectionNews news = socket_->take_connection_news();
  const std::int64_t now_us = clock_.monotonic_us();
  const bool has_others = endpoints_.size() > 1;
  if (news.was_lost || (news.was_refused && has_others)) {
    was_lost_ = true;
    return move_on(now_us);
  }
  if (must_move_us_ > 0 && now_us >= must_move_us_) return move_on(now_us);
  if (!has_others || in_flight_.empty()) {
    hello_sent_us_ = 0;
  } else if (hello_sent_us_ > 0) {
    if (now_us >= hello_over_us()) move_on(now_us);
  } else if (now_us >= silent_us()) {
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
  hello_up_us_ = std::max<std::int64_t>(0, there_us_ - now_us);
}

/// To the next endpoint, or, once all were tried since the last answer, after a while.
void Exchange::move_on(std::int64_t now_us) {
  if (now_us < may_move_us_) {
    must_move_us_ = may_move_us_;
    return;
  }
  must_move_us_ = 0;
  if (++moves_ >= endpoints_.size()) {
    const std::int64_t longest_us = std::min(kLongestMoveUs, kFirstMoveUs << std::min(rounds(), 6u));
    may_move_us_ = now_us + std::uniform_int_distribution<std::int64_t>(longest_us / 2, longest_us)(chance_);
  }
  use_next_endpoint();
}

std::int64_t Exchange::next_watch_us(std::int64_t now_us) const {
  std::int64_t due_us = must_move_us_ > 0 ? must_move_us_ : std::numeric_limits<std::int64_t>::max();
  if (endpoints_.size() > 1 && !in_flight_.empty()) {
    due_us = std::min(due_us, hello_sent_us_ > 0 ? std::max(hello_over_us(), may_move_us_) : silent_us());
  }
  return std::max<std::int64_t>(0, due_us - now_us);
}

void Exchange::use_next_endpoint() {
  if (endpoints_.size() < 2 && !is_watched()) return;
  endpoint_ = (endpoint_ + 1) % endpoints_.size();
  // A new socket: whatever the old one still had queued would be lost or doubled. Where it can't be made, the old one
  // stays.
  const bool was_lost = was_lost_;
  std::unique_ptr<wire::Socket> old = std::move(socket_);
  if (!reconnect().ok()) {
    socket_ = std::move(old);
    return;
  }
  if (is_watched() && endpoints_.size() > 1 && !in_flight_.empty()) say_hello(heard_us_);
  send_all_again(was_lost);
}

/// What was sent over the connection that was given up; after one silence soon after another what there is room for,
/// oldest first.
void Exchange::send_all_again(bool was_lost) {
  const bool calm = !last_silence_us_ || heard_us_ - *last_silence_us_ >= kCalmUs;
  if (!was_lost) last_silence_us_ = heard_us_;
  waiting_.clear();
  for (auto& [ticket, request] : in_flight_) {
    if (request.sent && (request.resend_us > 0 || is_watched())) waiting_.push_back(ticket);
  }
  std::ranges::sort(waiting_);
  if (is_watched() && !was_lost && !calm) return;
  for (const Ticket ticket : waiting_) send_later(ticket, in_flight_.at(ticket));
  waiting_.clear();
}

void Exchange::expire() {
  const std::int64_t now = clock_.monotonic_us();
  while (!events_.empty() && events_.top().first <= now) {
    const Ticket ticket = events_.top().second;
    events_.pop();
    const auto found = in_flight_.find(ticket);
    if (found == in_flight_.end()) continue;
    Request& request = found->second;
    const bool silent = now - heard_us_ >= (request.resend_us > 0 ? request.resend_us : request.timeout_us) &&
                        now >= silent_us() - options_.silence_us;
    if (now >= request.deadline_us) {
      fail(ticket, late(request));
      end(found);
      if (silent) is_watched() ? move_on(now) : use_next_endpoint();
      continue;
    }
    if (request.sent) send_later(ticket, request);
    // Ever more rarely, so that a slow peer is not buried under repetitions.
    request.resend_us *= 2;
    events_.emplace(std::min(request.deadline_us, now + request.resend_us), ticket);
    if (silent) is_watched() ? move_on(now) : use_next_endpoint();
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
    if (!unsent_.empty()) left = std::min<std::int64_t>(left, 1000);
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
    end(found);
    return;
  }
  std::erase_if(answered_, [ticket](const Answer& answer) { return answer.ticket == ticket; });
}

}  // namespace espalier::client
