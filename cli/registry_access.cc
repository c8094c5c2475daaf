#include "cli/registry_access.h"

#include "cli/cluster_folder.h"
#include "common/clock.h"

namespace espalier::cli {

Result<std::unique_ptr<client::RegistryClient>> connect_registry(const Shared& shared) {
  ASSIGN_OR_RETURN(const ClusterFile cluster, read_cluster(shared.cluster));
  return client::RegistryClient::connect(cluster.registry);
}

Result<wire::ModelRecord> model_record(client::RegistryClient& registry, const std::string& tenant,
                                       const std::string& model) {
  wire::ModelsRequest request;
  request.tenant = tenant;
  request.model = model;
  ASSIGN_OR_RETURN(wire::ModelsReply reply, registry.call(request));
  if (reply.models.empty()) return not_found("no model " + tenant + "/" + model);
  return std::move(reply.models.front());
}

Result<std::vector<wire::VersionRecord>> versions_under(client::RegistryClient& registry, const model::NodeName& node) {
  wire::VersionsRequest request;
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
                                                  const std::string& tag) {
  wire::TagEntriesRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  request.tag = tag;
  request.under = node.partition.values();
  std::vector<wire::TagEntry> entries;
  do {
    ASSIGN_OR_RETURN(wire::EntriesReply reply, registry.call(request));
    std::move(reply.entries.begin(), reply.entries.end(), std::back_inserter(entries));
    request.cursor = std::move(reply.cursor);
    request.epoch = reply.epoch;  // all pages as of one epoch
  } while (!request.cursor.empty());
  return entries;
}

Result<std::vector<wire::ReleaseRecord>> releases_of(client::RegistryClient& registry, const std::string& tenant,
                                                     const std::string& model) {
  wire::ReleasesRequest request;
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
