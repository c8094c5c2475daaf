// Takes a trained tree to the registry: its artefacts, then all its versions as one release.
//
// Thread safety: belongs to one thread. Ownership: borrows the client.
// Errors: the registry's; nothing is released unless publish() is ok (artefacts that were uploaded stay, unnamed).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "client/registry_client.h"
#include "common/status.h"
#include "common/uuid.h"
#include "model/properties.h"
#include "model/spec.h"
#include "trainer/train.h"

namespace espalier::trainer {

struct Published {
  Uuid release;
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;
  std::uint64_t artefact_bytes = 0;
  double upload_seconds = 0;
};

/// What the records say beyond the tree.
struct PublishAs {
  std::string tag;
  std::string run_json;      ///< where the release comes from
  std::string lineage_json;  ///< where each version comes from
  std::string description;   ///< of each version; properties likewise
  model::Properties properties;
  Uuid expected_release;  ///< nil, or what must be the tag's last release: failed_precondition otherwise
};

class Publisher {
 public:
  Publisher(client::RegistryClient& registry, UuidSource& uuids) : registry_(registry), uuids_(uuids) {}

  Result<Published> publish(const model::Spec& spec, const TrainedTree& tree, const PublishAs& as);

  /// Until every shard has acknowledged `epoch`, the last one published; unavailable names those that have not after
  /// `wait_us`, corrupt the nodes of what was published here that are not served.
  Status wait_until_served(std::uint64_t epoch, std::int64_t wait_us);

 private:
  Status upload(const TrainedTree& tree);
  Status await_one(std::size_t& unanswered);

  client::RegistryClient& registry_;
  UuidSource& uuids_;
  std::unordered_set<Uuid> versions_;  ///< published
};

}  // namespace espalier::trainer
