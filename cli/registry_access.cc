#include "cli/registry_access.h"

#include <unistd.h>

#include <charconv>

#include "common/clock.h"
#include "common/core_files.h"
#include "common/key_file.h"
#include "common/utc.h"

namespace espalier::cli {

Result<std::shared_ptr<const KeyPair>> own_key(const Shared& shared) {
  std::string path = shared.key;
  if (path.empty() && !shared.cluster.empty()) {
    // What `espalier up` made for whoever may read it.
    path = shared.cluster + "/keys/admin.key";
    if (::access(path.c_str(), R_OK) != 0) path.clear();
  }
  if (path.empty()) return std::shared_ptr<const KeyPair>();
  forbid_core_files();
  ASSIGN_OR_RETURN(const KeyFile file, read_key_file(path));
  return file.pair;
}

bool may_be_insecure(const Shared& shared, const ClusterFile& cluster) { return shared.insecure || cluster.insecure; }

Result<std::unique_ptr<client::Client>> connect_router(const Shared& shared) {
  ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(shared.cluster));
  client::Client::Options options;
  ASSIGN_OR_RETURN(options.key, own_key(shared));
  options.insecure = may_be_insecure(shared, cluster);
  return client::Client::connect(cluster.router, options);
}

Result<std::unique_ptr<client::RegistryClient>> connect_registry(const Shared& shared) {
  ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(shared.cluster));
  ASSIGN_OR_RETURN(auto key, own_key(shared));
  return client::RegistryClient::connect(cluster.registry, std::move(key), may_be_insecure(shared, cluster));
}

Result<AsOf> parse_as_of(const std::string& text) {
  AsOf as_of;
  if (text.empty()) return as_of;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), as_of.epoch);
  if (failure == std::errc() && end == text.data() + text.size() && as_of.epoch > 0) return as_of;
  const auto time = parse_utc(text);
  if (!time || *time == 0) {
    return invalid_argument("--as-of: an epoch, or a time in UTC such as \"2026-11-17 14:03\", got '" + text + "'");
  }
  return AsOf{0, *time};
}

Result<ModelThen> model_then(client::RegistryClient& registry, const std::string& tenant, const std::string& model,
                             const AsOf& as_of) {
  wire::ModelsRequest request;
  request.tenant = tenant;
  request.model = model;
  request.epoch = as_of.epoch;
  request.time_us = as_of.time_us;
  ASSIGN_OR_RETURN(wire::ModelsReply reply, registry.call(request));
  if (reply.models.empty()) return not_found("no model " + tenant + "/" + model);
  return ModelThen{std::move(reply.models.front()), {reply.epoch, 0}};
}

Result<std::vector<wire::VersionRecord>> versions_under(client::RegistryClient& registry, const model::NodeName& node,
                                                        const AsOf& as_of) {
  wire::VersionsRequest request;
  request.epoch = as_of.epoch;
  request.time_us = as_of.time_us;
  request.tenant = node.tenant;
  request.model = node.model;
  request.under = node.partition.values();
  std::vector<wire::VersionRecord> versions;
  do {
    ASSIGN_OR_RETURN(wire::VersionsReply reply, registry.call(request));
    std::move(reply.versions.begin(), reply.versions.end(), std::back_inserter(versions));
    request.cursor = std::move(reply.cursor);
  } while (!request.cursor.empty());
  return versions;
}

Result<std::vector<wire::TagEntry>> entries_under(client::RegistryClient& registry, const model::NodeName& node,
                                                  const std::string& tag, const AsOf& as_of) {
  wire::TagEntriesRequest request;
  request.epoch = as_of.epoch;
  request.time_us = as_of.time_us;
  request.tenant = node.tenant;
  request.model = node.model;
  request.tag = tag;
  request.under = node.partition.values();
  std::vector<wire::TagEntry> entries;
  do {
    ASSIGN_OR_RETURN(wire::EntriesReply reply, registry.call(request));
    std::move(reply.entries.begin(), reply.entries.end(), std::back_inserter(entries));
    request.cursor = std::move(reply.cursor);
  } while (!request.cursor.empty());
  return entries;
}

Result<std::vector<wire::ReleaseRecord>> releases_of(client::RegistryClient& registry, const std::string& tenant,
                                                     const std::string& model, const AsOf& as_of) {
  wire::ReleasesRequest request;
  request.epoch = as_of.epoch;
  request.time_us = as_of.time_us;
  request.tenant = tenant;
  request.model = model;
  std::vector<wire::ReleaseRecord> releases;
  do {
    ASSIGN_OR_RETURN(wire::ReleasesReply reply, registry.call(request));
    std::move(reply.releases.begin(), reply.releases.end(), std::back_inserter(releases));
    request.cursor = std::move(reply.cursor);
  } while (!request.cursor.empty());
  return releases;
}

Uuid new_uuid() { return UuidSource(Clock::system()).next(); }

}  // namespace espalier::cli
