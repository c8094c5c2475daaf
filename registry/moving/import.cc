#include "registry/moving/import.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>

#include "common/bytes.h"
#include "common/scheduling.h"
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/moving/import_slice.h"
#include "registry/upkeep/archive.h"
#include "registry/upkeep/findings.h"
#include "registry/upkeep/key_parts.h"
#include "wire/dataset_messages.h"

namespace espalier::registry {
namespace {

using keys::Table;

constexpr std::size_t kMostUuidsInStep = 4096;
constexpr std::size_t kClearedAtOnce = 1000;

std::string name_of(const wire::ImportRequest& request) { return request.tenant + "/" + request.model; }

wire::ImportReply reply_of(Records& records, const wire::ImportRequest& request,
                           const std::optional<wire::ImportRecord>& record) {
  wire::ImportReply reply;
  reply.generation = records.store.generation();
  if (!record || record->history != request.history) return reply;
  reply.state = record->epoch == 0 ? wire::ImportState::under_way : wire::ImportState::there;
  reply.epoch = record->epoch;
  for (const auto& claimed : record->claimed) reply.commits += claimed.commits;
  reply.records = record->records;
  reply.versions = record->versions;
  reply.without_artefact = record->without_artefact;
  if (record->epoch != 0) reply.receipt = record->receipt;
  return reply;
}

/// already_exists, failed_precondition: the model's place is taken by something else than this history.
Status check_place(Records& records, const wire::ImportRequest& request,
                   const std::optional<wire::ImportRecord>& record) {
  if (record && record->history == request.history) return {};
  if (record && record->epoch != 0) {
    return Status(Code::already_exists, "model " + name_of(request) + " was imported with another history");
  }
  if (record) {
    return failed_precondition("model " + name_of(request) +
                               ": the import of another history is under way: finish it, or abandon it");
  }
  ASSIGN_OR_RETURN(const auto model, records.models.find(request.tenant, request.model, records.store.epoch()));
  if (!model) {
    const std::string runs = keys::of_model(Table::run, request.tenant, request.model);
    ASSIGN_OR_RETURN(const auto cursor, records.store.scan());
    cursor->seek(runs);
    RETURN_IF_ERROR(cursor->status());
    if (!cursor->valid() || !cursor->key().starts_with(runs)) return {};
    return Status(Code::already_exists, "model " + name_of(request) + " has runs of its own");
  }
  return Status(Code::already_exists, "model " + name_of(request) + " is there, with a history of its own");
}

Status check_uuids(Store& store, const wire::ImportRequest& request, std::string_view body, std::string_view what,
                   std::string (*index)(std::string_view, const Uuid&)) {
  if (body.size() % sizeof(Uuid) != 0 || body.size() / sizeof(Uuid) > kMostUuidsInStep) {
    return invalid_argument(std::string(what) + ": at most " + std::to_string(kMostUuidsInStep) + " UUIDs of 16 bytes");
  }
  for (std::size_t at = 0; at < body.size(); at += sizeof(Uuid)) {
    give_way();
    ASSIGN_OR_RETURN(const Uuid uuid, Uuid::from_bytes(body.substr(at, sizeof(Uuid))));
    ASSIGN_OR_RETURN(const auto key, store.get(index(request.tenant, uuid)));
    if (key) {
      return Status(Code::already_exists, std::string(what) + " " + uuid.text() + " is another model's of the tenant");
    }
  }
  return {};
}

/// failed_precondition: one is there with other rows.
Status check_datasets(const Records& records, const wire::ImportRequest& request, std::string_view body) {
  constexpr std::size_t kBytes = 2 * sizeof(Hash256) + 8;
  if (body.size() % kBytes != 0 || body.size() / kBytes > kMostUuidsInStep) {
    return invalid_argument("datasets: at most " + std::to_string(kMostUuidsInStep) + " of 72 bytes");
  }
  for (; !body.empty(); body.remove_prefix(kBytes)) {
    give_way();
    ASSIGN_OR_RETURN(const Hash256 dataset, Hash256::from_bytes(body.substr(0, sizeof(Hash256))));
    ASSIGN_OR_RETURN(const Hash256 file, Hash256::from_bytes(body.substr(sizeof(Hash256), sizeof(Hash256))));
    const auto rows = load<std::uint64_t>(body.data() + 2 * sizeof(Hash256));
    RETURN_IF_ERROR(records.datasets.check_same(request.tenant, dataset, file, rows));
  }
  return {};
}

// ----------------------------------------------------------------------------------------------------------------
// begin

Status check_times(const wire::ImportRequest& request, std::int64_t last_us, std::int64_t now_us) {
  if (request.times.empty() || request.times.size() > kMostTimesInStep) {
    return invalid_argument("times: from 1 to " + std::to_string(kMostTimesInStep));
  }
  for (std::size_t i = 0; i < request.times.size(); ++i) {
    const std::int64_t time_us = request.times[i];
    if (time_us <= last_us) return invalid_argument("times[" + std::to_string(i) + "]: not after the one before");
    if (time_us >= now_us) {
      return failed_precondition("times[" + std::to_string(i) + "]: " + std::to_string((time_us - now_us) / 1'000'000) +
                                 " s ahead of this registry's clock");
    }
    last_us = time_us;
  }
  return {};
}

Result<wire::ImportReply> begin(Records& records, const Principal& principal, const wire::ImportRequest& request,
                                std::optional<wire::ImportRecord> record, Batch& batch) {
  RETURN_IF_ERROR(check_place(records, request, record));
  if (request.history.is_none()) return invalid_argument("history: the hash of the history is needed");
  const wire::ImportReply before = reply_of(records, request, record);
  if (request.from < before.commits || before.state == wire::ImportState::there) return before;
  if (request.from > before.commits) {
    return invalid_argument("from: " + std::to_string(before.commits) + " times came so far");
  }
  if (!record) {
    RETURN_IF_ERROR(records.receipts.check_free(request.tenant, request.idem));
    record.emplace();
    record->history = request.history;
    record->receipt = request.idem;
    record->principal = principal.name();
    record->begun_us = batch.time_us();
  }
  if (record->records > 0) return failed_precondition("times: records came already");
  RETURN_IF_ERROR(check_times(request, record->last_time_us, batch.time_us()));
  // Behind them stands the epoch of this batch, as of which the model isn't there.
  record->claimed.push_back({request.times.size(), batch.epoch()});
  batch.reserve(request.times.size());
  std::uint64_t epoch = record->claimed.back().epoch;
  for (const std::int64_t time_us : request.times) {
    std::string value;
    append(value, epoch++);
    batch.put(keys::history(request.tenant, request.model, time_us), value);
  }
  record->last_time_us = request.times.back();
  Imports::put(batch, request.tenant, request.model, *record);
  return reply_of(records, request, record);
}

// ---------------------------------------------------------------------------------------------------------------
// finish

/// The states of the model, from where they waited to where reads find them. Gives the last one.
Result<std::string> put_states(Records& records, const wire::ImportRequest& request, const wire::ImportRecord& record,
                               Batch& batch) {
  const std::string waiting = keys::import_record(request.tenant, request.model);
  std::map<std::uint64_t, std::string> states;
  ASSIGN_OR_RETURN(const auto cursor, records.store.scan());
  for (cursor->seek(waiting + '\0'); cursor->valid() && cursor->key().starts_with(waiting); cursor->next()) {
    ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::ascending_epoch(cursor->key()));
    states.emplace(epoch, cursor->value());
    batch.remove(cursor->key());
  }
  RETURN_IF_ERROR(cursor->status());
  std::string last;
  for (const auto& claimed : record.claimed) {
    // Between two claims others have committed: as of their epochs the model isn't there.
    const std::uint64_t end = claimed.epoch + claimed.commits;
    if (!last.empty()) states.try_emplace(claimed.epoch, last);
    for (auto at = states.lower_bound(claimed.epoch); at != states.end() && at->first < end; ++at) last = at->second;
    if (!last.empty()) states.insert_or_assign(end, "");
  }
  for (const auto& [epoch, state] : states) batch.put(keys::model(request.tenant, request.model, epoch), state);
  return last;
}

void put_receipt(const wire::ImportRequest& request, const wire::ImportRecord& record, Batch& batch) {
  wire::Receipt receipt;
  receipt.receipt = record.receipt;
  receipt.kind = wire::ReceiptKind::import;
  receipt.tenant = request.tenant;
  receipt.model = request.model;
  receipt.principal = record.principal;
  receipt.started_us = record.begun_us;
  receipt.finished_us = record.finished_us;
  receipt.epoch = record.epoch;
  receipt.versions = record.versions;
  receipt.records = record.records;
  Receipts::put(batch, receipt);
}

/// The state that holds from now on, and the feed's entry.
Status put_model(Records& records, const wire::ImportRequest& request, const std::string& last, Batch& batch) {
  auto model = wire::decode<wire::ModelRecord>(last);
  if (!model.ok()) return bad_record(keys::import_record(request.tenant, request.model), model.status());
  Models::put(batch, *model);
  wire::Change change;
  change.kind = wire::ChangeKind::model;
  change.tenant = request.tenant;
  change.model = request.model;
  change.levels = static_cast<std::uint32_t>(model->levels.size());
  return records.feed.put(batch, std::move(change));
}

Result<wire::ImportReply> finish(Records& records, const wire::ImportRequest& request,
                                 std::optional<wire::ImportRecord> record, Batch& batch) {
  const wire::ImportReply before = reply_of(records, request, record);
  if (before.state == wire::ImportState::there) return before;
  if (before.state == wire::ImportState::absent) return failed_precondition("finish: nothing was begun");
  if (request.from != record->records) {
    return failed_precondition("from: " + std::to_string(record->records) + " records came so far");
  }
  if (record->commit != before.commits) {
    return invalid_argument("records: the last came of commit " + std::to_string(record->commit) + " of " +
                            std::to_string(before.commits));
  }
  RETURN_IF_ERROR(check_all_moved(*record));
  ASSIGN_OR_RETURN(const std::string last, put_states(records, request, *record, batch));
  record->has_runs_only = last.empty();
  if (!last.empty()) RETURN_IF_ERROR(put_model(records, request, last, batch));
  record->epoch = batch.epoch();
  record->finished_us = batch.time_us();
  put_receipt(request, *record, batch);
  Imports::put(batch, request.tenant, request.model, *record);
  return reply_of(records, request, record);
}

// --------------------------------------------------------------------------------------------------------------
// datasets

Result<wire::ImportReply> take_datasets(Records& records, const wire::ImportRequest& request,
                                        const std::optional<wire::ImportRecord>& record,
                                        const std::vector<std::string_view>& bodies, Batch& batch) {
  const wire::ImportReply reply = reply_of(records, request, record);
  if (reply.state != wire::ImportState::there) return failed_precondition("datasets: come once the import is finished");
  if (bodies.size() != 1) return invalid_argument("bodies: one, of records");
  std::size_t i = 0;
  Hash256 last;
  const auto take = [&](std::string_view key, std::string_view value) -> Status {
    give_way();
    if (++i > kMostRecordsInStep) {
      return invalid_argument("records: at most " + std::to_string(kMostRecordsInStep) + " in one step");
    }
    if (static_cast<Table>(key.front()) != Table::dataset) return invalid_argument("not a dataset");
    ASSIGN_OR_RETURN(const auto parts, upkeep::dataset_parts(key));
    if (parts.dataset <= last) return invalid_argument("not in order, or one twice");
    last = parts.dataset;
    ASSIGN_OR_RETURN(const auto dataset, wire::decode<wire::DatasetRecord>(value));
    if (parts.tenant != request.tenant || dataset.tenant != request.tenant || dataset.dataset != parts.dataset) {
      return invalid_argument("of another tenant, or says that it is another dataset");
    }
    if (dataset.created_us < 0 || dataset.created_us >= batch.time_us()) {
      return invalid_argument("created_us: ahead of this registry's clock");
    }
    return records.datasets.bring(batch, dataset).status();
  };
  RETURN_IF_ERROR(upkeep::each_record_of(bodies[0], [&](std::string_view key, std::string_view value) {
    const std::string place = "records[" + std::to_string(i) + "] (" + upkeep::readable(key) + ")";
    return take(key, value).at(place);
  }));
  return reply;
}

// --------------------------------------------------------------------------------------------------------------
// abandon

/// What a record of the model has beside it, by its table.
Status remove_indexes(std::string_view tenant, std::string_view key, Batch& batch) {
  const auto table = static_cast<Table>(key.front());
  if (table != Table::version && table != Table::release) return {};
  ASSIGN_OR_RETURN(const Uuid uuid, keys::uuid_at_end(key));
  if (table == Table::release) {
    batch.remove(keys::release_by_uuid(tenant, uuid));
  } else {
    batch.remove(keys::version_by_uuid(tenant, uuid));
    batch.remove(keys::collected(tenant, uuid));
  }
  return {};
}

/// Runs with all that they have, but for files, which other runs may have too. Gives how many records; more than
/// kClearedAtOnce: not all.
Result<std::size_t> remove_runs(Records& records, const wire::ImportRequest& request, wire::ImportRecord& record,
                                Batch& batch) {
  std::size_t removed = 0;
  const std::string runs = keys::of_model(Table::run, request.tenant, request.model);
  ASSIGN_OR_RETURN(const auto run, records.store.scan());
  ASSIGN_OR_RETURN(const auto part, records.store.scan());
  for (run->seek(std::max(runs, record.cleared_run)); run->valid() && run->key().starts_with(runs); run->next()) {
    ASSIGN_OR_RETURN(const Uuid uuid, keys::uuid_at_end(run->key()));
    const std::string parts = keys::of_tenant(Table::run_part, request.tenant).append(uuid.view());
    part->seek(record.cleared.starts_with(parts) ? record.cleared : parts);
    for (; part->valid() && part->key().starts_with(parts); part->next()) {
      if (++removed > kClearedAtOnce) return removed;
      give_way();
      record.cleared = part->key();
      batch.remove(part->key());
    }
    RETURN_IF_ERROR(part->status());
    // Only now: its parts are found by it.
    if ((removed += 2) > kClearedAtOnce) return removed;
    batch.remove(keys::run_by_uuid(request.tenant, uuid));
    batch.remove(run->key());
    record.cleared_run = run->key();
  }
  RETURN_IF_ERROR(run->status());
  return removed;
}

Result<wire::ImportReply> abandon(Records& records, const wire::ImportRequest& request,
                                  std::optional<wire::ImportRecord> record, Batch& batch) {
  static constexpr Table kTables[] = {Table::tag,          Table::version,   Table::release, Table::index,
                                      Table::record_index, Table::retention, Table::history, Table::imported};
  wire::ImportReply reply;
  reply.generation = records.store.generation();
  if (!record) return reply;
  if (record->epoch != 0) return failed_precondition("abandon: the import is finished");
  reply.state = wire::ImportState::under_way;
  ASSIGN_OR_RETURN(const auto cursor, records.store.scan());
  ASSIGN_OR_RETURN(std::size_t removed, remove_runs(records, request, *record, batch));
  const std::string own = keys::import_record(request.tenant, request.model);
  const auto prefix_of = [&](Table table) { return keys::of_model(table, request.tenant, request.model); };
  const auto* table = std::ranges::find_if(kTables, [&](Table t) { return record->cleared.starts_with(prefix_of(t)); });
  if (table == std::end(kTables)) table = std::begin(kTables);
  for (; table != std::end(kTables) && removed <= kClearedAtOnce; ++table) {
    const std::string prefix = prefix_of(*table);
    cursor->seek(record->cleared.starts_with(prefix) ? record->cleared : prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
      if (cursor->key() == own) continue;
      if (++removed > kClearedAtOnce) break;
      give_way();
      RETURN_IF_ERROR(remove_indexes(request.tenant, cursor->key(), batch));
      record->cleared = cursor->key();
      batch.remove(cursor->key());
    }
    RETURN_IF_ERROR(cursor->status());
  }
  if (removed > kClearedAtOnce) {
    // From now on no import goes on with it.
    record->history = {};
    Imports::put(batch, request.tenant, request.model, *record);
  } else {
    batch.remove(own);
    reply.state = wire::ImportState::absent;
  }
  return reply;
}

}  // namespace

