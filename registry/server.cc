#include "registry/server.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/log.h"
#include "wire/envelope.h"
#include "wire/log_level.h"

namespace espalier::registry {
namespace {

/// What a group may take: more of either gains little, and readers wait for it.
constexpr int kMessagesInGroup = 128;
constexpr std::int64_t kGroupUs = 10'000;
constexpr std::int64_t kDrainUs = 1'000'000;
constexpr std::int64_t kRetryAfterUs = 500'000;
/// Over the limit that is answered, under what one message may cost.
constexpr std::int64_t kHardFrameBytes = 2ll * static_cast<std::int64_t>(wire::kMaxInternalMessageBytes);

std::string error_header(const Status& status) {
  const bool passes = status.code() == Code::unavailable || status.code() == Code::overloaded;
  return wire::encode_error(status, passes ? kRetryAfterUs : 0);
}

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
    count(held.op, held.header, held.us);
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
  if (bytes > wire::kMaxInternalMessageBytes) {
    reply.header = error_header(invalid_argument("message: " + std::to_string(bytes) + " bytes, at most " +
                                                 std::to_string(wire::kMaxInternalMessageBytes) + " are allowed"));
  } else if (bodies.size() > wire::kMaxParts) {
    reply.header = error_header(invalid_argument("message: " + std::to_string(bodies.size()) + " bodies, at most " +
                                                 std::to_string(wire::kMaxParts) + " are allowed"));
  } else if (principal_ == nullptr) {
    reply.header = error_header(wire::Door::refusal());
  } else {
    reply = handle(message[id + 1].view(), bodies);
  }
  if (reply.waits_for && waiting_.size() >= kMaxWaiting) {
    reply.waits_for.reset();
    reply.header = error_header(Status(Code::overloaded, "too many requests are waiting"));
  }
  reply.us = clock_.monotonic_us() - began_us;
  if (!reply.waits_for) return give(std::move(envelope), std::move(reply));
  const std::int64_t deadline = clock_.monotonic_us() + std::clamp<std::int64_t>(reply.wait_us, 0, kMaxWaitUs);
  waiting_.push_back({std::move(envelope), deadline, *std::move(reply.waits_for)});
}

template <class Request, class Operation>
Server::Reply Server::call(std::string_view header, Operation operation) {
  Reply reply;
  const auto request = wire::decode<Request>(header);
  if (!request.ok()) {
    reply.header = error_header(request.status());
    return reply;
  }
  if constexpr (requires { request->idem; }) reply.kind = Kind::change;
  const auto result = operation(*request);
  reply.header = result.ok() ? wire::encode_reply(Status(), *result) : error_header(result.status());
  return reply;
}

Server::Reply Server::handle(std::string_view header, const std::vector<std::string_view>& bodies) {
  const auto op = wire::peek_op(header);
  if (!op.ok()) return {error_header(op.status()), {}, {}, 0, {}};
  std::optional<Reply> reply;
  if (*op == wire::FeedRequest::op) reply = feed(header);
  if (*op == wire::WaitRequest::op) reply = wait(header);
  if (*op == wire::ReceiptRequest::op) reply = receipt(header);
  if (*op == wire::KeysRequest::op) reply = keys(header);
  if (*op == wire::FetchRequest::op) reply = fetch(header);
  if (*op == wire::ArchiveRequest::op) reply = archive(header);
  if (*op == wire::LogLevelRequest::op) {
    reply = call<wire::LogLevelRequest>(
        header, [&](const wire::LogLevelRequest& request) { return wire::change_log_level(*principal_, request); });
  }
  // Tries the op of one method without bodies, or with.
  const auto plain = [&]<class Request, class Result>(Result (Registry::*method)(const Principal&, const Request&)) {
    if (reply || *op != Request::op) return;
    reply = call<Request>(header, [&](const Request& request) { return (registry_.*method)(*principal_, request); });
  };
  const auto with_bodies = [&]<class Request, class Result>(
                               Result (Registry::*method)(const Principal&, const Request&, const Registry::Bodies&)) {
    if (reply || *op != Request::op) return;
    reply = call<Request>(header,
                          [&](const Request& request) { return (registry_.*method)(*principal_, request, bodies); });
  };
  plain(&Registry::ack);
  plain(&Registry::renew);
  plain(&Registry::changed_entries);
  plain(&Registry::tag_entries);
  plain(&Registry::retention);
  plain(&Registry::set_retention);
  plain(&Registry::collect);
  plain(&Registry::receipt_items);
  plain(&Registry::erase);
  plain(&Registry::verify_erasure);
  plain(&Registry::search);
  with_bodies(&Registry::upload);
  with_bodies(&Registry::publish);
  with_bodies(&Registry::move);
  with_bodies(&Registry::import_history);
  plain(&Registry::models);
  plain(&Registry::view);
  plain(&Registry::hello);
  plain(&Registry::join);
  plain(&Registry::leave);
  plain(&Registry::drain);
  plain(&Registry::set_tenant);
  plain(&Registry::versions);
  plain(&Registry::releases);
  plain(&Registry::rollback);
  plain(&Registry::rollback_preview);
  plain(&Registry::release_diff);
  plain(&Registry::tag_history);
  plain(&Registry::promote);
  plain(&Registry::overlay);
  plain(&Registry::quarantine);
  plain(&Registry::check);
  plain(&Registry::status);
  plain(&Registry::run_start);
  plain(&Registry::run_log);
  plain(&Registry::run_end);
  plain(&Registry::run_attach);
  plain(&Registry::runs);
  plain(&Registry::run_metrics);
  plain(&Registry::run_file);
  plain(&Registry::dataset_put);
  plain(&Registry::datasets);
  plain(&Registry::key_create);
  plain(&Registry::key_limit);
  plain(&Registry::key_rotate);
  plain(&Registry::key_revoke);
  if (!reply) return {error_header(Status(Code::unimplemented, "op: the registry has no " + *op)), {}, {}, 0, {}};
  if (*op == wire::UploadRequest::op) reply->kind = Kind::upload;
  reply->op = *op;
  return *std::move(reply);
}

template <class Request, class Operation, class IsDone>
Server::Reply Server::call_or_wait(std::string_view header, Operation operation, IsDone is_done) {
  bool is_early = false;
  Request asked;
  Reply reply = call<Request>(header, [&](const Request& request) {
    auto result = operation(request);
    is_early = result.ok() && !is_done(*result);
    asked = request;
    return result;
  });
  if (is_early && asked.wait_us > 0) {
    reply.wait_us = asked.wait_us;
    reply.waits_for = std::move(asked);
  }
  return reply;
}

Server::Reply Server::feed(std::string_view header) {
  return call_or_wait<wire::FeedRequest>(
      header, [&](const wire::FeedRequest& request) { return registry_.feed(*principal_, request); },
      [](const wire::FeedReply& reply) { return !reply.changes.empty() || reply.snapshot_required; });
}

Server::Reply Server::wait(std::string_view header) {
  return call_or_wait<wire::WaitRequest>(
      header, [&](const wire::WaitRequest& request) { return registry_.wait(*principal_, request); },
      [](const wire::WaitReply& reply) { return reply.served; });
}

Server::Reply Server::receipt(std::string_view header) {
  return call_or_wait<wire::ReceiptRequest>(
      header, [&](const wire::ReceiptRequest& request) { return registry_.receipt(*principal_, request); },
      [](const wire::ReceiptReply& reply) { return reply.receipt.finished_us != 0 && reply.missing.empty(); });
}

Server::Reply Server::keys(std::string_view header) {
  return call_or_wait<wire::KeysRequest>(
      header, [&](const wire::KeysRequest& request) { return registry_.keys(*principal_, request); },
      [](const wire::KeysReply& reply) { return !reply.unchanged; });
}

template <class Request, class Operation>
Server::Reply Server::call_with_bodies(std::string_view header, Operation operation) {
  std::vector<std::string_view> bodies;
  Reply reply = call<Request>(header, [&](const Request& request) { return operation(request, bodies); });
  reply.bodies = std::move(bodies);
  return reply;
}

Server::Reply Server::fetch(std::string_view header) {
  return call_with_bodies<wire::FetchRequest>(header, [&](const wire::FetchRequest& request, Registry::Bodies& bodies) {
    return registry_.fetch(*principal_, request, bodies);
  });
}

Server::Reply Server::archive(std::string_view header) {
  return call_with_bodies<wire::ArchiveRequest>(header,
                                                [&](const wire::ArchiveRequest& request, Registry::Bodies& bodies) {
                                                  return registry_.archive(*principal_, request, bodies);
                                                });
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
    principal_ = door_.who(waiting.envelope);
    if (principal_ == nullptr) {
      send(std::move(waiting.envelope), error_header(wire::Door::refusal()));
      continue;
    }
    Reply reply = std::visit(
        [&](const auto& request) {
          const std::string header = wire::encode(request);
          using Request = std::decay_t<decltype(request)>;
          if constexpr (std::is_same_v<Request, wire::FeedRequest>)
            return feed(header);
          else if constexpr (std::is_same_v<Request, wire::ReceiptRequest>)
            return receipt(header);
          else if constexpr (std::is_same_v<Request, wire::KeysRequest>)
            return keys(header);
          else
            return wait(header);
        },
        waiting.request);
    if (reply.waits_for && !over) {
      still.push_back(std::move(waiting));
    } else {
      count(std::visit([](const auto& request) { return std::decay_t<decltype(request)>::op; }, waiting.request),
            reply.header, clock_.monotonic_us() - now);
      send(std::move(waiting.envelope), reply.header);
    }
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
        {std::move(envelope), std::move(reply.header), std::move(bodies), reply.kind, std::move(reply.op), reply.us});
    return;
  }
  count(reply.op, reply.header, reply.us);
  send(std::move(envelope), reply.header, std::move(bodies));
}

void Server::count(std::string_view op, const std::string& header, std::int64_t us) {
  metrics_.count(op.empty() ? "_unknown" : op, wire::peek_status(header).code(), us);
}

void Server::tell_gauges() {
  if (std::exchange(activity_told_, registry_.activity() + 1) == registry_.activity() + 1) return;
  RegistryMetrics::Gauges gauges = registry_.gauges();
  gauges.waiting = waiting_.size();
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
