// G, E, e: what everything else stands on. And that there is no table beside those that are known.
#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/upkeep/check_state.h"

namespace espalier::registry::upkeep {
namespace {

using keys::Table;

std::string as_bytes(std::uint64_t number) {
  std::string bytes;
  append(bytes, number);
  return bytes;
}

void generation(CheckState& state, std::string_view key, std::string_view value) {
  if (key != keys::generation()) return static_cast<void>(state.findings.add(key, "no key of this table"));
  if (value.size() != 12) {
    state.findings.add(key, std::to_string(value.size()) + " bytes, 12 expected");
  } else if (load<std::uint32_t>(value.data()) != keys::kSchemaVersion) {
    state.findings.add(key, "schema version " + std::to_string(load<std::uint32_t>(value.data())) +
                                ", this build's is " + std::to_string(keys::kSchemaVersion) +
                                ": the next start of the registry migrates it");
  }
}

/// Also: tables that nobody looks at.
bool generation_is_there(CheckState& state) {
  state.require(keys::generation(), "a registry has a generation");
  Cursor& at = *state.lookup;
  for (at.seek(""); at.valid(); at.seek(std::string(1, static_cast<char>(at.key().front() + 1)))) {
    if (at.key().empty() || keys::kTables.find(at.key().front()) == std::string_view::npos) {
      state.findings.add(at.key(), "of a table that this build doesn't know");
    }
    if (at.key().front() == '\xFF') break;
  }
  return true;
}

/// The index by time, where the record of the epoch is gone.
std::optional<std::uint64_t> time_of_missing(CheckState& state, std::uint64_t epoch) {
  // Times ascend as epochs do: what the index has between its neighbours.
  const auto before = state.epochs.find(epoch - 1);
  Cursor& at = *state.lookup;
  at.seek(keys::time(before == state.epochs.end() ? 0 : before->second.time_us + 1));
  if (!at.valid() || !at.key().starts_with(keys::table(Table::time)) || at.key().size() != 9) return std::nullopt;
  if (at.value() != as_bytes(epoch)) return std::nullopt;
  return load_u64_be(at.key().data() + 1);
}

void missing_epoch(CheckState& state, std::uint64_t epoch) {
  const auto time = time_of_missing(state, epoch);
  const std::string what = "is missing, later ones are there";
  if (time) {
    state.findings.add(keys::epoch(epoch), what, as_bytes(*time));
    state.epochs[epoch].time_us = static_cast<std::int64_t>(*time);
  } else {
    state.findings.add(keys::epoch(epoch), what);
  }
}

void epoch(CheckState& state, std::string_view key, std::string_view value) {
  constexpr std::uint64_t kMostNamed = 1000;  // of a gap: the rest of it says nothing new
  if (key.size() != 9) return static_cast<void>(state.findings.add(key, "no key of this table"));
  const std::uint64_t number = load_u64_be(key.data() + 1);
  for (std::uint64_t gone = state.last_epoch + 1; gone < number && gone - state.last_epoch <= kMostNamed; ++gone) {
    missing_epoch(state, gone);
  }
  const auto before = state.epochs.find(state.last_epoch);
  const std::int64_t time_before = before == state.epochs.end() ? 0 : before->second.time_us;
  state.last_epoch = number;
  EpochSeen& seen = state.epochs[number];
  seen.is_there = true;
  if (value.size() != 8) {
    state.findings.add(key, std::to_string(value.size()) + " bytes, 8 expected");
    return;
  }
  seen.time_us = load<std::int64_t>(value.data());
  if (seen.time_us <= time_before) {
    state.findings.add(key, "its time, " + std::to_string(seen.time_us) + " us, is not after that of the epoch before");
    return;
  }
  const std::string index = keys::time(seen.time_us);
  const auto named = state.get(index);
  if (!named) {
    state.findings.add(index, "is missing: epoch " + std::to_string(number) + " has that time", as_bytes(number));
  } else if (*named != as_bytes(number)) {
    state.findings.add(index, "names another epoch than the one of that time, " + std::to_string(number),
                       as_bytes(number));
  }
}

bool epochs_are_read(CheckState& state) {
  state.counts.epoch = state.last_epoch;
  return true;
}

void time_index(CheckState& state, std::string_view key, std::string_view value) {
  if (key.size() != 9 || value.size() != 8) {
    state.findings.add(key, "no record of this table", std::nullopt);
    return;
  }
  const auto number = load<std::uint64_t>(value.data());
  const auto at = state.epochs.find(number);
  const auto time = static_cast<std::int64_t>(load_u64_be(key.data() + 1));
  if (at != state.epochs.end() && at->second.time_us == time) return;
  if (state.findings.has(keys::epoch(number))) return;
  if (number > state.last_epoch) {
    state.findings.add(keys::epoch(number), "is missing: " + named_by(key), as_bytes(load_u64_be(key.data() + 1)));
    return;
  }
  state.findings.add(key, "names epoch " + std::to_string(number) + ", which has another time or is not there",
                     std::nullopt);
}

}  // namespace

void add_epoch_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(Table::generation), generation, generation_is_there});
  passes.push_back({keys::table(Table::epoch), epoch, epochs_are_read});
  passes.push_back({keys::table(Table::time), time_index, nullptr});
}

}  // namespace espalier::registry::upkeep
