#include "registry/releases.h"

#include "common/bytes.h"
#include "registry/keys.h"

namespace espalier::registry {

Result<wire::ReleaseRecord> Releases::get(const std::string& tenant, const std::string& model, const Uuid& release) {
  ASSIGN_OR_RETURN(const auto key, store_.get(keys::release_by_uuid(tenant, release)));
  if (!key || !key->starts_with(keys::releases_prefix(tenant, model))) return not_found("release " + release.text());
  ASSIGN_OR_RETURN(const auto value, store_.get(*key));
  if (!value) return corrupt("the index of releases names a release that is not there: " + release.text());
  auto record = wire::decode<wire::ReleaseRecord>(*value);
  if (!record.ok()) return bad_record(*key, record.status());
  return record;
}

Status Releases::check_free(const std::string& tenant, const Uuid& release) {
  if (release.is_nil()) return invalid_argument("release: a UUID that is not nil is needed");
  ASSIGN_OR_RETURN(const auto key, store_.get(keys::release_by_uuid(tenant, release)));
  if (key) return Status(Code::already_exists, "release " + release.text());
  return {};
}

// The index of releases by tag names the commit; the commit's record of that tag is the release.
Result<std::optional<wire::ReleaseRecord>> Releases::last_of(const std::string& tenant, const std::string& model,
                                                             const std::string& tag, std::uint64_t epoch) {
  const std::string commits =
      keys::index_attribute(keys::index_prefix(tenant, model, keys::Index::attributes), "tag", tag);
  std::string behind = commits;
  append_u64_be(behind, epoch);
  behind.push_back('\0');
  const std::string releases = keys::releases_prefix(tenant, model);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  ASSIGN_OR_RETURN(const auto record, store_.scan());
  for (cursor->seek_before(behind); cursor->valid() && cursor->key().starts_with(commits); cursor->previous()) {
    ASSIGN_OR_RETURN(const std::uint64_t commit, keys::ascending_epoch(cursor->key()));
    std::string of_commit = releases;
    append_u64_be(of_commit, ~commit);
    for (record->seek(of_commit); record->valid() && record->key().starts_with(of_commit); record->next()) {
      auto release = wire::decode<wire::ReleaseRecord>(record->value());
      if (!release.ok()) return bad_record(record->key(), release.status());
      if (release->tag == tag) return std::optional<wire::ReleaseRecord>(*std::move(release));
    }
    RETURN_IF_ERROR(record->status());
  }
  RETURN_IF_ERROR(cursor->status());
  return std::optional<wire::ReleaseRecord>();
}

Status Releases::check_last(const ExpectedRelease& expected, std::uint64_t epoch) {
  if (expected.release.is_nil() && !expected.none) return {};
  if (!expected.release.is_nil() && expected.none) {
    return invalid_argument("expected_none: not together with expected_release");
  }
  ASSIGN_OR_RETURN(const auto last, last_of(expected.tenant, expected.model, expected.tag, epoch));
  const Uuid is = last ? last->release : Uuid();
  if (is == expected.release) return {};
  const auto said = [](const Uuid& release) { return release.is_nil() ? std::string("none") : release.text(); };
  return failed_precondition("expected_release: the last release of tag " + expected.tag + " is " + said(is) +
                             ", expected was " + said(expected.release) + "; nothing was changed");
}

Result<wire::ReleasesReply> Releases::page(const wire::ReleasesRequest& request, const PageCursor& page,
                                           std::uint64_t epoch) {
  wire::ReleasesReply reply;
  if (!request.release.is_nil()) {
    ASSIGN_OR_RETURN(auto record, get(request.tenant, request.model, request.release));
    if (record.epoch > epoch)
      return not_found("release " + request.release.text() + " as of epoch " + std::to_string(epoch));
    reply.releases.push_back(std::move(record));
    return reply;
  }
  const std::string prefix = keys::releases_prefix(request.tenant, request.model);
  std::string start = prefix;
  append_u64_be(start, ~epoch);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  std::string last;
  std::size_t bytes = 0;
  cursor->seek(page.position.empty() ? start : prefix + page.position + '\0');
  for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    if (reply.releases.size() == page_size(request.limit) || bytes >= kMaxPageBytes) {
      reply.cursor = PageCursor{epoch, last}.text();
      break;
    }
    auto record = wire::decode<wire::ReleaseRecord>(cursor->value());
    if (!record.ok()) return bad_record(cursor->key(), record.status());
    reply.releases.push_back(*std::move(record));
    bytes += cursor->value().size();
    last = cursor->key().substr(prefix.size());
  }
  RETURN_IF_ERROR(cursor->status());
  return reply;
}

void Releases::put(Batch& batch, const std::string& tenant, const std::string& model,
                   const wire::ReleaseRecord& record) {
  const std::string key = keys::release(tenant, model, batch.epoch(), record.release);
  batch.put(key, wire::encode(record));
  batch.put(keys::release_by_uuid(tenant, record.release), key);
}

}  // namespace espalier::registry
