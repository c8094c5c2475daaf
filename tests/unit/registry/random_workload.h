// Random operations on a registry of a few tenants, models and tags.
//
// Thread safety: one thread.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {

class RandomWorkload : public RegistryFixture {
 protected:
  std::size_t below(std::size_t bound) { return random_() % bound; }
  template <class T>
  const T& one_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }

  void do_something() {
    clock_.advance(static_cast<std::int64_t>(below(50'000'000)));
    switch (below(8)) {
      case 0: return note("join", join("s" + std::to_string(below(3)), next_++).ok());
      case 1: return note("move", move_some());
      case 2: return note("roll_back", roll_back_some());
      default: return note("publish", publish_some());
    }
  }

  bool publish_some() {
    wire::PublishRequest request = some_model<wire::PublishRequest>();
    request.spec_json = spec_json(request.model, below(2) == 0 ? Path{"country", "state"} : Path{"country"});
    request.fields = {{"age", model::FieldType::number}};
    request.run_json = below(2) == 0 ? "" : R"({"run":"R)" + std::to_string(below(4)) + "\"}";
    request.replace = below(3) == 0;
    std::vector<wire::VersionRecord> versions;
    for (std::size_t i = below(8); i < 9; ++i) {
      wire::VersionRecord version;
      version.version = uuid('v', next_++);
      if (i > 0) version.partition = {one_of<std::string>({"br", "us", std::string("a\0b", 3)}) + std::to_string(i)};
      version.artefact = upload(small_artefact(static_cast<float>(below(6))), request.tenant);
      if (i > 1 && below(2) == 0) version.parent = versions.empty() ? Uuid() : versions.front().version;
      version.metrics_json = R"({"rmse":)" + std::to_string(below(12)) + R"(,"top-1":-0.5,"rows":3)";
      for (std::size_t metric = below(12); metric > 0; --metric) {
        version.metrics_json += ",\"m" + std::to_string(metric) + "\":" + std::to_string(below(5));
      }
      version.metrics_json += "}";
      version.lineage_json = below(3) == 0 ? "" : R"({"run":"R)" + std::to_string(below(4)) + "\"}";
      versions.push_back(std::move(version));
    }
    const std::string body = wire::encode_array(versions);
    if (!registry_->publish(local_, request, {body}).ok()) return false;
    const std::string name = request.tenant + "/" + request.model;
    for (const auto& version : versions) versions_[name].push_back(version);
    releases_[name].push_back(request.release);
    return true;
  }

  bool move_some() {
    wire::MoveRequest request = some_model<wire::MoveRequest>();
    std::map<Path, wire::TagEntry> entries;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto& versions = versions_[request.tenant + "/" + request.model];
      if (versions.empty()) return false;
      const auto& version = one_of(versions);
      wire::TagEntry entry;
      entry.partition = version.partition;
      entry.kind = static_cast<wire::EntryKind>(below(3));
      if (entry.kind == wire::EntryKind::version) entry.version = version.version;
      entries[entry.partition] = entry;
    }
    std::vector<wire::TagEntry> list;
    for (const auto& [path, entry] : entries) list.push_back(entry);
    const std::string body = wire::encode_array(list);
    if (!registry_->move(local_, request, {body}).ok()) return false;
    releases_[request.tenant + "/" + request.model].push_back(request.release);
    return true;
  }

  bool roll_back_some() {
    wire::MoveRequest request = some_model<wire::MoveRequest>();
    auto& releases = releases_[request.tenant + "/" + request.model];
    if (releases.empty()) return false;
    request.from_release = one_of(releases);
    if (!registry_->move(local_, request, {}).ok()) return false;
    releases.push_back(request.release);
    return true;
  }

  /// Begins the erasure of the tenant zeta, under whatever name; from now on that has another one.
  void erase_zeta() {
    const wire::EraseRequest request{uuid('i', next_++), zeta_, uuid('q', next_++), false};
    note("erase", registry_->erase(local_, request).ok());
    zeta_ = "zeta" + std::to_string(next_++);
  }
  void work(int slices) {
    for (; slices > 0 && registry_->next_work_us() >= 0; --slices) {
      clock_.advance(registry_->next_work_us());
      registry_->work();
    }
  }

  std::map<std::string, int> done_;  ///< how often each went well

 private:
  template <class Request>
  Request some_model() {
    Request request;
    request.idem = uuid('i', next_++);
    request.tenant = one_of<std::string>({"acme", zeta_});
    request.model = one_of<std::string>({"total", "other"});
    request.tag = one_of<std::string>({"production", "next"});
    request.release = uuid('r', next_++);
    return request;
  }
  void note(const std::string& what, bool well) { done_[what] += well; }

  std::mt19937 random_{20261121};
  std::uint32_t next_ = 1000;
  std::string zeta_ = "zeta";
  std::map<std::string, std::vector<wire::VersionRecord>> versions_;  ///< by TENANT/MODEL
  std::map<std::string, std::vector<Uuid>> releases_;
};

}  // namespace espalier::registry
