// Releases that move very many nodes on a running cluster: how long until one is committed, and until all shards answer
// from it; the same for its rollback, by release and by filter. One JSON line for each measurement; exit code 1 where
// something was moved wrongly, and, with --check, where a bound does not hold. bench/releases starts the cluster.
//
//   espalier-release-scale --registry ENDPOINT [--nodes 100000] [--rounds 3] [--check]
//
// Simulates: one tenant, a tree of three levels, an artefact of its own for every version, uploaded before the release
// as a trainer does. A release replaces every node; its rollback brings every node back. Doesn't: requests meanwhile
// (espalier-steady-load does), a cluster that shares nothing of its disk.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/small_artefacts.h"
#include "client/registry_client.h"
#include "common/clock.h"
#include "common/hash.h"
#include "model/spec.h"

namespace espalier {
namespace {

using nlohmann::json;

struct Options {
  std::string registry;
  std::size_t nodes = 100'000;
  int rounds = 3;
  bool check = false;
};

constexpr double kCommitSeconds = 1, kServedSeconds = 5;
constexpr std::int64_t kTimeoutUs = 120'000'000;
constexpr std::size_t kMessageBytes = 2u << 20;
constexpr std::size_t kTowns = 50, kStates = 50;
bool failed = false;

void report(const std::string& what, json measured) {
  measured["measured"] = what;
  std::printf("%s\n", measured.dump().c_str());
  std::fflush(stdout);
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "espalier-release-scale: %s\n", result.status().text().c_str());
    std::exit(1);
  }
  return *std::move(result);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<std::string> partition_of(std::size_t node) {
  if (node == 0) return {};
  return {"country-" + std::to_string(node / (kTowns * kStates)), "state-" + std::to_string(node / kTowns % kStates),
          "town-" + std::to_string(node % kTowns)};
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        registry_(must(client::RegistryClient::connect({options.registry}, nullptr, true))),
        uuids_(Clock::system()) {
    spec_.model = "sales";
    spec_.task = model::Task::regression;
    spec_.target.column = "y";
    spec_.levels = {"country", "state", "town"};
    spec_.features = {{"age", "standardise(age)"}};
  }

  void run() {
    Uuid before = publish("the first release", false);
    for (int round = 0; round < options_.rounds; ++round) {
      const Uuid release = publish("release", true);
      roll_back("rollback to a release", before, {});
      roll_back("rollback of that rollback", release, {});
      roll_back("rollback by filter", {}, "run = 'R" + std::to_string(releases_) + "'");
      before = publish("release", true);
    }
    for (const auto& [what, seconds] : commits_) bound(what + ", committed", seconds, kCommitSeconds);
    for (const auto& [what, seconds] : served_) bound(what + ", served by all shards", seconds, kServedSeconds);
  }

 private:
  using Clocked = std::chrono::steady_clock::time_point;

  Uuid publish(const std::string& what, bool counts) {
    const std::vector<wire::VersionRecord> versions = upload();
    wire::PublishRequest request;
    request.idem = uuids_.next();
    request.tenant = "acme";
    request.model = "sales";
    request.tag = "production";
    request.release = uuids_.next();
    request.spec_json = spec_.json();
    request.fields = {{"age", model::FieldType::number}};
    std::vector<std::string> bodies;
    for (std::size_t at = 0; at < versions.size(); at += 4096) {
      const auto end = std::min(versions.size(), at + 4096);
      bodies.push_back(wire::encode_array(std::vector<wire::VersionRecord>(
          versions.begin() + static_cast<std::ptrdiff_t>(at), versions.begin() + static_cast<std::ptrdiff_t>(end))));
    }
    const auto start = std::chrono::steady_clock::now();
    const auto made = must(registry_->call(request, std::move(bodies), kTimeoutUs));
    take(what, start, made, counts);
    return request.release;
  }

  /// Versions of all nodes, their artefacts uploaded.
  std::vector<wire::VersionRecord> upload() {
    const std::string run = "R" + std::to_string(++releases_);
    std::vector<wire::VersionRecord> versions(options_.nodes);
    wire::UploadRequest request;
    request.tenant = "acme";
    std::vector<std::string> bodies;
    std::size_t bytes = 0;
    const auto send = [&] {
      if (bodies.empty()) return;
      must(registry_->call(request, std::exchange(bodies, {}), kTimeoutUs));
      request.artefacts.clear();
      bytes = 0;
    };
    for (std::size_t node = 0; node < versions.size(); ++node) {
      // Counted up to where floats are still exact.
      std::string artefact = artefacts_.with_bias(static_cast<float>(made_++ % (1u << 24)));
      wire::VersionRecord& version = versions[node];
      version.version = uuids_.next();
      version.partition = partition_of(node);
      version.artefact = blake2b_256(artefact);
      version.rows = 1000;
      version.metrics_json = json{{"rmse", static_cast<double>(node % 997)}, {"mae", 1.5}, {"rows", 200}}.dump();
      version.lineage_json = json{{"run", run}, {"data", {{"fingerprint", "1d2e"}}}}.dump();
      bytes += artefact.size();
      request.artefacts.push_back(version.artefact);
      bodies.push_back(std::move(artefact));
      if (bytes >= kMessageBytes) send();
    }
    send();
    return versions;
  }

  void roll_back(const std::string& what, const Uuid& to, const std::string& where) {
    wire::RollbackRequest request;
    request.idem = uuids_.next();
    request.tenant = "acme";
    request.model = "sales";
    request.tag = "production";
    request.release = uuids_.next();
    request.to.release = to;
    request.to.where = where;
    const auto start = std::chrono::steady_clock::now();
    take(what, start, must(registry_->call(request, {}, kTimeoutUs)), true);
  }

  /// The commit is made: waits until it is served. Both count from `start`.
  void take(const std::string& what, Clocked start, const wire::ReleaseReply& made, bool counts) {
    const double committed = seconds_since(start);
    const auto served = must(registry_->call(wire::WaitRequest{made.epoch, kTimeoutUs}));
    const double all = seconds_since(start);
    if (!served.served || !served.failed.empty() || made.moved != options_.nodes) failed = true;
    report(what, {{"moved", made.moved},
                  {"committed_seconds", committed},
                  {"served_seconds", all},
                  {"served", served.served},
                  {"failed", served.failed.size()}});
    if (!counts) return;
    commits_[what].push_back(committed);
    served_[what].push_back(all);
  }

  void bound(const std::string& what, std::vector<double> seconds, double most) {
    std::ranges::sort(seconds);
    const double median = seconds[seconds.size() / 2];
    report(what, {{"median_seconds", median},
                  {"least", seconds.front()},
                  {"most", seconds.back()},
                  {"runs", seconds.size()},
                  {"bound", most}});
    if (options_.check && median > most) failed = true;
  }

  const Options& options_;
  std::unique_ptr<client::RegistryClient> registry_;
  UuidSource uuids_;
  SmallArtefacts artefacts_;
  model::Spec spec_;
  int releases_ = 0;
  std::uint32_t made_ = 0;
  std::map<std::string, std::vector<double>> commits_, served_;
};

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) try {
  espalier::Options options;
  CLI::App app("Measures releases of very many nodes on a running cluster.");
  app.add_option("--registry", options.registry, "The registry's endpoint")->required();
  app.add_option("--nodes", options.nodes, "Nodes that a release moves")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  app.add_option("--rounds", options.rounds, "How often; 0: only the first release")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  app.add_flag("--check", options.check, "Fail where a bound does not hold");
  CLI11_PARSE(app, argc, argv);
  espalier::Bench(options).run();
  return espalier::failed ? 1 : 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "espalier-release-scale: %s\n", error.what());
  return 1;
}
