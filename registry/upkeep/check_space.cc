// K, D, Q, q, Z: rules, marks of what was collected and erased, receipts.
#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/upkeep/check_state.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry::upkeep {
namespace {

using keys::Table;

void rule(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = model_parts(key);
  if (!parts.ok()) return static_cast<void>(state.findings.add(key, "no key of this table"));
  const auto record = wire::decode<wire::RetentionRule>(value);
  if (!record.ok()) {
    state.findings.add(key, "does not decode: " + record.status().message());
  } else if (record->epoch != parts->epoch) {
    state.findings.add(key, "says that it is of epoch " + std::to_string(record->epoch));
  }
}

void collected(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = uuid_parts(key);
  if (!parts.ok()) return static_cast<void>(state.findings.add(key, "no key of this table"));
  state.require(keys::version_by_uuid(parts->tenant, parts->uuid), named_by(key));
  const auto receipt = value.size() == 8 + sizeof(Uuid) ? Uuid::from_bytes(value.substr(8)) : corrupt("another size");
  if (!receipt.ok()) return static_cast<void>(state.findings.add(key, "is not 24 bytes"));
  state.require(keys::receipt(parts->tenant, *receipt), named_by(key));
}

/// Its items too: the record of the receipt comes before them.
void receipt(CheckState& state, std::string_view key, std::string_view value) {
  const auto names = split_names(key, 1);
  const bool is_key = names.ok() && names->rest.size() > sizeof(Uuid);
  if (!is_key) return static_cast<void>(state.findings.add(key, "no key of this table"));
  const Uuid id = *Uuid::from_bytes(names->rest.substr(0, sizeof(Uuid)));
  if (names->rest[sizeof(Uuid)] == 'i') {
    return state.require(keys::receipt(names->names[0], id), named_by(key));
  }
  const auto head = wire::decode<wire::Receipt>(value);
  if (!head.ok()) return static_cast<void>(state.findings.add(key, "does not decode: " + head.status().message()));
  if (head->receipt != id || head->tenant != names->names[0]) {
    return static_cast<void>(state.findings.add(key, "says that it is receipt " + head->receipt.text()));
  }
  Hash256 digest;
  for (std::uint32_t chunk = 0; chunk < head->chunks; ++chunk) {
    const std::string items = keys::receipt_items(head->tenant, id, chunk);
    const auto found = state.get(items);
    if (!found) return static_cast<void>(state.findings.add(items, "is missing: " + named_by(key)));
    digest = Receipts::digest(digest, *found);
  }
  if (digest != head->items) state.findings.add(key, "its items don't have the hash that it says");
}

void unfinished(CheckState& state, std::string_view key, std::string_view) {
  const auto parts = uuid_parts(key);
  if (!parts.ok()) return static_cast<void>(state.findings.add(key, "no key of this table"));
  state.require(keys::receipt(parts->tenant, parts->uuid), named_by(key));
}

/// A mark's receipt and epoch.
std::optional<Uuid> erasure_of(CheckState& state, std::string_view key, std::string_view value) {
  const auto receipt = value.size() == 16 + sizeof(Uuid) ? Uuid::from_bytes(value.substr(16)) : corrupt("another size");
  if (receipt.ok()) return *receipt;
  state.findings.add(key, "is not 32 bytes");
  return std::nullopt;
}

void erased(CheckState& state, std::string_view key, std::string_view value) {
  const auto names = split_names(key, 1);
  if (!names.ok() || !names->rest.empty()) return static_cast<void>(state.findings.add(key, "no key of this table"));
  const std::string& tenant = names->names[0];
  const auto receipt = erasure_of(state, key, value);
  if (!receipt) return;
  state.require(keys::receipt(tenant, *receipt), named_by(key));
  state.require_epoch(load<std::uint64_t>(value.data() + 8), key);
  if (state.erasing.contains(tenant)) return;
  for (const char table : keys::kTablesOfTenants) {
    const std::string prefix = keys::of_tenant(static_cast<Table>(table), tenant);
    state.lookup->seek(prefix);
    // Who erased it.
    if (table == 'j' && state.lookup->valid() &&
        state.lookup->key() == keys::audit_of(tenant, load<std::uint64_t>(value.data() + 8))) {
      state.lookup->next();
    }
    if (table == 'Q') {
      const std::string own = keys::receipt_items_prefix(tenant, *receipt);
      while (state.lookup->valid() &&
             (state.lookup->key() == keys::receipt(tenant, *receipt) || state.lookup->key().starts_with(own))) {
        state.lookup->next();
      }
    }
    if (table != 'Z' && state.lookup->valid() && state.lookup->key().starts_with(prefix)) {
      state.findings.add(state.lookup->key(), "is an erased tenant's");
    }
    state.note_status(*state.lookup);
  }
  if (state.records.artefacts.has_pack(tenant)) {
    state.findings.add_other("pack", tenant, "is an erased tenant's");
  }
}

}  // namespace

void note_erasing(CheckState& state) {
  const std::string table = keys::table(Table::erased);
  Cursor& at = *state.scan;
  for (at.seek(table); at.valid() && at.key().starts_with(table); at.next()) {
    const auto names = split_names(at.key(), 1);
    const auto receipt =
        at.value().size() == 16 + sizeof(Uuid) ? Uuid::from_bytes(at.value().substr(16)) : corrupt("another size");
    if (!names.ok() || !receipt.ok()) continue;  // a finding of the pass over this table
    if (state.has(keys::unfinished(names->names[0], *receipt))) state.erasing.insert(names->names[0]);
  }
  state.note_status(at);
}

void add_space_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(Table::retention), rule, nullptr});
  passes.push_back({keys::table(Table::receipt), receipt, nullptr});
  passes.push_back({keys::table(Table::unfinished), unfinished, nullptr});
  passes.push_back({keys::table(Table::collected), collected, nullptr});
  passes.push_back({keys::table(Table::erased), erased, nullptr});
}

}  // namespace espalier::registry::upkeep
