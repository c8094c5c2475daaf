// h, H: what was imported, and what is being imported.
#include "common/bytes.h"
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/upkeep/check_state.h"
#include "registry/upkeep/key_parts.h"
#include "wire/moving_messages.h"

namespace espalier::registry::upkeep {
namespace {

using keys::Table;

void imported(CheckState& state, std::string_view key, std::string_view value) {
  const auto names = split_names(key, 2);
  const bool is_key = names.ok() && (names->rest.empty() || names->rest.size() == 8);
  if (!is_key) return static_cast<void>(state.findings.add(key, "no key of this table"));
  const std::string& tenant = names->names[0];
  const std::string of = model::model_key(tenant, names->names[1]);
  if (!names->rest.empty()) {
    // A state of the model that waits for the end of its import.
    if (!state.importing.contains(of)) state.findings.add(key, "waits for no import", std::nullopt);
    return;
  }
  const auto record = wire::decode<wire::ImportRecord>(value);
  if (!record.ok()) return static_cast<void>(state.findings.add(key, "does not decode: " + record.status().message()));
  if (record->epoch == 0) return static_cast<void>(state.importing.insert(of));
  state.imported.insert(of);
  state.require_epoch(record->epoch, key);
  state.require(keys::receipt(tenant, record->receipt), named_by(key));
  if (!record->has_runs_only) state.require(keys::model(tenant, names->names[1], record->epoch), named_by(key));
}

void history(CheckState& state, std::string_view key, std::string_view value) {
  const auto names = split_names(key, 2);
  const bool is_record = names.ok() && names->rest.size() == 8 && value.size() == 8;
  if (!is_record) return static_cast<void>(state.findings.add(key, "no record of this table"));
  const auto epoch = load<std::uint64_t>(value.data());
  state.require_epoch(epoch, key);
  state.imported_epochs.insert(epoch);
  const std::string of = model::model_key(names->names[0], names->names[1]);
  if (!state.importing.contains(of) && !state.imported.contains(of)) {
    state.findings.add(key, "is of a model that was not imported");
  }
}

}  // namespace

bool CheckState::is_hidden(std::string_view key, std::string_view value) const {
  if (importing.empty()) return false;
  std::string_view of_model = key;
  std::optional<std::string> found;
  switch (static_cast<Table>(key.front())) {
    case Table::version:
    case Table::release:
    case Table::tag:
    case Table::index:
    case Table::run:
    case Table::record_index:
    case Table::retention: break;
    // An index by UUID has the record's key.
    case Table::run_by_uuid:
    case Table::version_by_uuid:
    case Table::release_by_uuid: of_model = value; break;
    case Table::run_part: {
      const auto parts = run_parts(key);
      if (!parts.ok()) return false;
      const std::string by_uuid = keys::run_by_uuid(parts->tenant, parts->run);
      lookup->seek(by_uuid);
      if (!lookup->valid() || lookup->key() != by_uuid) return false;
      of_model = found.emplace(lookup->value());
      break;
    }
    case Table::collected: {
      const auto parts = uuid_parts(key);
      if (!parts.ok()) return false;
      lookup->seek(keys::version_by_uuid(parts->tenant, parts->uuid));
      if (!lookup->valid() || lookup->key() != keys::version_by_uuid(parts->tenant, parts->uuid)) return false;
      of_model = found.emplace(lookup->value());
      break;
    }
    default: return false;
  }
  const auto names = split_names(of_model, 2);
  return names.ok() && importing.contains(model::model_key(names->names[0], names->names[1]));
}

void add_moving_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(Table::imported), imported, nullptr});
  passes.push_back({keys::table(Table::history), history, nullptr});
}

}  // namespace espalier::registry::upkeep
