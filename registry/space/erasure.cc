#include "registry/space/erasure.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/log.h"
#include "common/scheduling.h"
#include "registry/audit.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

using keys::Table;

/// In one batch: its commit takes some milliseconds.
constexpr std::size_t kErasedAtOnce = 1000;
/// What a chunk of moved entries, some tens of kilobytes, is worth in records.
constexpr std::size_t kChunkWork = 50;
/// Each takes a few reads.
constexpr std::size_t kRepliesAtOnce = 500;
constexpr std::size_t kReplyHead = 16;
/// Of one table: more are not counted when the remains are looked for.
constexpr std::size_t kMostCounted = 1000;

/// In the order of keys: where a table ends, the next record is one that is still there. Otherwise LevelDB would pass
/// over all that was removed behind it, in one go.
const std::string& tables_in_order() {
  static const std::string sorted = [] {
    std::string letters(keys::kTablesOfTenants);
    std::ranges::sort(letters);
    return letters;
  }();
  return sorted;
}

/// What the keys of the moved entries of a change start with.
std::string chunks_of(std::uint64_t epoch) {
  const std::string first = keys::changed(epoch, 0);
  return first.substr(0, first.size() - sizeof(std::uint32_t));
}

Result<std::size_t> count_some(Store& store, const std::string& prefix, std::size_t most) {
  ASSIGN_OR_RETURN(const auto cursor, store.scan());
  std::size_t count = 0;
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix) && count < most; cursor->next()) {
    ++count;
  }
  RETURN_IF_ERROR(cursor->status());
  return count;
}

/// What an erased change leaves in the feed.
wire::Change blank(const wire::Change& change) {
  wire::Change left;
  left.epoch = change.epoch;
  left.previous = change.previous;
  left.time_us = change.time_us;
  left.kind = wire::ChangeKind::erased;
  return left;
}

}  // namespace

Result<bool> has_anything(Store& store, const std::string& tenant) {
  for (const char letter : keys::kTablesOfTenants) {
    const auto table = static_cast<Table>(letter);
    if (table == Table::receipt || table == Table::unfinished || table == Table::erased) continue;
    if (table == Table::audit_of || table == Table::quota) continue;
    ASSIGN_OR_RETURN(const std::size_t count, count_some(store, keys::of_tenant(table, tenant), 1));
    if (count > 0) return true;
  }
  return false;
}

Status prepare_erasure(Records& records, wire::Receipt& receipt, Batch& batch) {
  Erased::put(batch, receipt.tenant, receipt.receipt);
  const std::string models = keys::of_tenant(Table::model, receipt.tenant);
  ASSIGN_OR_RETURN(const auto cursor, records.store.scan());
  for (cursor->seek(models); cursor->valid() && cursor->key().starts_with(models); cursor->next()) {
    batch.remove(cursor->key());
    ++receipt.records;
  }
  RETURN_IF_ERROR(cursor->status());
  wire::Change change;
  change.kind = wire::ChangeKind::erased;
  change.tenant = receipt.tenant;
  return records.feed.put(batch, std::move(change));
}

/// Records from at_ on, and what becomes of them.
struct Erasure::Slice {
  Batch batch;
  wire::Receipt receipt;
  std::unique_ptr<Cursor> at;
  std::size_t work;

  /// Whether it stands at a record of `prefix`, and may look at it.
  bool has(const std::string& prefix) const { return work > 0 && at->valid() && at->key().starts_with(prefix); }
  void next() {
    give_way();
    at->next();
    --work;
  }
  void remove() {
    batch.remove(at->key());
    ++receipt.records;
  }
};

Erasure::Erasure(Records& records, wire::Receipt receipt, std::size_t work)
    : records_(records), receipt_(std::move(receipt)), work_(std::min(work, kErasedAtOnce)) {}

void Erasure::enter(Phase phase, std::string at) {
  phase_ = phase;
  at_ = std::move(at);
}

Result<bool> Erasure::step() {
  if (phase_ == Phase::done) return false;
  RETURN_IF_ERROR(step_phase());
  return phase_ != Phase::done;
}

Status Erasure::step_phase() {
  switch (phase_) {
    case Phase::rules: return note_rules();
    case Phase::replies: return remove_replies();
    case Phase::feed: return blank_feed();
    case Phase::audit: return blank_audit();
    case Phase::artefacts: return remove_artefacts();
    case Phase::records: return remove_records();
    case Phase::packs: {
      if (receipt_.dry_run) {
        enter(Phase::finish, {});
        return {};
      }
      ASSIGN_OR_RETURN(const bool more, records_.artefacts.erase_some(receipt_.tenant));
      if (!more) enter(Phase::traces, {});
      return {};
    }
    case Phase::traces: {
      // After a failed write only this takes the store up again.
      RETURN_IF_ERROR(records_.store.begin().status());
      ASSIGN_OR_RETURN(const bool more, records_.store.purge());
      if (!more) enter(Phase::finish, {});
      return {};
    }
    case Phase::finish: return finish();
    case Phase::done: return {};
  }
  return {};
}

