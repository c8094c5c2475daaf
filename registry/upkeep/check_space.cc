// K, D, Q, q: rules, marks of what was collected, receipts.
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

}  // namespace

void add_space_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(Table::retention), rule, nullptr});
  passes.push_back({keys::table(Table::receipt), receipt, nullptr});
  passes.push_back({keys::table(Table::unfinished), unfinished, nullptr});
  passes.push_back({keys::table(Table::collected), collected, nullptr});
}

}  // namespace espalier::registry::upkeep
