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

Result<wire::ReleasesReply> Releases::page(const wire::ReleasesRequest& request, const PageCursor& page,
                                           std::uint64_t epoch) {
  wire::ReleasesReply reply;
  if (!request.release.is_nil()) {
    ASSIGN_OR_RETURN(auto record, get(request.tenant, request.model, request.release));
    reply.releases.push_back(std::move(record));
    return reply;
  }
  const std::string prefix = keys::releases_prefix(request.tenant, request.model);
  std::string start = prefix;
  append_u64_be(start, ~epoch);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  std::string last;
  cursor->seek(page.position.empty() ? start : prefix + page.position + '\0');
  for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    if (reply.releases.size() == page_size(request.limit)) {
      reply.cursor = PageCursor{epoch, last}.text();
      break;
    }
    auto record = wire::decode<wire::ReleaseRecord>(cursor->value());
    if (!record.ok()) return bad_record(cursor->key(), record.status());
    reply.releases.push_back(*std::move(record));
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
