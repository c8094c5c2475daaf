#include "registry/quotas.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "common/scheduling.h"
#include "registry/artefacts.h"
#include "registry/keys.h"
#include "registry/reading.h"
#include "wire/messages.h"

namespace espalier::registry {
namespace {

constexpr std::size_t kMostKept = 10'000;  ///< tenants

bool names_version(std::string_view entry) {
  return !entry.empty() && entry[0] == static_cast<char>(wire::EntryKind::version);
}

bool is_limited(const wire::Quota& quota) { return quota.models != 0 || quota.nodes != 0 || quota.bytes != 0; }

Status check_one(const std::string& tenant, std::string_view what, std::uint64_t allowed, std::uint64_t used,
                 std::int64_t more) {
  if (allowed == 0 || more <= 0 || used + static_cast<std::uint64_t>(more) <= allowed) return {};
  return Status(Code::resource_exhausted, "quota of tenant " + tenant + ": " + std::to_string(used) + " " +
                                              std::string(what) + " used, " + std::to_string(allowed) + " allowed, " +
                                              std::to_string(more) + " more asked for");
}

void add(std::uint64_t& to, std::int64_t change) {
  to = change < 0 && to < static_cast<std::uint64_t>(-change) ? 0 : to + static_cast<std::uint64_t>(change);
}

}  // namespace

Result<wire::QuotaRecord> Quotas::get(const std::string& tenant) {
  const auto known = limits_.find(tenant);
  if (known != limits_.end()) return known->second;
  const std::string prefix = keys::of_tenant(keys::Table::quota, tenant);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, prefix, std::numeric_limits<std::uint64_t>::max()));
  wire::QuotaRecord record;
  if (dated) {
    auto decoded = wire::decode<wire::QuotaRecord>(dated->value);
    if (!decoded.ok()) return bad_record(prefix, decoded.status());
    record = *std::move(decoded);
  }
  if (limits_.size() >= kMostKept) limits_.clear();
  limits_.emplace(tenant, record);
  return record;
}

void Quotas::put(Batch& batch, const std::string& tenant, wire::QuotaRecord record) {
  record.time_us = batch.time_us();
  record.epoch = batch.epoch();
  batch.put(keys::quota(tenant, batch.epoch()), wire::encode(record));
  limits_.erase(tenant);
}

void Quotas::forget_all() {
  limits_.clear();
  used_.clear();
}

Result<bool> Quotas::is_model_there(std::string_view model_prefix) {
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, model_prefix, std::numeric_limits<std::uint64_t>::max()));
  return dated && !dated->value.empty();
}

/// A node's newest record of a tag stands before its older ones.
Result<std::uint64_t> Quotas::count_nodes(const std::string& tenant, const std::string& model) {
  const std::string entries = keys::of_model(keys::Table::tag, tenant, model);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  std::uint64_t count = 0;
  std::string node;
  for (cursor->seek(entries); cursor->valid() && cursor->key().starts_with(entries); cursor->next()) {
    give_way();
    if (cursor->key().size() < entries.size() + keys::kEpochBytes) return corrupt("a key of table T is cut short");
    const std::string_view of_node = cursor->key().substr(0, cursor->key().size() - keys::kEpochBytes);
    if (of_node == node) continue;
    node = of_node;
    count += names_version(cursor->value()) ? 1 : 0;
  }
  RETURN_IF_ERROR(cursor->status());
  return count;
}

Result<wire::Quota> Quotas::used(const std::string& tenant) {
  const auto known = used_.find(tenant);
  if (known != used_.end()) return known->second;
  wire::Quota used;
  const std::string models = keys::of_tenant(keys::Table::model, tenant);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  for (cursor->seek(models); cursor->valid() && cursor->key().starts_with(models);) {
    ASSIGN_OR_RETURN(const auto names, keys::parse_names(cursor->key(), 2));
    if (!cursor->value().empty()) {
      ++used.models;
      ASSIGN_OR_RETURN(const std::uint64_t nodes, count_nodes(tenant, names.names[1]));
      used.nodes += nodes;
    }
    cursor->seek(keys::behind(keys::model_prefix(tenant, names.names[1])));
  }
  RETURN_IF_ERROR(cursor->status());
  const std::string artefacts = keys::of_tenant(keys::Table::artefact, tenant);
  for (cursor->seek(artefacts); cursor->valid() && cursor->key().starts_with(artefacts); cursor->next()) {
    give_way();
    const auto record = decode_artefact(cursor->value());
    if (!record.ok()) return bad_record(cursor->key(), record.status());
    used.bytes += record->bytes;
  }
  RETURN_IF_ERROR(cursor->status());
  ASSIGN_OR_RETURN(const wire::QuotaRecord record, get(tenant));
  if (is_limited(record.quota)) used_.emplace(tenant, used);
  return used;
}

