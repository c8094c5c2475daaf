// What a router answers besides predictions.
#include <string>

#include "common/version.h"
#include "router/router.h"
#include "wire/log_level.h"
#include "wire/messages.h"

namespace espalier::router {

/// What isn't a prediction.
Status Router::answer_operation(const Routes& routes, std::size_t id_at, const Principal& who, std::string_view op) {
  wire::Frame header;
  if (op == wire::HelloRequest::op) {
    const wire::HelloReply hello{routes.generation, routes.epoch, std::string(version()), "router"};
    header = wire::Frame(wire::encode_reply(Status(), hello));
  } else if (op == wire::RouterStatusRequest::op) {
    const Status may = who.check_serve();
    header = wire::Frame(may.ok() ? wire::encode_reply(may, status(routes)) : wire::encode_error(may));
  } else if (op == wire::LogLevelRequest::op) {
    header = wire::Frame(wire::answer_log_level(who, message_[id_at + 1].view()));
  } else {
    return Status(Code::unimplemented, "op \"" + std::string(op.substr(0, 64)) +
                                           "\": a router answers predict, hello, router_status and log_level");
  }
  send_to_client(std::span(message_).first(id_at + 1), {&header, 1});
  return {};
}

wire::RouterStatusReply Router::status(const Routes& routes) {
  wire::RouterStatusReply reply;
  reply.name = "router";
  reply.version = std::string(version());
  reply.generation = routes.generation;
  reply.epoch = routes.epoch;
  reply.view = routes.view.number;
  reply.in_flight = in_flight_.size();
  request_counts_.for_each([&](const TenantCounts& tenant) {
    for (std::size_t i = 0; i < kCodes; ++i) {
      reply.requests += tenant.requests[i].value();
      if (i != 0) reply.failed += tenant.requests[i].value();
    }
    for (std::size_t i = 0; i < kReasons; ++i) {
      reply.answered += tenant.answered[i].value();
      if (wire::is_unexpected(static_cast<wire::Reason>(i))) reply.unexpected += tenant.answered[i].value();
    }
  });
  for (const ShardState& shard : shard_states())
    reply.shards.push_back({shard.name, shard.endpoints, shard.answering, shard.in_flight});
  if (complete_status_) complete_status_(reply);
  return reply;
}

}  // namespace espalier::router
