#include "cli/status/evidence.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "cli/cluster_folder.h"
#include "cli/registry_access.h"
#include "cli/status/asking.h"
#include "common/clock.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kPatienceUs = 2'000'000;
/// Between the two looks at how many requests the routers have answered.
constexpr std::int64_t kLookUs = 300'000;

/// Decodes the reply into `reply`; not ok: who answered something else doesn't answer.
template <class Reply>
bool take(const Asking::Answer& answer, Asked& asked, Reply& reply) {
  Asking::note(answer, asked);
  if (!asked.answers()) return false;
  Result<Reply> read = answer.status.ok() ? wire::decode_reply<Reply>(answer.header) : Result<Reply>(answer.status);
  if (!read.ok()) {
    asked.reach = read.status().code() == Code::permission_denied ? Reach::barred : Reach::silent;
    asked.why = read.status().text();
    return false;
  }
  reply = *std::move(read);
  asked.health = reply.health;
  asked.version = reply.version;
  Asking::note_clock(answer, asked.health.wall_us, asked);
  return true;
}

std::vector<AskedRouter> routers_of(const ClusterFile& cluster) {
  std::vector<AskedRouter> routers;
  const auto add = [&](const std::string& name, std::vector<std::string> endpoints) {
    AskedRouter& router = routers.emplace_back();
    router.asked.role = "router";
    router.asked.name = name;
    router.asked.endpoints = std::move(endpoints);
  };
  for (const ClusterProcess& process : cluster.processes)
    if (process.role == "router") add(process.name, process.endpoints);
  if (!routers.empty()) return routers;
  for (const std::string& endpoint : cluster.router) add(endpoint.substr(0, endpoint.find('#')), {endpoint});
  return routers;
}

/// A process that is named by several of its endpoints is one.
void merge_same(std::vector<AskedRouter>& routers) {
  std::vector<AskedRouter> merged;
  for (AskedRouter& router : routers) {
    const auto same = std::ranges::find_if(merged, [&](const AskedRouter& other) {
      return router.asked.answers() && other.asked.answers() &&
             other.asked.health.process == router.asked.health.process;
    });
    if (same == merged.end()) merged.push_back(std::move(router));
  }
  routers = std::move(merged);
}

/// Those of the view, then those that have left it without being asked to, then those that this machine knows of.
std::vector<AskedShard> shards_of(const std::optional<cluster::View>& view, const std::vector<wire::LostShard>& lost,
                                  const ClusterFile& cluster) {
  std::vector<AskedShard> shards;
  const auto add = [&](const std::string& name, const std::vector<std::string>& endpoints) -> AskedShard& {
    AskedShard& shard = shards.emplace_back();
    shard.asked.role = "shard";
    shard.asked.name = name;
    shard.asked.endpoints = endpoints;
    return shard;
  };
  const auto is_known = [&](const std::string& name) {
    return std::ranges::any_of(shards, [&](const AskedShard& shard) { return shard.asked.name == name; });
  };
  if (view) {
    for (const cluster::ShardInfo& info : view->shards) {
      AskedShard& shard = add(info.name, info.endpoints);
      shard.state = info.state;
      shard.is_in_view = true;
    }
  }
  for (const wire::LostShard& shard : lost) add(shard.name, shard.endpoints).state = cluster::ShardState::gone;
  for (const ClusterProcess& process : cluster.processes) {
    // One of the view may have been started again meanwhile, somewhere else.
    if (process.role == "shard" && !is_known(process.name)) add(process.name, process.endpoints);
  }
  return shards;
}

/// Each thread of a shard has an endpoint of its own: one that says nothing is not well, whatever the others say.
void take_shard(const Asking& asking, const std::vector<std::size_t>& numbers, AskedShard& shard) {
  for (const std::size_t number : numbers) {
    AskedShard one = shard;
    const bool was_first = number == numbers.front();
    take(asking.answer(number), one.asked, one.status);
    if (was_first || (shard.asked.answers() && !one.asked.answers())) shard = std::move(one);
  }
}

