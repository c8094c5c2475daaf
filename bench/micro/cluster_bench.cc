// What a router does to find the shards of a node, without anything around it.
//
// Simulates: nodes three levels deep, the tenant's shards known. Does not simulate: the parsing of partitions.
#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/placement.h"

namespace {

using namespace espalier;

cluster::View view_of(std::int64_t shards, bool weighted) {
  cluster::View view;
  for (std::int64_t i = 0; i < shards; ++i) view.shards.push_back({"shard-" + std::to_string(100 + i), {}, 1});
  if (weighted) view.shards[0].weight = 2;
  view.default_spread = 4;
  return view;
}

std::vector<model::Partition> partitions() {
  std::vector<model::Partition> result;
  for (int i = 0; i < 1024; ++i) {
    auto parsed = model::Partition::parse("usa/state " + std::to_string(i % 50) + "/town number " + std::to_string(i));
    if (parsed.ok()) result.push_back(*std::move(parsed));
  }
  return result;
}

/// range(0): shards of the cluster; range(1): whether their weights differ.
void node_shards(benchmark::State& state) {
  const cluster::Placement placement(view_of(state.range(0), state.range(1) != 0));
  const auto tenant = placement.tenant("acme");
  const auto nodes = partitions();
  std::array<std::uint32_t, 4> owners;
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(placement.node_shards_into(tenant, "total", nodes[i++ % nodes.size()], 2, owners));
    benchmark::DoNotOptimize(owners);
  }
}

void tenant_shards(benchmark::State& state) {
  const cluster::Placement placement(view_of(state.range(0), state.range(1) != 0));
  for (auto _ : state) benchmark::DoNotOptimize(placement.tenant("acme"));
}

BENCHMARK(node_shards)->Args({4, 0})->Args({4, 1})->Args({100, 0});
BENCHMARK(tenant_shards)->Args({4, 0})->Args({100, 0})->Args({100, 1});

}  // namespace

BENCHMARK_MAIN();
