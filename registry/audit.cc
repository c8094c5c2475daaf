#include "registry/audit.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/bytes.h"
#include "common/scheduling.h"
#include "registry/key_records.h"
#include "registry/keys.h"
#include "registry/reading.h"
#include "registry/releases.h"
#include "wire/messages.h"

namespace espalier::registry {
namespace {

constexpr std::size_t kFingerprintDigits = 16;
constexpr std::size_t kMostTags = 10'000;  ///< whose last release is kept in mind

std::string name_of(const std::string& tenant, const std::string& model, const std::string& tag) {
  return tenant + '/' + model + '/' + tag;
}

bool is_asked_for(const wire::AuditRequest& request, const wire::AuditRecord& record) {
  if (!request.tenant.empty() && record.tenant != request.tenant) return false;
  if (!request.who.empty() && record.who != request.who) return false;
  return request.operation.empty() || record.operation == request.operation;
}

}  // namespace

Result<const Audit::Who*> Audit::look_up(KeyRecords& keys, std::string_view who) {
  ASSIGN_OR_RETURN(const std::uint64_t changed, keys.changed());
  if (std::exchange(keys_epoch_, changed) != changed) whose_.clear();
  const auto known = whose_.find(who);
  if (known != whose_.end()) return &known->second;
  ASSIGN_OR_RETURN(const auto key, keys.find(who));
  Who found;
  if (key) {
    found.roles = key->roles;
    for (const wire::KeyHalf& half : key->halves) found.keys.push_back(half.key.hex().substr(0, kFingerprintDigits));
  }
  return &whose_.emplace(who, std::move(found)).first->second;
}

Status Audit::put(Batch& batch, KeyRecords& keys, const Change& change, AuditNote note) {
  ASSIGN_OR_RETURN(const Who* const who, look_up(keys, change.who));
  wire::AuditRecord record;
  record.epoch = batch.epoch();
  record.time_us = batch.time_us();
  record.who = change.who;
  record.roles = who->roles;
  record.keys = who->keys;
  record.operation = change.operation;
  record.tenant = change.tenant;
  record.model = change.model;
  record.subject = std::move(note.subject);
  record.before = std::move(note.before);
  record.after = std::move(note.after);
  batch.put(keys::audit(record.epoch), wire::encode(record));
  batch.put(keys::audit_of(record.tenant, record.epoch), {});
  return {};
}

Result<std::uint64_t> Audit::epoch_at(std::int64_t time_us) {
  const std::string table = keys::table(keys::Table::time);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek_before(keys::time(time_us + 1));
  RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(table)) return std::uint64_t{0};
  if (cursor->value().size() != sizeof(std::uint64_t)) return corrupt("table e: 8 bytes expected");
  return load<std::uint64_t>(cursor->value().data());
}

Result<wire::AuditReply> Audit::page(const wire::AuditRequest& request, std::size_t most_steps) {
  if (request.since_us < 0 || request.until_us < 0) return invalid_argument("since_us: before 1970");
  wire::AuditReply reply;
  reply.generation = store_.generation();
  ASSIGN_OR_RETURN(PageCursor at, PageCursor::parse(request.cursor));
  std::uint64_t newest = store_.epoch();
  if (at.epoch != 0) {
    if (at.position.size() != keys::kEpochBytes) return invalid_argument("cursor: not one that a reply gave");
    newest = load_u64_be(at.position.data()) - 1;
  } else if (request.until_us != 0) {
    ASSIGN_OR_RETURN(newest, epoch_at(request.until_us));
  }
  const bool is_of_one = !request.tenant.empty();
  const std::string prefix =
      is_of_one ? keys::of_tenant(keys::Table::audit_of, request.tenant) : keys::table(keys::Table::audit);
  std::string behind = prefix;
  append_u64_be(behind, newest);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  std::size_t bytes = 0;
  for (cursor->seek_before(behind + '\0'); cursor->valid() && cursor->key().starts_with(prefix); cursor->previous()) {
    give_way();
    ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::ascending_epoch(cursor->key()));
    std::optional<std::string> value;
    if (is_of_one) {
      ASSIGN_OR_RETURN(value, store_.get(keys::audit(epoch)));
      if (!value) return corrupt("table j: the change of epoch " + std::to_string(epoch) + " is not in table J");
    }
    auto record = wire::decode<wire::AuditRecord>(value ? std::string_view(*value) : cursor->value());
    if (!record.ok()) return bad_record("J", record.status());
    if (record->time_us < request.since_us) return reply;
    const bool is_wanted = is_asked_for(request, *record);
    if (is_wanted) {
      bytes += value ? value->size() : cursor->value().size();
      reply.records.push_back(*std::move(record));
    }
    if (--most_steps > 0 && reply.records.size() < page_size(request.limit) && bytes < kMaxPageBytes) continue;
    std::string position;
    append_u64_be(position, epoch);
    reply.cursor = PageCursor{std::max<std::uint64_t>(store_.epoch(), 1), position}.text();
    return reply;
  }
  RETURN_IF_ERROR(cursor->status());
  return reply;
}

Result<Uuid> Audit::release_of(Releases& releases, const std::string& tenant, const std::string& model,
                               const std::string& tag) {
  const auto known = tags_.find(name_of(tenant, model, tag));
  if (known != tags_.end()) return known->second;
  ASSIGN_OR_RETURN(const auto last, releases.last_of(tenant, model, tag, store_.epoch()));
  return last ? last->release : Uuid();
}

void Audit::moved(const std::string& tenant, const std::string& model, const std::string& tag, const Uuid& release) {
  if (tags_.size() >= kMostTags) tags_.clear();
  tags_.insert_or_assign(name_of(tenant, model, tag), release);
}

wire::AuditRecord Audit::blank(const wire::AuditRecord& record) {
  wire::AuditRecord left;
  left.epoch = record.epoch;
  left.time_us = record.time_us;
  left.erased = true;
  return left;
}

}  // namespace espalier::registry
