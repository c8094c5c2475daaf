#include "cli/inside/processes.h"

#include <algorithm>
#include <utility>

#include "cli/registry_access.h"
#include "wire/endpoint.h"
#include "wire/messages.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kRegistryPatienceUs = 2'000'000;

std::vector<Process> routers_in(const ClusterFile& cluster) {
  std::vector<Process> routers;
  for (const ClusterProcess& process : cluster.processes) {
    if (process.role == "router") routers.push_back({"router", process.name, process.endpoints});
  }
  if (!routers.empty()) return routers;
  for (const std::string& endpoint : cluster.router) {
    routers.push_back({"router", wire::parse_endpoint(endpoint).address, {endpoint}});
  }
  return routers;
}

Result<std::vector<Process>> shards_of_view(const Shared& shared, const std::vector<std::string>& registry) {
  ASSIGN_OR_RETURN(const auto answers, ask_all(shared, {{"registry", "registry", registry}},
                                               wire::encode(wire::ViewRequest{}), kRegistryPatienceUs));
  RETURN_IF_ERROR(answers[0].status);
  ASSIGN_OR_RETURN(const auto reply, wire::decode_reply<wire::ViewReply>(answers[0].header()));
  std::vector<Process> shards;
  for (const cluster::ShardInfo& shard : reply.view.shards) shards.push_back({"shard", shard.name, shard.endpoints});
  return shards;
}

}  // namespace

Result<std::vector<Process>> processes_of(const Shared& shared, const ClusterFile& cluster, Status& why_not_all) {
  std::vector<Process> processes = {{"registry", "registry", cluster.registry}};
  for (Process& router : routers_in(cluster)) processes.push_back(std::move(router));
  Result<std::vector<Process>> shards = shards_of_view(shared, cluster.registry);
  why_not_all = shards.status();
  if (shards.ok()) {
    std::ranges::move(*shards, std::back_inserter(processes));
    return processes;
  }
  for (const ClusterProcess& process : cluster.processes) {
    if (process.role == "shard") processes.push_back({"shard", process.name, process.endpoints});
  }
  return processes;
}

Shared asking(const Shared& shared, const ClusterFile& cluster) {
  Shared asking = shared;
  asking.insecure = may_be_insecure(shared, cluster);
  return asking;
}

Result<std::vector<client::Answer>> ask_all(const Shared& shared, const std::vector<Process>& processes,
                                            const std::string& header, std::int64_t patience_us) {
  ASSIGN_OR_RETURN(const auto key, own_key(shared));
  std::vector<std::pair<std::unique_ptr<client::Exchange>, client::Ticket>> asked(processes.size());
  std::vector<client::Answer> answers(processes.size());
  for (std::size_t i = 0; i < processes.size(); ++i) {
    client::Exchange::Options options;
    options.peer = processes[i].name;
    options.socket.key = key;
    options.socket.insecure = shared.insecure;
    auto exchange = client::Exchange::open(processes[i].endpoints, options);
    answers[i].status = exchange.status();
    if (!exchange.ok()) continue;
    const client::Ticket ticket = (*exchange)->send(header, {}, patience_us, 0);
    asked[i] = {*std::move(exchange), ticket};
  }
  for (std::size_t i = 0; i < processes.size(); ++i) {
    if (asked[i].first != nullptr) answers[i] = asked[i].first->wait_for(asked[i].second);
  }
  return answers;
}

}  // namespace espalier::cli
