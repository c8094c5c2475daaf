#include "cli/cluster/cluster_keys.h"

#include <algorithm>

#include "cli/registry_access.h"
#include "common/clock.h"
#include "common/core_files.h"
#include "common/key_file.h"
#include "wire/keyring.h"

namespace espalier::cli {
namespace {

Result<KeyFile> read_or_make(const std::string& path, const std::string& name) {
  auto file = read_key_file(path);
  if (file.status().code() == Code::not_found) {
    RETURN_IF_ERROR(write_key_file(path, {name, KeyPair::make()}));
    file = read_key_file(path);
  }
  if (file.ok() && file->name != name) return failed_precondition(path + ": is key " + file->name + ", not " + name);
  return file;
}

}  // namespace

std::string key_path(const std::string& folder, const std::string& name) { return folder + "/" + name + ".key"; }

Status make_cluster_keys(const std::string& folder, const std::vector<ClusterKey>& keys,
                         client::RegistryClient& registry) {
  forbid_core_files();
  ASSIGN_OR_RETURN(const wire::KeysReply known, registry.call(wire::KeysRequest{}));
  const std::int64_t now_us = Clock::system().wall_us();
  for (const ClusterKey& key : keys) {
    const std::string path = key_path(folder, key.name);
    ASSIGN_OR_RETURN(const KeyFile file, read_or_make(path, key.name));
    const PublicKey& half = file.pair->public_key();
    const auto record = std::ranges::find(known.keys, key.name, &wire::KeyRecord::name);
    if (record == known.keys.end()) {
      const bool is_admin = key.role == "admin";
      RETURN_IF_ERROR(
          registry.call(wire::KeyCreateRequest{new_uuid(), key.name, {key.role}, {}, is_admin, 0, half}).status());
      continue;
    }
    const bool counts = std::ranges::any_of(record->halves, [&](const wire::KeyHalf& each) {
      return each.key == half && wire::is_valid(*record, each, now_us);
    });
    if (!counts) {
      return failed_precondition(path + ": this secret of key " + key.name +
                                 " doesn't count; `espalier keys list` says why");
    }
  }
  return {};
}

}  // namespace espalier::cli
