// U, u, P, O, N, Y: runs, what they measured, their files, datasets, and what searches find them by.
#include <cmath>

#include "common/bytes.h"
#include "common/hash.h"
#include "registry/keys.h"
#include "registry/records/datasets.h"
#include "registry/records/run_index.h"
#include "registry/records/runs.h"
#include "registry/upkeep/check_state.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry::upkeep {
namespace {

using keys::RunPart;
using keys::Table;

/// An index entry that the records ask for.
void require_entry(CheckState& state, std::string_view key, std::string_view value, std::string_view by) {
  state.run_entries.insert(xxh3_64(key));
  const auto found = state.get(key);
  if (found && *found == value) return;
  state.findings.add(key, std::string(found ? "has another value: " : "is missing: ") + named_by(by),
                     std::string(value));
}

struct Dated {
  std::string key, value;
  std::uint64_t epoch = 0;
};

/// Oldest first; what doesn't decode has its finding from the pass over P.
std::vector<Dated> history(CheckState& state, const wire::RunRecord& run, RunPart part) {
  const std::string prefix = keys::run_part(run.tenant, run.run, part);
  std::vector<Dated> records;
  Cursor& at = *state.lookup;
  for (at.seek(prefix); at.valid() && at.key().starts_with(prefix); at.next()) {
    const auto epoch = keys::newest_first_epoch(at.key());
    if (epoch.ok() && at.key().size() == prefix.size() + 8) {
      records.push_back({std::string(at.key()), std::string(at.value()), *epoch});
    }
  }
  state.note_status(at);
  return {records.rbegin(), records.rend()};
}

std::map<std::string, wire::RunMetric> last_metrics(CheckState& state, const wire::RunRecord& run) {
  const std::string prefix = keys::run_part(run.tenant, run.run, RunPart::last);
  Cursor& at = *state.lookup;
  at.seek(prefix);
  // The newest comes first.
  while (at.valid() && at.key().starts_with(prefix) && at.key().size() != prefix.size() + 8) at.next();
  state.note_status(at);
  if (!at.valid() || !at.key().starts_with(prefix)) return {};
  auto last = wire::decode<wire::RunLast>(at.value());
  return last.ok() ? std::move(last->metrics) : std::map<std::string, wire::RunMetric>();
}

/// What its states ask for.
void check_states(CheckState& state, const wire::RunRecord& run, std::string_view key) {
  const RunIndex index(run);
  const auto need = [&](std::string_view entry, std::string_view value) { require_entry(state, entry, value, key); };
  index.each_at_start(run, need);
  std::string params = run.params_json;
  bool is_open = true;
  for (const Dated& dated : history(state, run, RunPart::state)) {
    const auto told = wire::decode<wire::RunState>(dated.value);
    if (!told.ok()) {
      state.unread_runs.insert(run.run);
      continue;
    }
    index.each_of_params(params, told->params_json, dated.epoch, need);
    params = told->params_json;
    for (const wire::RunFile& file : told->files) {
      state.require(keys::run_file(run.tenant, file.hash), named_by(dated.key));
    }
    if (told->status == wire::RunStatus::running) continue;
    is_open = false;
    index.each_at_end(told->status, last_metrics(state, run), dated.epoch, need);
  }
  if (is_open) need(index.open_key(), {});
}

void run(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = release_parts(key);  // built alike
  if (!parts.ok()) return state.add_bad_key(key);
  const auto record = wire::decode<wire::RunRecord>(value);
  if (!record.ok()) {
    state.unread_runs.insert(parts->release);
    return static_cast<void>(state.findings.add(key, "does not decode: " + record.status().message()));
  }
  if (record->run != parts->release || record->tenant != parts->tenant || record->model != parts->model ||
      record->epoch != parts->epoch) {
    return static_cast<void>(state.findings.add(key, "says that it is run " + record->run.text()));
  }
  state.require_epoch(record->epoch, key);
  require_entry(state, keys::run_by_uuid(record->tenant, record->run), key, key);
  check_states(state, *record, key);
}

void by_uuid(CheckState& state, std::string_view key, std::string_view value) {
  if (!uuid_parts(key).ok()) return state.add_bad_key(key);
  if (state.findings.has(key) || state.has(value)) return;
  state.require(value, named_by(key));
}

template <class Record>
void check_part(CheckState& state, std::string_view key, std::string_view value) {
  const auto record = wire::decode<Record>(value);
  if (!record.ok()) state.findings.add(key, "does not decode: " + record.status().message());
}

void part(CheckState& state, std::string_view key, std::string_view value) {
  const auto names = split_names(key, 1);
  const bool is_key = names.ok() && names->rest.size() > sizeof(Uuid) + 8;
  if (!is_key) return state.add_bad_key(key);
  const Uuid run = *Uuid::from_bytes(names->rest.substr(0, sizeof(Uuid)));
  state.require(keys::run_by_uuid(names->names[0], run), named_by(key));
  switch (static_cast<RunPart>(names->rest[sizeof(Uuid)])) {
    case RunPart::state: return check_part<wire::RunState>(state, key, value);
    case RunPart::last: return check_part<wire::RunLast>(state, key, value);
    case RunPart::points:
      if (value.size() != 16 || !std::isfinite(load<double>(value.data() + 8))) {
        state.findings.add(key, "is no time and number");
      }
      return;
  }
  state.add_bad_key(key);
}

void file(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = hash_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  if (blake2b_256(value) != parts->hash) state.findings.add(key, "the bytes don't have that hash");
}

/// Of a fingerprint that stands in a place of table Y: the part that tells it apart here.
Uuid end_of(const Hash256& hash) { return *Uuid::from_bytes(hash.view().substr(sizeof(Hash256) - sizeof(Uuid))); }

void dataset(CheckState& state, std::string_view key, std::string_view value) {
  const auto names = split_names(key, 1);
  if (!names.ok() || names->rest.size() != sizeof(Hash256) + 8) return state.add_bad_key(key);
  const Hash256 fingerprint = *Hash256::from_bytes(names->rest.substr(0, sizeof(Hash256)));
  const auto record = wire::decode<wire::DatasetRecord>(value);
  if (!record.ok()) {
    state.unread_runs.insert(end_of(fingerprint));
    return static_cast<void>(state.findings.add(key, "does not decode: " + record.status().message()));
  }
  const std::uint64_t epoch = ~load_u64_be(names->rest.data() + sizeof(Hash256));
  if (record->dataset != fingerprint || record->tenant != names->names[0] || record->epoch > epoch) {
    return static_cast<void>(state.findings.add(key, "says that it is dataset " + record->dataset.hex()));
  }
  state.require_epoch(epoch, key);
  each_dataset_entry(*record,
                     [&](std::string_view entry, std::string_view since) { require_entry(state, entry, since, key); });
}

void index_entry(CheckState& state, std::string_view key, std::string_view) {
  if (state.run_entries.contains(xxh3_64(key))) return;
  const auto names = split_names(key, 2);
  if (!names.ok() || names->rest.size() <= sizeof(Uuid)) {
    return static_cast<void>(state.findings.add(key, "no key of this table", std::nullopt));
  }
  // Of a record that can't be read nobody knows.
  if (state.unread_runs.contains(*Uuid::from_bytes(names->rest.substr(names->rest.size() - sizeof(Uuid))))) return;
  state.findings.add(key, "no run or dataset asks for it", std::nullopt);
}

}  // namespace

void add_run_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(Table::run_file), file, nullptr});
  passes.push_back({keys::table(Table::run), run, nullptr});
  passes.push_back({keys::table(Table::run_by_uuid), by_uuid, nullptr});
  passes.push_back({keys::table(Table::run_part), part, nullptr});
  passes.push_back({keys::table(Table::dataset), dataset, nullptr});
  passes.push_back({keys::table(Table::record_index), index_entry, nullptr});
}

}  // namespace espalier::registry::upkeep
