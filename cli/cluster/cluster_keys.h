// The keys of a cluster on this machine: a file for each process that needs one, and one for whoever runs it, made
// where they are missing, and known to the registry (docs/keys.md).
//
// Thread safety: pure functions over the file system and the registry. Errors name the file or the key.
#pragma once

#include <string>
#include <vector>

#include "client/registry_client.h"
#include "common/status.h"

namespace espalier::cli {

struct ClusterKey {
  std::string name, role;
};

/// folder/NAME.key for each; keys that the registry knows by name must have the file's half. failed_precondition: one
/// was revoked, or has another secret now.
Status make_cluster_keys(const std::string& folder, const std::vector<ClusterKey>& keys,
                         client::RegistryClient& registry);

std::string key_path(const std::string& folder, const std::string& name);

}  // namespace espalier::cli