/// From the batch's own records: what a node's entry was is the newest record behind it. Entries of a model that isn't
/// there are those of an import, and count when that is finished.
Result<QuotaDelta> Quotas::measure(const Batch& batch, const std::string& tenant) {
  QuotaDelta delta;
  const std::string models = keys::of_tenant(keys::Table::model, tenant);
  const std::string entries = keys::of_tenant(keys::Table::tag, tenant);
  const std::string versions = keys::of_tenant(keys::Table::version, tenant);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  std::map<std::string, bool, std::less<>> is_new;  ///< models of the batch: not there before
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Batch::Operation operation = batch[i];
    if (operation.kind != Batch::Kind::put) continue;
    if (operation.key.starts_with(versions)) delta.has_versions = true;
    if (!operation.key.starts_with(models) || operation.value.empty()) continue;
    const std::string prefix(operation.key.substr(0, operation.key.size() - keys::kEpochBytes));
    if (is_new.contains(prefix)) continue;
    ASSIGN_OR_RETURN(const bool is_there, is_model_there(prefix));
    is_new.emplace(prefix, !is_there);
    if (is_there) continue;
    ++delta.models;
    ASSIGN_OR_RETURN(const auto names, keys::parse_names(prefix, 2));
    ASSIGN_OR_RETURN(const std::uint64_t hidden, count_nodes(tenant, names.names[1]));
    delta.nodes += static_cast<std::int64_t>(hidden);
  }
  std::string visible;  ///< the model whose entries came last, where they count
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Batch::Operation operation = batch[i];
    if (operation.kind != Batch::Kind::put || !operation.key.starts_with(entries)) continue;
    give_way();
    if (visible.empty() || !operation.key.starts_with(visible)) {
      ASSIGN_OR_RETURN(const auto names, keys::parse_names(operation.key, 2));
      const std::string prefix = keys::model_prefix(tenant, names.names[1]);
      ASSIGN_OR_RETURN(bool is_there, is_model_there(prefix));
      is_there = is_there || is_new.contains(prefix);
      if (!is_there) continue;
      visible = keys::of_model(keys::Table::tag, tenant, names.names[1]);
    }
    cursor->seek(operation.key);
    const std::string_view node = operation.key.substr(0, operation.key.size() - keys::kEpochBytes);
    const bool was = cursor->valid() && cursor->key().starts_with(node) &&
                     cursor->key().size() == operation.key.size() && names_version(cursor->value());
    delta.nodes += static_cast<std::int64_t>(names_version(operation.value)) - static_cast<std::int64_t>(was);
  }
  RETURN_IF_ERROR(cursor->status());
  return delta;
}

Result<std::optional<QuotaDelta>> Quotas::check(const Batch& batch, const std::string& tenant) {
  ASSIGN_OR_RETURN(const wire::QuotaRecord record, get(tenant));
  if (!is_limited(record.quota)) return std::optional<QuotaDelta>();
  ASSIGN_OR_RETURN(const wire::Quota used, this->used(tenant));
  ASSIGN_OR_RETURN(const QuotaDelta delta, measure(batch, tenant));
  RETURN_IF_ERROR(check_one(tenant, "models", record.quota.models, used.models, delta.models));
  RETURN_IF_ERROR(check_one(tenant, "nodes", record.quota.nodes, used.nodes, delta.nodes));
  if (delta.has_versions && record.quota.bytes != 0 && used.bytes > record.quota.bytes) {
    return Status(Code::resource_exhausted, "quota of tenant " + tenant + ": " + std::to_string(used.bytes) +
                                                " bytes used, " + std::to_string(record.quota.bytes) +
                                                " allowed: collect what is not needed first");
  }
  return std::optional(delta);
}

void Quotas::applied(const std::string& tenant, const std::optional<QuotaDelta>& delta) {
  const auto known = used_.find(tenant);
  if (known == used_.end()) return;
  if (!delta) return static_cast<void>(used_.erase(known));
  add(known->second.models, delta->models);
  add(known->second.nodes, delta->nodes);
}

Result<bool> Quotas::has_any(const std::string& tenant) {
  ASSIGN_OR_RETURN(const wire::QuotaRecord record, get(tenant));
  return is_limited(record.quota);
}

Status Quotas::check_upload(const std::string& tenant, std::uint64_t bytes) {
  ASSIGN_OR_RETURN(const wire::QuotaRecord record, get(tenant));
  ASSIGN_OR_RETURN(const wire::Quota used, this->used(tenant));
  return check_one(tenant, "bytes", record.quota.bytes, used.bytes, static_cast<std::int64_t>(bytes));
}

void Quotas::uploaded(const std::string& tenant, std::uint64_t bytes) {
  const auto known = used_.find(tenant);
  if (known != used_.end()) add(known->second.bytes, static_cast<std::int64_t>(bytes));
}

void Quotas::removed(const std::string& tenant, std::uint64_t bytes) {
  const auto known = used_.find(tenant);
  if (known != used_.end()) add(known->second.bytes, -static_cast<std::int64_t>(bytes));
}

}  // namespace espalier::registry