void ask_shards(const Asker& asker, Evidence& evidence) {
  Asking asking(asker);
  std::vector<std::vector<std::size_t>> numbers;
  for (const AskedShard& shard : evidence.shards) {
    auto& of = numbers.emplace_back();
    for (const std::string& endpoint : shard.asked.endpoints)
      of.push_back(asking.ask(endpoint, wire::encode(wire::ShardStatusRequest{})));
  }
  asking.wait(kPatienceUs);
  for (std::size_t i = 0; i < evidence.shards.size(); ++i) take_shard(asking, numbers[i], evidence.shards[i]);
}

/// How many requests a second the routers answer, from a second look at each.
void measure_rates(const Asker& asker, Evidence& evidence) {
  Asking asking(asker);
  std::vector<std::pair<AskedRouter*, std::size_t>> asked;
  for (AskedRouter& router : evidence.routers) {
    if (!router.asked.answers()) continue;
    asked.emplace_back(&router, asking.ask(router.asked.endpoints.front(), wire::encode(wire::RouterStatusRequest{})));
  }
  asking.wait(kPatienceUs);
  for (const auto& [router, number] : asked) {
    Asked again;
    wire::RouterStatusReply reply;
    if (!take(asking.answer(number), again, reply)) continue;
    const std::int64_t us = again.health.running_us - router->asked.health.running_us;
    if (us <= 0 || again.health.process != router->asked.health.process) continue;
    // The question itself is none.
    router->rate = static_cast<double>(reply.requests - router->status.requests) * 1e6 / static_cast<double>(us);
  }
}

}  // namespace

Result<Evidence> gather_evidence(const Shared& shared) {
  ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(shared.cluster));
  Asker asker{nullptr, may_be_insecure(shared, cluster)};
  ASSIGN_OR_RETURN(asker.key, own_key(shared));
  Evidence evidence;
  evidence.wall_us = Clock::system().wall_us();
  evidence.registry.role = evidence.registry.name = "registry";
  evidence.registry.endpoints = cluster.registry;
  evidence.routers = routers_of(cluster);
  if (cluster.registry.empty()) return failed_precondition("cluster.json names no registry");

  const std::int64_t began_us = Clock::system().monotonic_us();
  Asking asking(asker);
  const std::string& registry = cluster.registry.front();
  const std::size_t status = asking.ask(registry, wire::encode(wire::StatusRequest{}));
  const std::size_t view = asking.ask(registry, wire::encode(wire::ViewRequest{}));
  const std::size_t keys = asking.ask(registry, wire::encode(wire::KeysRequest{}));
  std::vector<std::size_t> numbers;
  for (const AskedRouter& router : evidence.routers)
    numbers.push_back(asking.ask(router.asked.endpoints.front(), wire::encode(wire::RouterStatusRequest{})));
  asking.wait(kPatienceUs);
  take(asking.answer(status), evidence.registry, evidence.status);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    take(asking.answer(numbers[i]), evidence.routers[i].asked, evidence.routers[i].status);
  merge_same(evidence.routers);
  const auto read_view = wire::decode_reply<wire::ViewReply>(asking.answer(view).header);
  if (asking.answer(view).status.ok() && read_view.ok()) {
    evidence.shards = shards_of(read_view->view, evidence.status.lost, cluster);
  } else {
    evidence.shards = shards_of(std::nullopt, {}, cluster);
  }
  auto read_keys = wire::decode_reply<wire::KeysReply>(asking.answer(keys).header);
  if (asking.answer(keys).status.ok() && read_keys.ok()) evidence.keys = std::move(read_keys->keys);

  ask_shards(asker, evidence);
  const std::int64_t left_us = kLookUs - (Clock::system().monotonic_us() - began_us);
  if (left_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(left_us));
  measure_rates(asker, evidence);
  return evidence;
}

}  // namespace espalier::cli
