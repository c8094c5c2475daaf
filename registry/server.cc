#include "registry/server.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/log.h"
#include "registry/server_operations.h"
#include "wire/envelope.h"

namespace espalier::registry {
namespace {

/// What a group may take: more of either gains little, and readers wait for it.
constexpr int kMessagesInGroup = 128;
constexpr std::int64_t kGroupUs = 10'000;
constexpr std::int64_t kDrainUs = 1'000'000;
/// Over the limit that is answered, under what one message may cost.
constexpr std::int64_t kHardFrameBytes = 2ll * static_cast<std::int64_t>(wire::kMaxInternalMessageBytes);

}  // namespace

Result<std::unique_ptr<Server>> Server::make(Registry& registry, const Clock& clock, wire::Context& context,
                                             std::shared_ptr<const KeyPair> key) {
  wire::SocketOptions options;
  options.max_frame_bytes = kHardFrameBytes;
  options.key = std::move(key);
  std::unique_ptr<wire::Keyring> keyring;
  if (options.key != nullptr) {
    ASSIGN_OR_RETURN(keyring, wire::Keyring::make(context));
  }
  ASSIGN_OR_RETURN(auto socket, wire::Socket::make(context, wire::SocketKind::router, options));
  std::unique_ptr<Server> server(new Server(registry, clock, std::move(keyring), std::move(socket)));
  server->tend_keys();
  return server;
}

Result<std::string> Server::bind(const std::string& endpoint) { return socket_->bind(endpoint); }

void Server::run(const StopSignals& stop) {
  wire::Poller poller;
  poller.add(*socket_);
  poller.add_fd(stop.fd());
  bool more = false;
  while (!stop.requested()) {
    poller.wait(more ? 0 : until_next_event_us());
    more = answer_group();
    tend_keys();
    answer_waiting(false);
    // A renewal may be among what waits: no lease ends before everything was read. Held up for longer than half a
    // lease, everybody has a full one anew.
    if (!more) registry_.tend_view();
    registry_.work();
    tell_gauges();
  }
  // A sender that goes on asking must not keep the process.
  const std::int64_t end = clock_.monotonic_us() + kDrainUs;
  while (answer_group() && clock_.monotonic_us() < end) continue;
  answer_waiting(true);
}

void Server::tend_keys() {
  if (keyring_ == nullptr) return;
  const std::int64_t wall_us = clock_.wall_us();
  wire::KeysRequest known{registry_.generation(), has_keys_ ? keys_epoch_ : ~std::uint64_t{0}, 0};
  if (keys_end_us_ != 0 && wall_us >= keys_end_us_) known.after = ~std::uint64_t{0};
  const Result<wire::KeysReply> reply = registry_.keys(Principal::local(), known);
  if (!reply.ok()) {
    // Those that count go on counting.
    if (reply.status().text() != keys_wait_for_)
      log::error("registry", "keys can't be read", {{"why", reply.status()}});
    keys_wait_for_ = reply.status().text();
    return;
  }
  keys_wait_for_.clear();
  if (reply->unchanged) return;
  keyring_->take(reply->keys, wall_us);
  keys_end_us_ = wire::next_end_us(reply->keys, wall_us);
  keys_epoch_ = reply->epoch;
  has_keys_ = true;
}

bool Server::answer_group() {
  registry_.begin_group();
  const bool more = answer_arrived();
  const Registry::Group group = registry_.end_group();
  for (Held& held : std::exchange(held_, {})) {
    const Status& outcome = !group.changes.ok() || held.kind != Kind::upload ? group.changes : group.uploads;
    if (!outcome.ok()) {
      // One that only read reads what is on the disk the next time.
      const bool has_read = held.kind == Kind::reading;
      held.header =
          error_header(has_read ? unavailable("what was read is not on the disk: " + outcome.text()) : outcome);
      held.bodies.clear();
    }
    count(held.operation, held.header, held.us);
    send(std::move(held.envelope), held.header, std::move(held.bodies));
  }
  return more;
}

bool Server::answer_arrived() {
  const std::int64_t end = clock_.monotonic_us() + kGroupUs;
  for (int i = 0; i < kMessagesInGroup && clock_.monotonic_us() < end; ++i) {
    const auto received = socket_->receive(incoming_);
    if (!received.ok()) {
      log::warn("registry", "a message could not be received", {{"error", received.status()}});
      return false;
    }
    if (!*received) return false;
    answer(incoming_);
  }
  return true;
}

void Server::answer(wire::Message& message) {
  principal_ = door_.who(message);
  wire::Envelope opened = wire::open_envelope(message);
  const std::size_t id = opened.id_at;
  const std::int64_t began_us = clock_.monotonic_us();
  Envelope envelope;
  for (std::size_t i = 0; i <= id && i < message.size(); ++i) envelope.push_back(std::move(message[i]));
  Reply reply;
  if (!opened.status.ok()) {
    reply.header = error_header(opened.status);
    return give(std::move(envelope), std::move(reply));
  }
  std::size_t bytes = 0;
  std::vector<std::string_view> bodies;
  for (std::size_t i = id + 1; i < message.size(); ++i) {
    bytes += message[i].size();
    if (i > id + 1) bodies.push_back(message[i].view());
  }
  const std::string_view header = message[id + 1].view();
  reply.operation = find_operation(header);
  if (bytes > wire::kMaxInternalMessageBytes) {
    reply.header = error_header(invalid_argument("message: " + std::to_string(bytes) + " bytes, at most " +
                                                 std::to_string(wire::kMaxInternalMessageBytes) + " are allowed"));
  } else if (bodies.size() > wire::kMaxParts) {
    reply.header = error_header(invalid_argument("message: " + std::to_string(bodies.size()) + " bodies, at most " +
                                                 std::to_string(wire::kMaxParts) + " are allowed"));
  } else if (principal_ == nullptr) {
    reply.header = error_header(wire::Door::refusal());
  } else if (reply.operation == nullptr) {
    const auto op = wire::peek_op(header);
    reply.header = error_header(op.ok() ? Status(Code::unimplemented, "op: the registry has no " + *op) : op.status());
  } else {
    reply = answer_as(*reply.operation, header, bodies);
  }
  if (reply.wait_us > 0) {
    const Status may_wait = check_may_wait();
    if (may_wait.ok()) return wait(std::move(envelope), reply, header);
    reply.header = error_header(may_wait);
  }
  reply.us = clock_.monotonic_us() - began_us;
  give(std::move(envelope), std::move(reply));
}

Server::Reply Server::answer_as(const Operation& operation, std::string_view header, const Registry::Bodies& bodies) {
  Reply reply = (this->*operation.handle)(header, bodies);
  reply.operation = &operation;
  return reply;
}

/// One key must not keep others from waiting, nor tenants the cluster.
Status Server::check_may_wait() const {
  if (waiting_.size() >= kMaxWaiting) return Status(Code::overloaded, "too many requests are waiting");
  if (principal_->may_serve()) return {};
  const auto own = waiting_of_.find(principal_->name());
  if (own != waiting_of_.end() && own->second >= kMaxWaitingOfOne) {
    return Status(Code::overloaded, "too many requests of key " + principal_->name() + " are waiting");
  }
  if (waiting_of_tenants_ >= kMaxWaitingOfTenants) {
    return Status(Code::overloaded, "too many requests are waiting");
  }
  return {};
}

void Server::wait(Envelope envelope, const Reply& reply, std::string_view header) {
  const std::int64_t deadline = clock_.monotonic_us() + std::min(reply.wait_us, kMaxWaitUs);
  Waiting& waiting = waiting_.emplace_back(std::move(envelope), deadline, reply.operation, std::string(header));
  if (principal_->may_serve()) return;
  waiting.who = principal_->name();
  ++waiting_of_[waiting.who];
  ++waiting_of_tenants_;
}

void Server::end_wait(const Waiting& waiting) {
  if (waiting.who.empty()) return;
  --waiting_of_tenants_;
  const auto own = waiting_of_.find(waiting.who);
  if (--own->second == 0) waiting_of_.erase(own);
}

void Server::answer_waiting(bool all) {
  const bool something_happened = std::exchange(activity_seen_, registry_.activity()) != registry_.activity();
  const std::int64_t now = clock_.monotonic_us();
  std::vector<Waiting> still;
  for (Waiting& waiting : waiting_) {
    const bool over = all || waiting.deadline_us <= now;
    if (!over && !something_happened) {
      still.push_back(std::move(waiting));
      continue;
    }
    const std::int64_t began_us = clock_.monotonic_us();
    principal_ = door_.who(waiting.envelope);
    Reply reply;
    if (principal_ == nullptr) {
      reply.header = error_header(wire::Door::refusal());
    } else {
      reply = answer_as(*waiting.operation, waiting.header, {});
    }
    if (reply.wait_us > 0 && !over) {
      still.push_back(std::move(waiting));
      continue;
    }
    end_wait(waiting);
    count(waiting.operation, reply.header, clock_.monotonic_us() - began_us);
    send(std::move(waiting.envelope), reply.header);
  }
  waiting_ = std::move(still);
}

std::int64_t Server::until_next_event_us() const {
  const std::int64_t work = registry_.next_work_us(), view = registry_.next_view_us();
  std::int64_t event = work < 0 ? view : std::min(work, view);
  if (keys_end_us_ != 0) event = std::clamp<std::int64_t>(keys_end_us_ - clock_.wall_us(), 0, event);
  if (waiting_.empty()) return event;
  const auto next = std::ranges::min_element(waiting_, {}, &Waiting::deadline_us);
  return std::min(event, std::max<std::int64_t>(next->deadline_us - clock_.monotonic_us(), 0));
}

void Server::give(Envelope envelope, Reply reply) {
  wire::Message bodies;
  for (const auto body : reply.bodies) bodies.emplace_back(body);
  if (registry_.is_group_pending()) {
    held_.push_back(
        {std::move(envelope), std::move(reply.header), std::move(bodies), reply.kind, reply.operation, reply.us});
    return;
  }
  count(reply.operation, reply.header, reply.us);
  send(std::move(envelope), reply.header, std::move(bodies));
}

void Server::count(const Operation* operation, const std::string& header, std::int64_t us) {
  metrics_.count(operation == nullptr ? "_unknown" : operation->name, wire::peek_status(header).code(), us);
}

void Server::tell_gauges() {
  const Told now{registry_.activity() + 1, registry_.is_writing(), keys_end_us_};
  if (std::exchange(told_, now) == now) return;
  RegistryMetrics::Gauges gauges = registry_.gauges();
  gauges.waiting = waiting_.size();
  gauges.key_ends_us = keys_end_us_;
  metrics_.tell(std::move(gauges));
}

void Server::send(Envelope envelope, const std::string& header, wire::Message bodies) {
  wire::Message message = std::move(envelope);
  message.emplace_back(std::string_view(header));
  std::ranges::move(bodies, std::back_inserter(message));
  const auto sent = socket_->send(message);
  // A peer that is gone, or takes nothing any more, asks again when it is back.
  if (!sent.ok()) log::debug("registry", "a reply found nobody", {{"error", sent.status()}});
  if (sent.ok() && !*sent) log::warn("registry", "a reply was dropped: its reader does not keep up");
}

}  // namespace espalier::registry
