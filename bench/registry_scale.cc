// A registry with many versions: fills a folder through the registry's own code, then measures what it is like to live
// with. One JSON line for each measurement; exit code 1 where a listing lacks a version or has it twice, and, with
// --check, where a bound does not hold.
//
//   espalier-registry-scale --dir FOLDER [--versions 1000000] [--nodes 250000] [--release 10000] [--check]
//
// Simulates: one tenant, two models with a tree of three levels, every node with the same number of versions, each with
// three metrics, lineage and parent; all versions share one artefact (the artefacts' bytes are the packs' matter).
// Doesn't: several tenants, tags beside production, clients over sockets.
// A folder that is filled already is measured as it is.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "bench/small_artefacts.h"
#include "model/spec.h"
#include "registry/registry.h"

namespace espalier {
namespace {

using nlohmann::json;
using registry::Registry;

struct Options {
  std::string folder;
  std::size_t versions = 1'000'000, nodes = 250'000, release = 10'000;
  bool check = false;
};

constexpr double kOpenSeconds = 5, kFirstPageSeconds = 0.020, kResidentBytes = 1e9;
bool failed = false;

void report(const std::string& what, json measured) {
  measured["measured"] = what;
  std::printf("%s\n", measured.dump().c_str());
  std::fflush(stdout);
}

/// Reports a number that has a bound.
void report_bounded(const std::string& what, double value, double bound, const Options& options) {
  report(what, {{"value", value}, {"bound", bound}});
  if (options.check && value > bound) failed = true;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Resident memory of this process in bytes, now.
double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0, resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "espalier-registry-scale: %s\n", result.status().text().c_str());
    std::exit(1);
  }
  return *std::move(result);
}

/// Publishes versions of nodes in turn.
class Filler {
 public:
  Filler(Registry& registry, const Options& options)
      : registry_(registry), options_(options), uuids_(Clock::system()), bytes_(SmallArtefacts().with_bias(1)) {
    hash_ = blake2b_256(bytes_);
    must(registry_.upload(principal_, {"acme", {hash_}}, {bytes_}));
    spec_.task = model::Task::regression;
    spec_.target.column = "y";
    spec_.levels = {"country", "state", "town"};
    spec_.features = {{"age", "standardise(age)"}};
  }

  /// One release of `count` versions; seconds that it took.
  double publish(std::size_t count, const std::string& model, bool replace = false) {
    wire::PublishRequest request;
    request.idem = uuids_.next();
    request.tenant = "acme";
    request.model = model;
    request.tag = "production";
    request.release = uuids_.next();
    spec_.model = model;
    request.spec_json = spec_.json();
    request.fields = {{"age", model::FieldType::number}};
    request.run_json = json{{"run", "R" + std::to_string(++releases_)}}.dump();
    request.replace = replace;
    std::vector<wire::VersionRecord> versions(count);
    for (auto& version : versions) version = make();
    const std::string body = wire::encode_array(versions);
    const auto start = std::chrono::steady_clock::now();
    must(registry_.publish(principal_, request, {body}));
    return seconds_since(start);
  }

 private:
  wire::VersionRecord make() {
    const std::size_t node = made_ % options_.nodes;
    const std::size_t towns = 50, states = 50;
    wire::VersionRecord version;
    version.version = uuids_.next();
    version.partition = {"country-" + std::to_string(node / (towns * states)),
                         "state-" + std::to_string(node / towns % states), "town-" + std::to_string(node % towns)};
    version.artefact = hash_;
    version.rows = 50 + made_ * 7919 % 100'000;
    // Every value of a wide range comes about as often.
    const double rmse = static_cast<double>(made_ * 2'654'435'761 % 4'294'967'296) / 4'294'967'296 * 100;
    version.metrics_json = json{{"rmse", rmse}, {"mae", rmse * 0.7}, {"rows", version.rows / 5}}.dump();
    version.lineage_json = R"({"data":{"file":"sales.csv","fingerprint":"0123456789abcdef"},"run":"R)" +
                           std::to_string(releases_) + R"(","seconds":{"fit":0.1}})";
    ++made_;
    return version;
  }

  Registry& registry_;
  const Options& options_;
  const Principal principal_ = Principal::local();
  UuidSource uuids_;
  const std::string bytes_;
  Hash256 hash_;
  model::Spec spec_;
  std::size_t made_ = 0;
  std::size_t releases_ = 0;
};

void fill(const Options& options) {
  const auto registry = must(Registry::open(Files::system(), Clock::system(), options.folder));
  wire::SearchRequest any{"versions", {}, {}, {}, {}, 0, 0, {}, 1};
  if (!must(registry->search(Principal::local(), any)).rows.empty()) return;
  Filler filler(*registry, options);
  const auto start = std::chrono::steady_clock::now();
  double slowest = 0;
  for (std::size_t made = 0; made < options.versions; made += options.release) {
    const std::size_t count = std::min(options.release, options.versions - made);
    // The smaller model has a tenth.
    slowest = std::max(slowest, filler.publish(count, made / options.release % 10 == 9 ? "visits" : "sales"));
  }
  report("fill", {{"versions", options.versions},
                  {"seconds", seconds_since(start)},
                  {"slowest_release_seconds", slowest},
                  {"versions_in_a_release", options.release}});
}

