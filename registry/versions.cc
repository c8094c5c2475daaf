#include "registry/versions.h"

#include "registry/keys.h"

namespace espalier::registry {

Result<std::optional<wire::VersionRecord>> Versions::find(const std::string& tenant, const std::string& model,
                                                          const Uuid& version) {
  ASSIGN_OR_RETURN(const auto key, store_.get(keys::version_by_uuid(tenant, version)));
  if (!key || !key->starts_with(keys::versions_prefix(tenant, model))) return std::optional<wire::VersionRecord>();
  ASSIGN_OR_RETURN(const auto value, store_.get(*key));
  if (!value) return corrupt("the index of versions names a version that is not there: " + version.text());
  auto record = wire::decode<wire::VersionRecord>(*value);
  if (!record.ok()) return bad_record(*key, record.status());
  return std::optional<wire::VersionRecord>(*std::move(record));
}

Result<bool> Versions::is_taken(const std::string& tenant, const Uuid& version) {
  ASSIGN_OR_RETURN(const auto key, store_.get(keys::version_by_uuid(tenant, version)));
  return key.has_value();
}

Result<bool> Versions::is_any_taken(const std::string& tenant, const Uuid& least, const Uuid& greatest) {
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek(keys::version_by_uuid(tenant, least));
  RETURN_IF_ERROR(cursor->status());
  return cursor->valid() && cursor->key() <= std::string_view(keys::version_by_uuid(tenant, greatest));
}

Result<wire::VersionRecord> Versions::get(const std::string& tenant, const std::string& model, const Uuid& version) {
  ASSIGN_OR_RETURN(auto record, find(tenant, model, version));
  if (!record) return not_found("version " + version.text());
  return *std::move(record);
}

Result<wire::VersionsReply> Versions::page(const wire::VersionsRequest& request, const PageCursor& page,
                                           std::uint64_t epoch) {
  wire::VersionsReply reply;
  if (!request.version.is_nil()) {
    ASSIGN_OR_RETURN(auto record, get(request.tenant, request.model, request.version));
    if (record.epoch > epoch)
      return not_found("version " + request.version.text() + " as of epoch " + std::to_string(epoch));
    reply.versions.push_back(std::move(record));
    return reply;
  }
  const std::string prefix = keys::versions_prefix(request.tenant, request.model);
  const std::string range = prefix + keys::components(request.under);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  std::string last;
  std::size_t bytes = 0;
  cursor->seek(page.position.empty() ? range : prefix + page.position + '\0');
  for (; cursor->valid() && cursor->key().starts_with(range); cursor->next()) {
    ASSIGN_OR_RETURN(const keys::VersionKey key, keys::parse_version(cursor->key(), prefix.size()));
    if (key.epoch > epoch) continue;
    if (reply.versions.size() == page_size(request.limit) || bytes >= kMaxPageBytes) {
      reply.cursor = PageCursor{epoch, last}.text();
      break;
    }
    auto record = wire::decode<wire::VersionRecord>(cursor->value());
    if (!record.ok()) return bad_record(cursor->key(), record.status());
    reply.versions.push_back(*std::move(record));
    bytes += cursor->value().size();
    last = cursor->key().substr(prefix.size());
  }
  RETURN_IF_ERROR(cursor->status());
  return reply;
}

Versions::Writer::Writer(Batch& batch, const std::string& tenant, const std::string& model)
    : batch_(batch), prefix_(keys::versions_prefix(tenant, model)), by_uuid_(keys::version_by_uuid(tenant, Uuid())) {}

void Versions::Writer::put(std::string_view components, const wire::VersionRecord& record) {
  const std::string key = keys::version_at(prefix_, components, batch_.epoch(), record.version);
  batch_.put(key, wire::encode(record));
  by_uuid_.replace(by_uuid_.size() - sizeof(Uuid), sizeof(Uuid), record.version.view());
  batch_.put(by_uuid_, key);
}

}  // namespace espalier::registry