Result<Erasure::Slice> Erasure::begin(std::size_t work) {
  ASSIGN_OR_RETURN(Batch batch, records_.store.begin());
  ASSIGN_OR_RETURN(auto at, records_.store.scan());
  at->seek(at_);
  return Slice{std::move(batch), receipt_, std::move(at), work};
}

Status Erasure::end(Slice& slice, const std::string& prefix, Phase to) {
  RETURN_IF_ERROR(slice.at->status());
  const bool is_over = !slice.at->valid() || !slice.at->key().starts_with(prefix);
  std::string at = is_over ? "" : std::string(slice.at->key());
  slice.at.reset();
  if (slice.batch.size() > 0 && !receipt_.dry_run) {
    Receipts::put(slice.batch, slice.receipt);
    RETURN_IF_ERROR(records_.store.commit(slice.batch));
  }
  receipt_ = std::move(slice.receipt);
  enter(is_over ? to : phase_, std::move(at));
  return {};
}

/// Replies to those who set rules tell what these say.
Status Erasure::note_rules() {
  const std::string prefix = keys::of_tenant(Table::retention, receipt_.tenant);
  ASSIGN_OR_RETURN(const auto cursor, records_.store.scan());
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::newest_first_epoch(cursor->key()));
    rule_epochs_.insert(epoch);
  }
  RETURN_IF_ERROR(cursor->status());
  if (receipt_.disk_before == 0 && records_.artefacts.has_pack(receipt_.tenant)) {
    ASSIGN_OR_RETURN(receipt_.disk_before, records_.artefacts.disk_bytes(receipt_.tenant));
  }
  enter(Phase::replies, keys::table(Table::idem));
  return {};
}

/// Where the feed still has the change it says whose it was; of others the reply does.
Result<bool> Erasure::is_of_tenant(std::int64_t time_us, std::string_view reply) {
  ASSIGN_OR_RETURN(const auto epoch, records_.store.get(keys::time(time_us)));
  if (epoch && epoch->size() == sizeof(std::uint64_t)) {
    const auto change = records_.feed.get(load<std::uint64_t>(epoch->data()));
    if (change.ok()) return change->tenant == receipt_.tenant && change->kind != wire::ChangeKind::erased;
    if (change.status().code() != Code::not_found) return change.status();
  }
  if (const auto release = wire::decode<wire::ReleaseReply>(reply); release.ok() && !release->release.is_nil()) {
    ASSIGN_OR_RETURN(const auto known, records_.store.get(keys::release_by_uuid(receipt_.tenant, release->release)));
    if (known) return true;
  }
  if (const auto started = wire::decode<wire::StartedReply>(reply); started.ok() && !started->receipt.is_nil()) {
    if (started->receipt == receipt_.receipt) return false;  // it is asked for again, and may be
    ASSIGN_OR_RETURN(const auto known, records_.store.get(keys::receipt(receipt_.tenant, started->receipt)));
    if (known) return true;
  }
  const auto rules = wire::decode<wire::RetentionReply>(reply);
  return rules.ok() && !rules->rules.empty() && rule_epochs_.contains(rules->rules.front().epoch);
}

Status Erasure::remove_replies() {
  const std::string table = keys::table(Table::idem);
  ASSIGN_OR_RETURN(Slice slice, begin(std::min(work_, kRepliesAtOnce)));
  for (; slice.has(table); slice.next()) {
    const std::string_view value = slice.at->value();
    if (value.size() < kReplyHead) return corrupt("a record of table I is cut short");
    const auto time_us = load<std::int64_t>(value.data());
    ASSIGN_OR_RETURN(const bool is_its, is_of_tenant(time_us, value.substr(kReplyHead)));
    if (!is_its) continue;
    std::string by_time = keys::table(Table::idem_by_time);
    append_u64_be(by_time, static_cast<std::uint64_t>(time_us));
    slice.batch.remove(by_time.append(slice.at->key().substr(1)));
    slice.remove();
  }
  RETURN_IF_ERROR(end(slice, table, Phase::feed));
  if (phase_ == Phase::feed) at_ = keys::table(Table::feed);
  return {};
}