Result<wire::ImportReply> look_at_import(Records& records, const wire::ImportRequest& request,
                                         const std::vector<std::string_view>& bodies) {
  if (bodies.size() != 4 && bodies.size() != 2 && !bodies.empty()) {
    return invalid_argument("bodies: versions and releases, or these, runs and datasets");
  }
  ASSIGN_OR_RETURN(const auto record, records.imports.find(request.tenant, request.model));
  wire::ImportReply reply = reply_of(records, request, record);
  const auto is_in_the_way = [&](const Status& status) -> Status {
    if (status.ok()) return {};
    if (status.code() != Code::already_exists && status.code() != Code::failed_precondition) return status;
    if (reply.conflict.empty()) reply.conflict = status.message();
    return {};
  };
  RETURN_IF_ERROR(is_in_the_way(check_place(records, request, record)));
  if (bodies.size() == 4) RETURN_IF_ERROR(is_in_the_way(check_datasets(records, request, bodies[3])));
  // What came of this history has its UUIDs.
  if (reply.state != wire::ImportState::absent || bodies.empty()) return reply;
  Store& store = records.store;
  if (bodies.size() == 4) {
    RETURN_IF_ERROR(is_in_the_way(check_uuids(store, request, bodies[2], "run", keys::run_by_uuid)));
  }
  RETURN_IF_ERROR(is_in_the_way(check_uuids(store, request, bodies[0], "version", keys::version_by_uuid)));
  RETURN_IF_ERROR(is_in_the_way(check_uuids(store, request, bodies[1], "release", keys::release_by_uuid)));
  return reply;
}

