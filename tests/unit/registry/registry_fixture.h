// A registry in a folder of its own, and short ways of publishing to it.
//
// Thread safety: one thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "registry/registry.h"
#include "tests/support/faulty_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/registry/faulty_env.h"

namespace espalier::registry {

using Path = std::vector<std::string>;

/// UUIDs and idems by number, different for each `kind`.
Uuid uuid(char kind, std::uint32_t number);

/// An artefact of a regression that reads the fields given, each different `bias` another one.
std::string small_artefact(float bias, const std::vector<model::Field>& fields = {{"age", model::FieldType::number}});
/// The same, whose base is `base`.
std::string artefact_on(const Hash256& base, float bias);
/// An artefact of a binary task that reads "age".
std::string binary_artefact();

/// A spec as JSON.
std::string spec_json(const std::string& model, const Path& levels, model::Task task = model::Task::regression);

/// A request about acme/total.
template <class Request>
Request of_total() {
  Request request;
  request.tenant = "acme";
  request.model = "total";
  return request;
}

struct Node {
  Path partition;
  std::uint32_t version;  ///< number of its UUID
  float bias = 0;         ///< which artefact; uploaded before
};

/// What the parts of a publish are, to be changed before it is sent.
struct Proposal {
  wire::PublishRequest request;
  std::vector<wire::VersionRecord> versions;
};

class RegistryFixture : public ::testing::Test {
 protected:
  RegistryFixture() { open(); }
  void open();

  /// Its hash.
  Hash256 upload(const std::string& bytes, const std::string& tenant = "acme");
  /// A release of acme/total with levels country/state, artefacts uploaded.
  Proposal propose(std::uint32_t release, const std::vector<Node>& nodes, const std::string& tag = "production");
  Result<wire::ReleaseReply> publish(const Proposal& proposal);
  Result<wire::ReleaseReply> publish(std::uint32_t release, const std::vector<Node>& nodes,
                                     const std::string& tag = "production") {
    return publish(propose(release, nodes, tag));
  }
  Result<wire::ReleaseReply> move(std::uint32_t release, const std::vector<wire::TagEntry>& entries,
                                  const std::string& tag = "production");
  Result<wire::ReleaseReply> roll_back(std::uint32_t release, std::uint32_t from,
                                       const std::string& tag = "production");
  Result<wire::EpochReply> join(const std::string& shard, std::uint32_t idem);

  /// "/=1 usa=2 usa/ca=removed": what a tag says as of an epoch (0: now), read in pages of `page`.
  std::string state(std::uint64_t epoch = 0, const std::string& tag = "production", std::uint32_t page = 4096,
                    const Path& under = {});
  /// The same for what a change moved.
  std::string moved(std::uint64_t epoch, std::uint32_t page = 4096);

  testing::TempDir folder_;
  testing::FaultyFiles files_;
  ManualClock clock_{1'700'000'000'000'000};
  FaultyEnv env_;
  std::unique_ptr<Registry> registry_;
  const Principal local_ = Principal::local();
};

}  // namespace espalier::registry
