#include "registry/search/rebuild.h"

#include <deque>
#include <map>
#include <vector>

#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry::search {
namespace {

/// What a commit made, as keys.
struct Made {
  std::vector<std::string> versions, releases;
};

Status collect(Store& store, const std::string& prefix, std::vector<std::string> Made::*kind,
               std::map<std::uint64_t, Made>& commits) {
  ASSIGN_OR_RETURN(const auto cursor, store.scan());
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::epoch_before_uuid(cursor->key()));
    (commits[epoch].*kind).emplace_back(cursor->key());
  }
  return cursor->status();
}

template <class Record>
Result<Record> read(Store& store, const std::string& key) {
  ASSIGN_OR_RETURN(const auto value, store.get(key));
  if (!value) return bad_record(key, not_found("it went while it was read"));
  auto record = wire::decode<Record>(*value);
  if (!record.ok()) return bad_record(key, record.status());
  return record;
}

}  // namespace

Status each_index_entry(Store& store, const std::string& tenant, const std::string& model,
                        const CommitIndex::Take& take) {
  const std::string versions = keys::versions_prefix(tenant, model);
  std::map<std::uint64_t, Made> commits;
  RETURN_IF_ERROR(collect(store, versions, &Made::versions, commits));
  RETURN_IF_ERROR(collect(store, keys::releases_prefix(tenant, model), &Made::releases, commits));
  for (const auto& [epoch, made] : commits) {
    CommitIndex index(tenant, model, epoch);
    std::deque<std::string> components;
    for (const std::string& key : made.releases) {
      ASSIGN_OR_RETURN(const auto release, read<wire::ReleaseRecord>(store, key));
      index.add(release);
    }
    for (const std::string& key : made.versions) {
      ASSIGN_OR_RETURN(const auto version, read<wire::VersionRecord>(store, key));
      ASSIGN_OR_RETURN(const keys::VersionKey parsed, keys::parse_version(key, versions.size()));
      index.add(components.emplace_back(parsed.components), version);
    }
    index.each_entry(take);
  }
  return {};
}

}  // namespace espalier::registry::search