Result<wire::ImportReply> prepare_import(Records& records, const Principal& principal,
                                         const wire::ImportRequest& request,
                                         const std::vector<std::string_view>& bodies, Batch& batch) {
  ASSIGN_OR_RETURN(auto record, records.imports.find(request.tenant, request.model));
  switch (request.step) {
    case wire::ImportStep::look: return invalid_argument("step: looking is no change");
    case wire::ImportStep::begin: return begin(records, principal, request, std::move(record), batch);
    case wire::ImportStep::finish: return finish(records, request, std::move(record), batch);
    case wire::ImportStep::abandon: return abandon(records, request, std::move(record), batch);
    case wire::ImportStep::datasets: return take_datasets(records, request, record, bodies, batch);
    case wire::ImportStep::records: break;
  }
  const wire::ImportReply before = reply_of(records, request, record);
  if (before.state == wire::ImportState::there) return before;
  if (before.state == wire::ImportState::absent) return failed_precondition("records: nothing was begun");
  if (request.from < record->records) return before;
  if (request.from > record->records) {
    return invalid_argument("from: " + std::to_string(record->records) + " records came so far");
  }
  if (bodies.size() != 1) return invalid_argument("bodies: one, of records");
  RETURN_IF_ERROR(take_slice(records, request, bodies[0], *record, batch));
  Imports::put(batch, request.tenant, request.model, *record);
  return reply_of(records, request, record);
}

}  // namespace espalier::registry
