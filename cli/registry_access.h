// What the commands ask the registry for, whole lists at a time.
//
// Thread safety: one thread. Errors: the registry's own; failed_precondition where no cluster runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/cluster_folder.h"
#include "cli/commands.h"
#include "client/client.h"
#include "client/registry_client.h"
#include "common/curve_key.h"
#include "common/status.h"
#include "wire/messages.h"

namespace espalier::cli {

/// The key that the command line names, else that of the cluster's folder; null where there is none.
Result<std::shared_ptr<const KeyPair>> own_key(const Shared& shared);
/// Whether the command line or the cluster's folder says that connections needn't be secured.
bool may_be_insecure(const Shared& shared, const ClusterFile& cluster);
/// A connection to the routers of the cluster that the command line names.
Result<std::unique_ptr<client::Client>> connect_router(const Shared& shared);

/// A connection to the registry of the cluster that the command line names.
Result<std::unique_ptr<client::RegistryClient>> connect_registry(const Shared& shared);

/// As of when a command reads; both 0: now.
struct AsOf {
  std::uint64_t epoch = 0;
  std::int64_t time_us = 0;
};
/// From an epoch, or a time in UTC such as "2026-11-17 14:03"; empty text: now. invalid_argument: anything else.
Result<AsOf> parse_as_of(const std::string& text);

/// A model, and the epoch that it was read as of: what else is read as of that belongs to the same state.
struct ModelThen {
  wire::ModelRecord record;
  AsOf as_of;
};
/// not_found where the model isn't there, or wasn't yet.
Result<ModelThen> model_then(client::RegistryClient& registry, const std::string& tenant, const std::string& model,
                             const AsOf& as_of);
/// All versions at and below a node.
Result<std::vector<wire::VersionRecord>> versions_under(client::RegistryClient& registry, const model::NodeName& node,
                                                        const AsOf& as_of = {});
/// What the tag says at and below a node.
Result<std::vector<wire::TagEntry>> entries_under(client::RegistryClient& registry, const model::NodeName& node,
                                                  const std::string& tag, const AsOf& as_of = {});
/// All releases, newest first.
Result<std::vector<wire::ReleaseRecord>> releases_of(client::RegistryClient& registry, const std::string& tenant,
                                                     const std::string& model, const AsOf& as_of = {});

/// A new UUID for a change that a command makes.
Uuid new_uuid();

}  // namespace espalier::cli