/// Its changes stay in the feed, so that no reader sees a gap, but say nothing any more.
Status Erasure::blank_feed() {
  const std::string table = keys::table(Table::feed);
  ASSIGN_OR_RETURN(Slice slice, begin(work_));
  ASSIGN_OR_RETURN(const auto chunk, records_.store.scan());
  for (; slice.has(table); slice.next()) {
    const auto change = wire::decode<wire::Change>(slice.at->value());
    if (!change.ok()) return bad_record(slice.at->key(), change.status());
    if (change->tenant != receipt_.tenant || change->kind == wire::ChangeKind::erased) continue;
    slice.batch.put(slice.at->key(), wire::encode(blank(*change)));
    ++slice.receipt.records;
    const std::string chunks = chunks_of(change->epoch);
    for (chunk->seek(chunks); chunk->valid() && chunk->key().starts_with(chunks); chunk->next()) {
      slice.batch.remove(chunk->key());
      ++slice.receipt.records;
      slice.work -= std::min(slice.work - 1, kChunkWork);
    }
    RETURN_IF_ERROR(chunk->status());
  }
  RETURN_IF_ERROR(end(slice, table, Phase::audit));
  if (phase_ == Phase::audit) at_ = keys::of_tenant(Table::audit_of, receipt_.tenant);
  return {};
}

/// What was done for it stays as so many changes, of which nothing is said any more; who erased it stays.
Status Erasure::blank_audit() {
  const std::string prefix = keys::of_tenant(Table::audit_of, receipt_.tenant);
  ASSIGN_OR_RETURN(Slice slice, begin(work_));
  for (; slice.has(prefix); slice.next()) {
    if (stays(slice.at->key())) continue;
    ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::ascending_epoch(slice.at->key()));
    ASSIGN_OR_RETURN(const auto value, records_.store.get(keys::audit(epoch)));
    if (value) {
      const auto record = wire::decode<wire::AuditRecord>(*value);
      wire::AuditRecord said;
      if (record.ok()) said = *record;
      said.epoch = epoch;
      slice.batch.put(keys::audit(epoch), wire::encode(Audit::blank(said)));
      ++slice.receipt.records;
    }
    slice.remove();
  }
  RETURN_IF_ERROR(end(slice, prefix, Phase::artefacts));
  if (phase_ == Phase::artefacts) at_ = keys::of_tenant(Table::artefact, receipt_.tenant);
  return {};
}

/// The receipt names what they were; nothing else of what is erased.
Status Erasure::remove_artefacts() {
  const std::string prefix = keys::of_tenant(Table::artefact, receipt_.tenant);
  ASSIGN_OR_RETURN(Slice slice, begin(std::min(work_, kItemsInChunk)));
  std::vector<wire::ReceiptItem> items;
  for (; slice.has(prefix); slice.next()) {
    wire::ReceiptItem& item = items.emplace_back();
    item.is_artefact = true;
    ASSIGN_OR_RETURN(item.artefact, Hash256::from_bytes(slice.at->key().substr(prefix.size())));
    const auto record = decode_artefact(slice.at->value());
    if (record.ok()) item.bytes = record->bytes;  // a damaged record goes too
    slice.receipt.artefact_bytes += item.bytes;
    slice.remove();
  }
  slice.receipt.artefacts += items.size();
  if (!items.empty() && !receipt_.dry_run) Receipts::add_items(slice.batch, slice.receipt, items);
  RETURN_IF_ERROR(end(slice, prefix, Phase::records));
  if (phase_ == Phase::records) table_ = 0;
  return {};
}

bool Erasure::stays(std::string_view key) const {
  const std::string mark = keys::of_tenant(Table::erased, receipt_.tenant);
  if (key == mark) return true;
  if (!receipt_.dry_run && key == keys::audit_of(receipt_.tenant, receipt_.epoch)) return true;
  for (const Table table : {Table::receipt, Table::unfinished}) {
    const std::string own = keys::of_tenant(table, receipt_.tenant).append(receipt_.receipt.view());
    if (key.starts_with(own)) return true;
  }
  return false;
}

/// Of all tables, those too whose records went before.
Status Erasure::remove_records() {
  const auto table = static_cast<Table>(tables_in_order()[table_]);
  const std::string prefix = keys::of_tenant(table, receipt_.tenant);
  if (at_.empty()) at_ = prefix;
  ASSIGN_OR_RETURN(Slice slice, begin(work_));
  for (; slice.has(prefix); slice.next()) {
    if (table == Table::artefact || table == Table::audit_of || stays(slice.at->key())) continue;
    slice.remove();
    if (table == Table::version) ++slice.receipt.versions;
  }
  const bool is_last = table_ + 1 == tables_in_order().size();
  RETURN_IF_ERROR(end(slice, prefix, is_last ? Phase::packs : Phase::records));
  if (phase_ == Phase::records && at_.empty()) ++table_;
  return {};
}

