#include "shard/worker.h"

#include <utility>

#include "common/log.h"
#include "common/version.h"
#include "wire/envelope.h"
#include "wire/log_level.h"
#include "wire/messages.h"
#include "wire/process_status.h"
#include "wire/traffic_messages.h"

namespace espalier::shard {
namespace {

constexpr int kMessagesPerDrain = 256;
/// A stopping worker is done when nothing has come for so long.
constexpr std::int64_t kQuietUs = 50'000;
/// So long it goes on though more keeps coming.
constexpr std::int64_t kFarewellUs = 1'000'000;

wire::SocketOptions socket_options() {
  wire::SocketOptions options;
  options.send_queue = 100'000;
  options.receive_queue = 100'000;
  return options;
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::make(wire::Context& context, const std::string& shard,
                                             const std::string& endpoint, LiveTable& live, Damage& damage,
                                             Verify verify, const Clock& clock, const ShardStatus* status,
                                             std::shared_ptr<const KeyPair> key, wire::Keyring* keyring) {
  wire::SocketOptions socket_kind = socket_options();
  socket_kind.key = std::move(key);
  ASSIGN_OR_RETURN(auto socket, wire::Socket::make(context, wire::SocketKind::router, socket_kind));
  ASSIGN_OR_RETURN(std::string bound, socket->bind(endpoint));
  std::unique_ptr<Worker> worker(new Worker(std::move(socket), shard, live, damage, verify, clock, status, keyring));
  worker->endpoint_ = std::move(bound);
  return worker;
}

Worker::Worker(std::unique_ptr<wire::Socket> socket, std::string shard, LiveTable& live, Damage& damage, Verify verify,
               const Clock& clock, const ShardStatus* status, wire::Keyring* keyring)
    : shard_(std::move(shard)),
      socket_(std::move(socket)),
      live_(live),
      reader_(live),
      clock_(clock),
      status_(status),
      door_(keyring),
      predictor_(shard_, clock, damage, verify) {}

void Worker::run(int stop_fd) {
  wire::Poller poller;
  const std::size_t socket = poller.add(*socket_);
  const std::size_t stop = poller.add_fd(stop_fd);
  for (;;) {
    if (!poller.wait(-1)) continue;
    if (poller.ready(socket)) drain();
    if (poller.ready(stop)) break;
  }
  poller.clear();
  poller.add(*socket_);
  const std::int64_t end_us = clock_.monotonic_us() + kFarewellUs;
  while (poller.wait(kQuietUs) && drain() && clock_.monotonic_us() < end_us) {
  }
}

bool Worker::drain() {
  int taken = 0;
  is_time_old_ = true;
  for (; taken < kMessagesPerDrain; ++taken) {
    const Result<bool> received = socket_->receive(message_);
    if (!received.ok()) {
      log::error("shard", "receive failed", {{"why", received.status()}});
      return false;
    }
    if (!*received) {
      predictor_.was_idle();
      break;
    }
    handle();
  }
  return taken > 0;
}

/// [routing id] ([empty]) [request id] [header] [body]…
void Worker::handle() {
  const std::size_t bytes = wire::bytes_of(message_);
  if (std::exchange(is_time_old_, false)) now_us_ = clock_.monotonic_us();
  const Principal* const who = door_.who(message_);
  const wire::Envelope envelope = wire::open_envelope(message_);
  const std::size_t id_at = envelope.id_at;
  if (!envelope.status.ok()) {
    refuse(envelope.status);
  } else if (bytes > wire::kMaxInternalMessageBytes) {
    refuse(invalid_argument("the message has more than 268435456 bytes"));
  } else if (who == nullptr) {
    refuse(wire::Door::refusal());
  } else {
    bodies_.clear();
    for (std::size_t i = id_at + 2; i < message_.size(); ++i) bodies_.push_back(message_[i].view());
    answer(*who, message_[0].view(), message_[id_at + 1].view());
  }
  send_reply(id_at + 1);
}

void Worker::answer(const Principal& principal, std::string_view peer, std::string_view header) {
  if (wire::begins_as_predict(header)) return predict(principal, peer, header);
  const Result<std::string> op = wire::peek_op(header);
  if (!op.ok()) return refuse(op.status());
  if (*op == "predict") return predict(principal, peer, header);
  is_time_old_ = true;
  const auto lease = reader_.lease();
  if (*op == wire::HelloRequest::op) {
    reply_.header = wire::encode_reply(
        Status(), wire::HelloReply{lease->generation, lease->epoch, std::string(version()), "shard " + shard_});
    reply_.body_count = 0;
  } else if (*op == wire::ShardStatusRequest::op && status_ != nullptr) {
    const Status may = principal.check_serve();
    reply_.header = may.ok() ? wire::encode_reply(may, status_->reply(*lease)) : wire::encode_error(may);
    reply_.body_count = 0;
  } else if (*op == wire::LogLevelRequest::op) {
    reply_.header = wire::answer_log_level(principal, header);
    reply_.body_count = 0;
  } else if (*op == wire::ProcessRequest::op) {
    reply_.header = wire::answer_process(principal, header);
    reply_.body_count = 0;
  } else if (*op == wire::TrafficRequest::op && status_ != nullptr) {
    const Status may = principal.check_serve();
    const Result<wire::TrafficRequest> asked = wire::decode<wire::TrafficRequest>(header);
    const Result<wire::TrafficReply> traffic = may.ok() && asked.ok() ? status_->traffic(asked->by)
                                               : may.ok()             ? asked.status()
                                                                      : may;
    reply_.header = traffic.ok() ? wire::encode_reply(Status(), *traffic) : wire::encode_error(traffic.status());
    reply_.body_count = 0;
  } else {
    refuse(Status(
        Code::unimplemented,
        "op \"" + op->substr(0, 64) + "\": a shard answers predict, hello, shard_status, traffic, log_level, process"));
  }
}

void Worker::predict(const Principal& principal, std::string_view peer, std::string_view header) {
  const auto lease = reader_.lease();
  predictor_.answer(principal, *lease, header, bodies_, {now_us_, peer}, reply_);
  if (const auto* request = predictor_.last_request()) busiest_.note(*request, *lease);
  // The next one begins when this one ended.
  const std::int64_t began_us = std::exchange(now_us_, clock_.monotonic_us());
  predictor_.took(now_us_ - began_us, now_us_);
  predictor_.tell_times(now_us_ - began_us, reply_);
}

/// What is not even a prediction.
void Worker::refuse(const Status& status) {
  predictor_.refused(status.code());
  reply_.set_error(status);
}

void Worker::send_reply(std::size_t envelope) {
  message_.resize(envelope);
  message_.emplace_back(std::string_view(reply_.header));
  for (std::size_t i = 0; i < reply_.body_count; ++i) message_.emplace_back(std::string_view(reply_.bodies[i]));
  const Result<bool> sent = socket_->send(message_);
  if (sent.ok() && *sent) {
    answered_.add();
  } else {
    undelivered_.add();
  }
}

}  // namespace espalier::shard
