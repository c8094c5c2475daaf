#include "registry/moving/imports.h"

#include <algorithm>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

/// The epoch under the cursor, 0 where that has left the history.
Result<std::uint64_t> epoch_at(const Cursor& cursor, std::string_view prefix) {
  RETURN_IF_ERROR(cursor.status());
  if (!cursor.valid() || !cursor.key().starts_with(prefix)) return std::uint64_t{0};
  if (cursor.value().size() != sizeof(std::uint64_t)) return corrupt("table H: 8 bytes expected");
  return load<std::uint64_t>(cursor.value().data());
}

}  // namespace

Result<std::optional<wire::ImportRecord>> Imports::find(const std::string& tenant, const std::string& model) const {
  const std::string key = keys::import_record(tenant, model);
  ASSIGN_OR_RETURN(const auto value, store_.get(key));
  if (!value) return std::optional<wire::ImportRecord>();
  auto record = wire::decode<wire::ImportRecord>(*value);
  if (!record.ok()) return bad_record(key, record.status());
  return std::optional<wire::ImportRecord>(*std::move(record));
}

Result<bool> Imports::has_any(const std::string& tenant) const {
  const std::string table =
      tenant.empty() ? keys::table(keys::Table::imported) : keys::of_tenant(keys::Table::imported, tenant);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek(table);
  RETURN_IF_ERROR(cursor->status());
  return cursor->valid() && cursor->key().starts_with(table);
}

Status Imports::check_none_under_way(const std::string& tenant, const std::string& model) const {
  ASSIGN_OR_RETURN(const auto record, find(tenant, model));
  if (!record || record->epoch != 0) return {};
  return failed_precondition("model: a history of " + tenant + "/" + model +
                             " is being imported: finish that, or abandon it");
}

Result<std::optional<std::uint64_t>> Imports::of_history(const std::string& tenant, const std::string& model,
                                                         std::uint64_t epoch, std::int64_t time_us) const {
  if (epoch != 0 || time_us <= 0) return std::optional<std::uint64_t>();
  ASSIGN_OR_RETURN(const auto record, find(tenant, model));
  if (!record || record->epoch == 0 || time_us >= record->finished_us) return std::optional<std::uint64_t>();
  ASSIGN_OR_RETURN(const std::uint64_t last, last_until(tenant, model, time_us));
  return std::optional(last);
}

Result<std::uint64_t> Imports::as_of(const Feed& feed, const std::string& tenant, const std::string& model,
                                     std::uint64_t epoch, std::int64_t time_us) const {
  ASSIGN_OR_RETURN(const auto at, of_history(tenant, model, epoch, time_us));
  return at ? *at : feed.as_of(epoch, time_us);
}

Result<std::uint64_t> Imports::commit_as_of(const Feed& feed, const std::string& tenant, const std::string& model,
                                            std::uint64_t epoch, std::int64_t time_us) const {
  ASSIGN_OR_RETURN(const auto at, of_history(tenant, model, epoch, time_us));
  return at ? *at : feed.commit_as_of(epoch, time_us);
}

Result<bool> Imports::hides(const std::string& tenant, const std::string& model, std::uint64_t began,
                            std::uint64_t epoch) const {
  ASSIGN_OR_RETURN(const auto record, find(tenant, model));
  return record && hides(*record, began, epoch);
}

bool Imports::hides(const wire::ImportRecord& record, std::uint64_t began, std::uint64_t epoch) {
  // While an import is under way the model gets no runs of its own.
  if (record.epoch == 0) return true;
  if (began > record.epoch || epoch >= record.epoch) return false;
  return std::ranges::none_of(record.claimed, [&](const wire::ClaimedEpochs& claimed) {
    return epoch >= claimed.epoch && epoch - claimed.epoch < claimed.commits;
  });
}

Result<std::uint64_t> Imports::last_until(const std::string& tenant, const std::string& model,
                                          std::int64_t time_us) const {
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek_before(keys::behind(keys::history(tenant, model, time_us)));
  return epoch_at(*cursor, keys::of_model(keys::Table::history, tenant, model));
}

Result<std::uint64_t> Imports::first_from(const std::string& tenant, const std::string& model,
                                          std::int64_t time_us) const {
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek(keys::history(tenant, model, time_us));
  return epoch_at(*cursor, keys::of_model(keys::Table::history, tenant, model));
}

void Imports::put(Batch& batch, const std::string& tenant, const std::string& model, const wire::ImportRecord& record) {
  batch.put(keys::import_record(tenant, model), wire::encode(record));
}

}  // namespace espalier::registry