Status Erasure::finish() {
  ASSIGN_OR_RETURN(Batch batch, records_.store.begin());
  wire::Receipt receipt = receipt_;
  receipt.finished_us = batch.time_us();
  if (!receipt.dry_run) {
    Receipts::put(batch, receipt);
    RETURN_IF_ERROR(records_.store.commit(batch));
    log::info("registry", "erased",
              {{"tenant", receipt.tenant},
               {"versions", receipt.versions},
               {"artefacts", receipt.artefacts},
               {"records", receipt.records}});
  }
  receipt_ = std::move(receipt);
  phase_ = Phase::done;
  return {};
}

namespace {

/// The tables that begin with the tenant, and its pack.
Status look_at_tables(Records& records, const wire::Receipt& receipt, wire::VerifyErasureReply& reply) {
  for (const char letter : keys::kTablesOfTenants) {
    const auto table = static_cast<Table>(letter);
    const std::string prefix = keys::of_tenant(table, receipt.tenant);
    std::size_t its_own = 0;
    if (table == Table::receipt) its_own = 1 + receipt.chunks;
    if (table == Table::erased || table == Table::audit_of) its_own = 1;
    ASSIGN_OR_RETURN(const std::size_t count, count_some(records.store, prefix, its_own + kMostCounted));
    reply.looked_at += count;
    if (count > its_own) {
      reply.left.push_back("table " + std::string(1, letter) + ": " + std::to_string(count - its_own) + " records");
    }
  }
  if (records.artefacts.has_pack(receipt.tenant)) reply.left.push_back("packs: the tenant's folder");
  ASSIGN_OR_RETURN(const auto mark, records.erased.find(receipt.tenant));
  if (!mark || mark->receipt != receipt.receipt) reply.left.push_back("table Z: no mark of this erasure");
  return {};
}

}  // namespace

namespace {

/// A change of the feed, as it is left.
Status look_at_change(Records& records, const wire::Receipt& receipt, const Cursor& at,
                      wire::VerifyErasureReply& reply) {
  const auto change = wire::decode<wire::Change>(at.value());
  if (!change.ok()) return bad_record(at.key(), change.status());
  const std::string name = std::to_string(change->epoch);
  if (change->kind != wire::ChangeKind::erased) {
    if (change->tenant == receipt.tenant) reply.left.push_back("table F: the change of epoch " + name);
    return {};
  }
  ASSIGN_OR_RETURN(const std::size_t chunks, count_some(records.store, chunks_of(change->epoch), 1));
  if (chunks > 0) reply.left.push_back("table C: entries of the erased change of epoch " + name);
  return {};
}

/// What is told of a change.
Status look_at_audit(const wire::Receipt& receipt, const Cursor& at, wire::VerifyErasureReply& reply) {
  const auto record = wire::decode<wire::AuditRecord>(at.value());
  if (!record.ok()) return bad_record(at.key(), record.status());
  if (record->tenant == receipt.tenant && record->epoch != receipt.epoch) {
    reply.left.push_back("table J: the change of epoch " + std::to_string(record->epoch));
  }
  return {};
}

}  // namespace

/// First the feed, then the audit; a cursor is a key of either.
Result<wire::VerifyErasureReply> look_for_remains(Records& records, const wire::Receipt& receipt,
                                                  std::string_view cursor, std::size_t work) {
  wire::VerifyErasureReply reply;
  const std::string feed = keys::table(Table::feed), audit = keys::table(Table::audit);
  const bool is_cursor =
      cursor.size() == 1 + sizeof(std::uint64_t) && (cursor.starts_with(feed) || cursor.starts_with(audit));
  if (!cursor.empty() && !is_cursor) return invalid_argument("cursor: not one that a reply gave");
  if (cursor.empty()) RETURN_IF_ERROR(look_at_tables(records, receipt, reply));
  ASSIGN_OR_RETURN(const auto at, records.store.scan());
  for (const std::string& table : {feed, audit}) {
    if (table == feed && cursor.starts_with(audit)) continue;
    at->seek(cursor.starts_with(table) ? std::string(cursor) : table);
    for (; at->valid() && at->key().starts_with(table) && at->key().size() == 1 + sizeof(std::uint64_t); at->next()) {
      give_way();
      if (work == 0) {
        reply.cursor = at->key();
        return reply;
      }
      --work;
      ++reply.looked_at;
      RETURN_IF_ERROR(table == feed ? look_at_change(records, receipt, *at, reply)
                                    : look_at_audit(receipt, *at, reply));
    }
    RETURN_IF_ERROR(at->status());
  }
  return reply;
}

}  // namespace espalier::registry
