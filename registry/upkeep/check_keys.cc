// The check of table L: who may do what.
#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/upkeep/check_state.h"
#include "registry/upkeep/key_parts.h"
#include "wire/key_messages.h"
#include "wire/messages.h"

namespace espalier::registry::upkeep {
namespace {

void check_key_record(CheckState& state, std::string_view key, std::string_view value) {
  if (key == keys::keys_changed()) {
    if (value.size() != sizeof(std::uint64_t)) return static_cast<void>(state.findings.add(key, "is not 8 bytes"));
    return static_cast<void>(state.require_epoch(load<std::uint64_t>(value.data()), key));
  }
  const auto names = split_names(key, 1);
  if (!names.ok() || names->rest.size() != keys::kEpochBytes) {
    return static_cast<void>(state.findings.add(key, "no key of this table"));
  }
  const auto record = wire::decode<wire::KeyRecord>(value);
  if (!record.ok()) {
    state.findings.add(key, "does not decode: " + record.status().message());
  } else if (record->epoch != ~load_u64_be(names->rest.data()) || record->name != names->names[0]) {
    state.findings.add(key, "says that it is " + record->name + "'s, of epoch " + std::to_string(record->epoch));
  }
}

}  // namespace

void add_key_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(keys::Table::key), check_key_record, nullptr});
}

}  // namespace espalier::registry::upkeep
