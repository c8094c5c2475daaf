// What the commands ask the registry for, whole lists at a time.
//
// Thread safety: one thread. Errors: the registry's own; failed_precondition where no cluster runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "client/registry_client.h"
#include "common/status.h"
#include "wire/messages.h"

namespace espalier::cli {

/// A connection to the registry of the cluster that the command line names.
Result<std::unique_ptr<client::RegistryClient>> connect_registry(const Shared& shared);

/// not_found where the model isn't there.
Result<wire::ModelRecord> model_record(client::RegistryClient& registry, const std::string& tenant,
                                       const std::string& model);
/// All versions at and below a node.
Result<std::vector<wire::VersionRecord>> versions_under(client::RegistryClient& registry, const model::NodeName& node);
/// What the tag says at and below a node, now.
Result<std::vector<wire::TagEntry>> entries_under(client::RegistryClient& registry, const model::NodeName& node,
                                                  const std::string& tag);
/// All releases, newest first.
Result<std::vector<wire::ReleaseRecord>> releases_of(client::RegistryClient& registry, const std::string& tenant,
                                                     const std::string& model);

/// A new UUID for a change that a command makes.
Uuid new_uuid();

}  // namespace espalier::cli