/// First pages of searches as people ask them.
void measure_first_pages(Registry& registry, const Options& options) {
  struct Search {
    const char* model;
    const char* where;
    const char* order;
  };
  for (const Search& search : std::initializer_list<Search>{
           {"sales", "metrics.rmse < 1", ""},
           {"sales", "metrics.rmse > 42 and metrics.rmse < 42.01", ""},
           {"sales", "", "metrics.rmse"},
           {"", "metrics.rmse > 10", "metrics.rmse desc"},
           {"", "", "created desc"},
           {"sales", "partition under 'country-3/state-7'", ""},
           {"sales", "partition under 'country-3/state-7'", "metrics.rmse"},
           {"", "run = 'R5'", ""},
           {"sales", "tag = 'production' and partition under 'country-1'", ""},
           {"sales", "metrics.rmse < 85 and principal = 'local' and created > '2020-01-01'", "metrics.rmse desc"},
       }) {
    wire::SearchRequest request;
    request.kind = "versions";
    request.tenant = "acme";
    request.model = search.model;
    request.where = search.where;
    request.order = search.order;
    request.limit = 100;
    std::vector<double> seconds;
    std::size_t rows = 0;
    for (int i = 0; i < 5; ++i) {
      const auto start = std::chrono::steady_clock::now();
      rows = must(registry.search(Principal::local(), request)).rows.size();
      seconds.push_back(seconds_since(start));
    }
    // The first is the one that finds nothing in memory.
    const double first = seconds.front();
    std::ranges::sort(seconds);
    report("first page", {{"model", search.model},
                          {"where", search.where},
                          {"order", search.order},
                          {"rows", rows},
                          {"first_seconds", first},
                          {"median_seconds", seconds[2]}});
    report_bounded("first page, the first time", first, kFirstPageSeconds, options);
  }
}

/// All pages together give each of the `versions` that there are exactly once, with a release between any two pages.
/// How many there are then.
std::size_t measure_listing(Registry& registry, const Options& options, std::size_t versions, const char* order) {
  wire::SearchRequest request;
  request.kind = "versions";
  request.order = order;
  request.limit = 4096;
  Filler writer(registry, options);
  std::unordered_set<Uuid> seen;
  std::size_t pages = 0, releases = 0;
  double longest = 0, reading = 0;
  do {
    const auto start = std::chrono::steady_clock::now();
    const auto page = must(registry.search(Principal::local(), request));
    const double seconds = seconds_since(start);
    longest = std::max(longest, seconds);
    reading += seconds;
    ++pages;
    for (const auto& row : page.rows) {
      if (!seen.insert(must(wire::decode<wire::VersionRecord>(row.record)).version).second) failed = true;
    }
    request.cursor = page.cursor;
    writer.publish(8, releases++ % 2 == 0 ? "sales" : "visits");
  } while (!request.cursor.empty());
  if (seen.size() != versions) failed = true;
  report("full listing", {{"order", order},
                          {"expected", versions},
                          {"versions", seen.size()},
                          {"pages", pages},
                          {"releases_meanwhile", releases},
                          {"seconds_of_reading", reading},
                          {"longest_page_seconds", longest}});
  return versions + 8 * releases;
}

std::size_t count_versions(Registry& registry) {
  wire::SearchRequest request;
  request.kind = "versions";
  request.limit = 4096;
  std::size_t count = 0;
  do {
    const auto page = must(registry.search(Principal::local(), request));
    count += page.rows.size();
    request.cursor = page.cursor;
  } while (!request.cursor.empty());
  return count;
}

void run(const Options& options) {
  fill(options);
  const auto start = std::chrono::steady_clock::now();
  const auto registry = must(Registry::open(Files::system(), Clock::system(), options.folder));
  report_bounded("open", seconds_since(start), kOpenSeconds, options);
  report("resident after open", {{"bytes", resident_bytes()}});
  measure_first_pages(*registry, options);
  report_bounded("resident after first pages", resident_bytes(), kResidentBytes, options);
  std::size_t versions = count_versions(*registry);
  for (const char* order : {"", "created desc", "metrics.rmse"}) {
    versions = measure_listing(*registry, options, versions, order);
  }
  if (count_versions(*registry) != versions) failed = true;
  report_bounded("resident after listings", resident_bytes(), kResidentBytes, options);
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) try {
  espalier::Options options;
  CLI::App app("Fills a registry and measures opening, searching and listing it.");
  app.add_option("--dir", options.folder, "Folder of the registry; kept")->required();
  app.add_option("--versions", options.versions, "Versions")->capture_default_str();
  app.add_option("--nodes", options.nodes, "Nodes that have them")->capture_default_str();
  app.add_option("--release", options.release, "Versions in a release")->capture_default_str();
  app.add_flag("--check", options.check, "Fail where a bound does not hold");
  CLI11_PARSE(app, argc, argv);
  if (options.nodes == 0 || options.release == 0) return 2;
  options.nodes = std::min(options.nodes, std::max<std::size_t>(options.versions, 1));
  options.release = std::min(options.release, options.nodes);
  espalier::run(options);
  return espalier::failed ? 1 : 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "espalier-registry-scale: %s\n", error.what());
  return 1;
}
