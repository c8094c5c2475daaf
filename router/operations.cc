// What a router answers besides predictions.
#include <algorithm>
#include <string>

#include "common/version.h"
#include "router/router.h"
#include "wire/log_level.h"
#include "wire/messages.h"
#include "wire/process_status.h"
#include "wire/traffic_messages.h"

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
  } else if (op == wire::ProcessRequest::op) {
    header = wire::Frame(wire::answer_process(who, message_[id_at + 1].view()));
  } else if (op == wire::TrafficRequest::op) {
    RETURN_IF_ERROR(who.check_serve());
    ASSIGN_OR_RETURN(const auto asked, wire::decode<wire::TrafficRequest>(message_[id_at + 1].view()));
    if (asked.by != "tenant")
      return invalid_argument("by: \"tenant\" at a router, got \"" + asked.by.substr(0, 64) + "\"");
    header = wire::Frame(wire::encode_reply(Status(), traffic()));
  } else {
    return Status(Code::unimplemented,
                  "op \"" + std::string(op.substr(0, 64)) +
                      "\": a router answers predict, hello, router_status, traffic, log_level, process");
  }
  send_to_client(std::span(message_).first(id_at + 1), {&header, 1});
  return {};
}

wire::TrafficReply Router::traffic() {
  constexpr std::size_t kMost = 256;
  wire::TrafficReply reply;
  wire::RouterStatusReply status;
  if (complete_status_) complete_status_(status);
  reply.name = "router";
  reply.process = status.health.process;
  reply.running_us = status.health.running_us;
  request_counts_.for_each([&](const TenantCounts& tenant) {
    wire::TrafficRow& row = reply.rows.emplace_back();
    row.tenant = tenant.tenant;
    for (std::size_t i = 0; i < kCodes; ++i) {
      row.requests += tenant.requests[i].value();
      if (i != 0) row.failed += tenant.requests[i].value();
    }
    for (std::size_t i = 0; i < kReasons; ++i) {
      row.answered += tenant.answered[i].value();
      if (wire::is_unexpected(static_cast<wire::Reason>(i))) row.unexpected += tenant.answered[i].value();
    }
    row.took = tenant.took.read().buckets;
  });
  if (reply.rows.size() <= kMost) return reply;
  std::ranges::stable_sort(reply.rows, std::ranges::greater{}, &wire::TrafficRow::requests);
  reply.rows.resize(kMost);
  return reply;
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
