#include "trainer/trainer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/registry_client.h"
#include "common/clock.h"
#include "common/files.h"
#include "common/thread_pool.h"
#include "model/ids.h"
#include "trainer/lineage.h"
#include "trainer/publisher.h"
#include "trainer/train.h"

namespace espalier::trainer {
namespace {

using nlohmann::json;

constexpr std::int64_t kWaitUs = 60'000'000;
constexpr std::int64_t kHelloTimeoutUs = 5'000'000;

double seconds_since(std::int64_t start_us) {
  return static_cast<double>(Clock::system().monotonic_us() - start_us) * 1e-6;
}

/// Trees of all tenants. Many tenants are shared out between the threads, one tenant's nodes likewise.
Result<std::vector<TrainedTree>> train_all(const model::Spec& spec, const model::FeatureSet& features,
                                           const Source& source, std::size_t threads, Progress& progress) {
  ThreadPool pool(threads);
  std::vector<Result<TrainedTree>> results(source.tenants.size(), internal_error("not trained"));
  if (source.tenants.size() == 1) {
    const TenantRows& tenant = source.tenants[0];
    results[0] = train_tree(spec, features, source, tenant, pool,
                            [&](std::size_t done, std::size_t of) { progress.on_the_way(tenant.tenant, done, of); });
  } else {
    std::vector<std::size_t> by_rows(source.tenants.size());
    for (std::size_t i = 0; i < by_rows.size(); ++i) by_rows[i] = i;
    std::ranges::stable_sort(by_rows, std::greater<>(), [&](std::size_t i) { return source.tenants[i].rows.size(); });
    pool.parallel_for(by_rows.size(), [&](std::size_t i) {
      ThreadPool alone(1);
      const TenantRows& tenant = source.tenants[by_rows[i]];
      results[by_rows[i]] = train_tree(spec, features, source, tenant, alone, nullptr);
      progress.say({{"stage", "train"}, {"tenant", tenant.tenant}, {"rows", tenant.rows.size()}});
    });
  }
  std::vector<TrainedTree> trees;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].ok()) return results[i].status().at("tenant " + source.tenants[i].tenant);
    trees.push_back(*std::move(results[i]));
  }
  return trees;
}

Status check_options(const TrainerOptions& options) {
  RETURN_IF_ERROR(model::check_name("tag", options.tag));
  RETURN_IF_ERROR(model::check_description(options.description));
  RETURN_IF_ERROR(model::check_properties(options.properties));
  if (!options.source.tenant.empty()) RETURN_IF_ERROR(model::check_name("tenant", options.source.tenant));
  return {};
}

}  // namespace

Status run_trainer(const TrainerOptions& options, Progress& progress) {
  const std::int64_t start = Clock::system().monotonic_us();
  RETURN_IF_ERROR(check_options(options));
  ASSIGN_OR_RETURN(const std::string text, Files::system().read(options.spec));
  ASSIGN_OR_RETURN(const model::Spec spec, model::Spec::parse_toml(text, options.spec));
  ASSIGN_OR_RETURN(const model::FeatureSet features, model::FeatureSet::parse(spec.features));
  ASSIGN_OR_RETURN(auto registry, client::RegistryClient::connect(options.registry));
  // Better now than after the training.
  const auto hello = registry->call(wire::HelloRequest{.role = "trainer"}, {}, kHelloTimeoutUs);
  if (!hello.ok()) return hello.status().at("registry");

  ASSIGN_OR_RETURN(const Source source, read_source(options.source, spec, features.inputs()));
  const double read_seconds = seconds_since(start);
  progress.say({{"stage", "read"},
                {"rows", source.frame.rows()},
                {"passed", source.rows_passed},
                {"without_target", source.rows_without_target},
                {"seconds", read_seconds}});

  const std::int64_t train_start = Clock::system().monotonic_us();
  ASSIGN_OR_RETURN(const auto trees, train_all(spec, features, source, options.threads, progress));
  progress.say({{"stage", "trained"}, {"seconds", seconds_since(train_start)}});

  const std::int64_t publish_start = Clock::system().monotonic_us();
  UuidSource uuids(Clock::system());
  Publisher publisher(*registry, uuids);
  json tenants = json::array();
  std::size_t nodes = 0;
  std::uint64_t epoch = 0;
  std::string release;
  for (const TrainedTree& tree : trees) {
    Lineage lineage = lineage_of(options.source, source, spec, tree, read_seconds);
    const PublishAs as{options.tag,         std::move(lineage.release), std::move(lineage.version),
                       options.description, options.properties,         options.expected_release};
    ASSIGN_OR_RETURN(const Published published, publisher.publish(spec, tree, as));
    nodes += tree.nodes.size();
    epoch = std::max(epoch, published.epoch);
    release = published.release.text();
    json summary = json::parse(tree_summary_json(spec, tree));
    summary["tenant"] = tree.tenant;
    summary["release"] = release;
    summary["epoch"] = published.epoch;
    summary["artefact_bytes"] = published.artefact_bytes;
    summary["seconds"] = json::parse(as.run_json)["seconds"];
    tenants.push_back(std::move(summary));
  }
  progress.say({{"stage", "published"}, {"nodes", nodes}, {"seconds", seconds_since(publish_start)}});
  json done = {{"done", true},   {"release", release}, {"epoch", epoch},
               {"nodes", nodes}, {"tenants", tenants}, {"seconds", seconds_since(start)}};
  if (options.wait) {
    const std::int64_t wait_start = Clock::system().monotonic_us();
    RETURN_IF_ERROR(publisher.wait_until_served(epoch, kWaitUs));
    progress.say({{"stage", "served"}, {"seconds", seconds_since(wait_start)}});
    done["seconds"] = seconds_since(start);
  }
  progress.say(done);
  return {};
}

}  // namespace espalier::trainer
