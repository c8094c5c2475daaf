#include <algorithm>
#include <string>

#include "cli/cluster/supervisor.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "client/registry_client.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/uuid.h"
#include "wire/messages.h"
#include "wire/socket.h"

namespace espalier::cli {
namespace {

/// ok when whoever listens at `endpoint` answers a hello within `timeout_us`.
Status says_hello(const std::string& endpoint, std::int64_t timeout_us, bool insecure) {
  wire::Context context;
  wire::SocketOptions options;
  options.insecure = insecure;
  ASSIGN_OR_RETURN(auto socket, wire::Socket::make(context, wire::SocketKind::dealer, options));
  RETURN_IF_ERROR(socket->connect(endpoint));
  wire::Message message;
  message.emplace_back(std::string_view("hello"));
  message.emplace_back(wire::encode(wire::HelloRequest{"client"}));
  ASSIGN_OR_RETURN(const bool sent, socket->send(message));
  wire::Poller poller;
  poller.add(*socket);
  if (!sent || !poller.wait(timeout_us)) return unavailable(endpoint + " does not answer");
  ASSIGN_OR_RETURN(const bool received, socket->receive(message));
  if (!received || message.size() < 2) return unavailable(endpoint + " does not answer as it should");
  return wire::peek_status(message[1].view());
}

/// Takes the shards of an earlier, larger run out of the view, which would be waited for otherwise.
Status retire_absent_shards(const ClusterFile& cluster) {
  ASSIGN_OR_RETURN(auto registry, client::RegistryClient::connect(cluster.registry, nullptr, cluster.insecure));
  ASSIGN_OR_RETURN(const wire::ViewReply reply, registry->call(wire::ViewRequest{}));
  UuidSource uuids(Clock::system());
  for (const cluster::ShardInfo& shard : reply.view.shards) {
    const bool runs = std::any_of(cluster.processes.begin(), cluster.processes.end(),
                                  [&](const ClusterProcess& process) { return process.name == shard.name; });
    if (runs) continue;
    ASSIGN_OR_RETURN(const wire::EpochReply left, registry->call(wire::LeaveRequest{uuids.next(), shard.name}));
    log::info("up", "shard of an earlier run taken out of the view", {{"shard", shard.name}, {"epoch", left.epoch}});
  }
  return Status();
}

}  // namespace

Status run_up(const UpOptions& asked, const Shared& shared) {
  UpOptions options = asked;
  options.log_format = shared.log_format;
  options.log_level = shared.log_level;
  StopSignals stop;
  Supervisor supervisor(options, stop, [&](std::string_view line) {
    if (shared.json)
      print_line("{\"event\":" + json_text(line) + "}");
    else
      print_line(line);
  });
  RETURN_IF_ERROR(supervisor.start());
  RETURN_IF_ERROR(retire_absent_shards(supervisor.cluster()));
  RETURN_IF_ERROR(says_hello(supervisor.cluster().router.front(), 10'000'000, options.insecure));
  if (shared.json) {
    std::string endpoints;
    for (const std::string& endpoint : supervisor.cluster().router)
      endpoints += (endpoints.empty() ? "" : ",") + json_text(endpoint);
    print_line("{\"ready\":\"cluster\",\"router\":[" + endpoints + "]}");
  } else {
    print_line("ready");
  }
  supervisor.run();
  return Status();
}

}  // namespace espalier::cli
