#include "trainer/trainer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/registry_client.h"
#include "common/clock.h"
#include "common/files.h"
#include "common/key_file.h"
#include "common/thread_pool.h"
#include "model/ids.h"
#include "trainer/lineage.h"
#include "trainer/publisher.h"
#include "trainer/run_recorder.h"
#include "trainer/train.h"

namespace espalier::trainer {
namespace {

using nlohmann::json;

constexpr std::int64_t kWaitUs = 60'000'000;
constexpr std::int64_t kHelloTimeoutUs = 5'000'000;

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

/// What a training goes by once its rows are read.
struct Training {
  const TrainerOptions& options;
  const model::Spec& spec;
  const model::FeatureSet& features;
  const Source& source;
  double read_seconds = 0;
  std::int64_t start_us = 0;
};

/// Publishes a tree and adds to `done` what became of it. Once it is published, nothing fails.
Status publish_tree(const Training& training, const TrainedTree& tree, Publisher& publisher, RunRecorder& recorder,
                    Progress& progress, json& done) {
  const TrainerOptions& options = training.options;
  const Origin origin = recorder.origin_of(tree.tenant);
  Lineage lineage = lineage_of(options.source, training.source, training.spec, tree, training.read_seconds, origin);
  const PublishAs as{options.tag,         std::move(lineage.release), std::move(lineage.version),
                     options.description, options.properties,         options.expected_release};
  RETURN_IF_ERROR(recorder.log(training.spec, tree, training.read_seconds));
  ASSIGN_OR_RETURN(const Published published, publisher.publish(training.spec, tree, as));
  json summary = json::parse(tree_summary_json(training.spec, tree));
  const Status finished = recorder.finish(tree.tenant);
  if (!finished.ok()) {
    const std::string warning = "the release is published, but its run could not be ended: " + finished.text();
    progress.say({{"stage", "warning"}, {"tenant", tree.tenant}, {"message", warning}});
    summary["warning"] = warning;
  }
  summary["tenant"] = tree.tenant;
  summary["run"] = origin.run.text();
  summary["dataset"] = origin.dataset.hex();
  summary["release"] = published.release.text();
  summary["epoch"] = published.epoch;
  summary["artefact_bytes"] = published.artefact_bytes;
  summary["seconds"] = json::parse(as.run_json)["seconds"];
  done["release"] = published.release.text();
  done["epoch"] = std::max(done.value("epoch", std::uint64_t{0}), published.epoch);
  done["nodes"] = done.value("nodes", std::size_t{0}) + tree.nodes.size();
  done["tenants"].push_back(std::move(summary));
  return {};
}

Status train_and_publish(const Training& training, client::RegistryClient& registry, UuidSource& uuids,
                         RunRecorder& recorder, Progress& progress) {
  const TrainerOptions& options = training.options;
  const std::int64_t train_start = Clock::system().monotonic_us();
  ASSIGN_OR_RETURN(const auto trees,
                   train_all(training.spec, training.features, training.source, options.threads, progress));
  progress.say({{"stage", "trained"}, {"seconds", seconds_since(train_start)}});

  const std::int64_t publish_start = Clock::system().monotonic_us();
  Publisher publisher(registry, uuids);
  json done = {{"done", true}, {"release", ""}, {"epoch", 0u}, {"nodes", 0u}, {"tenants", json::array()}};
  for (const TrainedTree& tree : trees)
    RETURN_IF_ERROR(publish_tree(training, tree, publisher, recorder, progress, done));
  progress.say({{"stage", "published"}, {"nodes", done["nodes"]}, {"seconds", seconds_since(publish_start)}});
  if (options.wait) {
    const std::int64_t wait_start = Clock::system().monotonic_us();
    RETURN_IF_ERROR(publisher.wait_until_served(done["epoch"].get<std::uint64_t>(), kWaitUs));
    progress.say({{"stage", "served"}, {"seconds", seconds_since(wait_start)}});
  }
  done["seconds"] = seconds_since(training.start_us);
  progress.say(done);
  return {};
}

}  // namespace

Status run_trainer(const TrainerOptions& options, Progress& progress) {
  const std::int64_t start = Clock::system().monotonic_us();
  RETURN_IF_ERROR(check_options(options));
  ASSIGN_OR_RETURN(const std::string text, Files::system().read(options.spec));
  ASSIGN_OR_RETURN(const model::Spec spec, model::Spec::parse_toml(text, options.spec));
  ASSIGN_OR_RETURN(const model::FeatureSet features, model::FeatureSet::parse(spec.features));
  KeyFile key;
  if (!options.key.empty()) {
    ASSIGN_OR_RETURN(key, read_key_file(options.key));
  }
  ASSIGN_OR_RETURN(auto registry, client::RegistryClient::connect(options.registry, key.pair, options.insecure));
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

  UuidSource uuids(Clock::system());
  RunRecorder recorder(*registry, uuids);
  const RunAs as{options.run_name, options.description, options.properties};
  Status status = recorder.start(spec, options.source, source, as);
  const Training training{options, spec, features, source, read_seconds, start};
  if (status.ok()) status = train_and_publish(training, *registry, uuids, recorder, progress);
  if (!status.ok()) recorder.fail(status);
  return status;
}

}  // namespace espalier::trainer
