// The check of tables J, j and k: who changed what, and what tenants may have.
#include "registry/keys.h"
#include "registry/upkeep/check_state.h"
#include "registry/upkeep/key_parts.h"
#include "wire/audit_messages.h"
#include "wire/messages.h"

namespace espalier::registry::upkeep {
namespace {

void check_audit_record(CheckState& state, std::string_view key, std::string_view value) {
  const auto epoch = keys::ascending_epoch(key);
  if (!epoch.ok() || key.size() != 1 + keys::kEpochBytes) {
    return static_cast<void>(state.findings.add(key, "no key of this table"));
  }
  state.require_epoch(*epoch, key);
  const auto record = wire::decode<wire::AuditRecord>(value);
  if (!record.ok()) {
    state.findings.add(key, "does not decode: " + record.status().message());
  } else if (record->epoch != *epoch) {
    state.findings.add(key, "says that it is of epoch " + std::to_string(record->epoch));
  } else if (!record->erased && !state.erasing.contains(record->tenant)) {
    const std::string index = keys::audit_of(record->tenant, *epoch);
    if (!state.findings.has(index) && !state.has(index)) {
      state.findings.add(index, "is missing: " + named_by(key), std::string());
    }
  }
}

void check_audit_index(CheckState& state, std::string_view key, std::string_view value) {
  const auto names = split_names(key, 1);
  if (!names.ok() || names->rest.size() != keys::kEpochBytes || !value.empty()) {
    return static_cast<void>(state.findings.add(key, "no key of this table"));
  }
  state.require(keys::audit(*keys::ascending_epoch(key)), named_by(key));
}

void check_quota(CheckState& state, std::string_view key, std::string_view value) {
  const auto names = split_names(key, 1);
  if (!names.ok() || names->rest.size() != keys::kEpochBytes) {
    return static_cast<void>(state.findings.add(key, "no key of this table"));
  }
  const auto record = wire::decode<wire::QuotaRecord>(value);
  if (!record.ok()) {
    state.findings.add(key, "does not decode: " + record.status().message());
  } else if (record->epoch != *keys::newest_first_epoch(key)) {
    state.findings.add(key, "says that it is of epoch " + std::to_string(record->epoch));
  }
}

}  // namespace

void add_audit_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(keys::Table::audit), check_audit_record, nullptr});
  passes.push_back({keys::table(keys::Table::audit_of), check_audit_index, nullptr});
  passes.push_back({keys::table(keys::Table::quota), check_quota, nullptr});
}

}  // namespace espalier::registry::upkeep
