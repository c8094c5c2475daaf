// F, T, C, W, I, i: what changes moved, and what tags say.
#include "common/bytes.h"
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/tags.h"
#include "registry/upkeep/check_state.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry::upkeep {
namespace {

using keys::Table;

/// Some ten microseconds.
constexpr int kEpochsAtOnce = 256;

// ------------------------------------------------------------------------------------------------------------ the feed

void check_release_of_change(CheckState& state, std::string_view key, const wire::Change& change, const Uuid& release) {
  const std::string index = keys::release_by_uuid(change.tenant, release);
  const auto named = state.get(index);
  if (state.findings.has(index)) return;
  if (!named) {
    state.findings.add(key, "is of release " + release.text() + ", which is not there");
  } else if (*named != keys::release(change.tenant, change.model, change.epoch, release)) {
    state.findings.add(key, "is of release " + release.text() + ", which is another one's");
  }
}

void change(CheckState& state, std::string_view key, std::string_view value) {
  if (key.size() != 9) return state.add_bad_key(key);
  const std::uint64_t epoch = load_u64_be(key.data() + 1);
  state.require_epoch(epoch, key);
  const std::uint64_t before = std::exchange(state.last_change, epoch);
  EpochSeen& seen = state.epochs[epoch];
  const auto change = wire::decode<wire::Change>(value);
  if (!change.ok()) {
    seen.is_explained = true;
    state.findings.add(key, "does not decode: " + change.status().message());
    return;
  }
  if (change->previous > before) {
    state.findings.add(keys::feed(change->previous), "is missing: " + named_by(key));
    state.epochs[change->previous].is_explained = true;
  } else if (change->previous != before || change->epoch != epoch) {
    state.findings.add(key, "says that epoch " + std::to_string(change->previous) + " came before epoch " +
                                std::to_string(change->epoch) + "; before it stands epoch " + std::to_string(before));
  }
  seen.has_change = true;
  seen.change_count = change->count;
  seen.change_releases = change->kind == wire::ChangeKind::release ? 1 + change->more.size() : 0;
  for (const wire::TagMoved& moved : change->more) seen.change_count += moved.count;
  seen.is_release = change->kind == wire::ChangeKind::release;
  if (state.erasing.contains(change->tenant)) {
    seen.is_explained = true;
    return;
  }
  if (change->kind == wire::ChangeKind::view) state.require(keys::view(epoch), named_by(key));
  if (change->kind == wire::ChangeKind::model) {
    state.require(keys::model(change->tenant, change->model, epoch), named_by(key));
  }
  if (change->kind != wire::ChangeKind::release) return;
  check_release_of_change(state, key, *change, change->release);
  for (const wire::TagMoved& moved : change->more) check_release_of_change(state, key, *change, moved.release);
}

/// Whatever a change made has it in the feed, unless it is behind the horizon.
void require_change(CheckState& state, std::uint64_t epoch, std::string_view key) {
  if (epoch <= state.collected_changes || state.imported_epochs.contains(epoch) || state.epochs[epoch].has_change)
    return;
  state.require(keys::feed(epoch), named_by(key));
}

void horizon(CheckState& state, std::string_view key, std::string_view value) {
  if (key != keys::feed_horizon()) return state.add_bad_key(key);
  if (value.size() != sizeof state.collected_changes) {
    state.findings.add(key, std::to_string(value.size()) + " bytes, 8 expected");
    return;
  }
  state.last_change = state.collected_changes = load<std::uint64_t>(value.data());
}

/// Each state of a model has its entry of the feed, and each release.
void model_in_feed(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = model_parts(key);
  if (parts.ok() && !value.empty()) require_change(state, parts->epoch, key);
}

void release_in_feed(CheckState& state, std::string_view key, std::string_view) {
  const auto parts = release_parts(key);
  if (!parts.ok()) return;
  require_change(state, parts->epoch, key);
}

// ---------------------------------------------------------------------------------------------------------------- tags

void check_tagged_version(CheckState& state, std::string_view key, const TagParts& parts, const wire::TagEntry& entry) {
  const std::string index = keys::version_by_uuid(parts.tenant, entry.version);
  const auto named = state.get(index);
  if (!named) {
    if (!state.findings.has(index)) {
      state.findings.add(key, "names version " + entry.version.text() + ", which is not there");
    }
    return;
  }
  const auto of = version_parts(*named);
  if (!of.ok() || state.findings.has(index)) return;  // has its finding
  if (of->model != parts.model || of->components != parts.components) {
    state.findings.add(key, "names version " + entry.version.text() + ", which is another node's");
    return;
  }
  const auto value = state.get(*named);
  const auto record = value ? wire::decode<wire::VersionRecord>(*value) : Result<wire::VersionRecord>(corrupt("gone"));
  if (!record.ok() || state.findings.has(*named)) return;  // has its finding
  if (record->artefact != entry.artefact || record->artefact_bytes != entry.artefact_bytes) {
    state.findings.add(key, "names another artefact than version " + entry.version.text() + " has");
  }
}

void check_tagging_release(CheckState& state, std::string_view key, const TagParts& parts,
                           const wire::TagEntry& entry) {
  const std::string index = keys::release_by_uuid(parts.tenant, entry.release);
  const auto named = state.get(index);
  if (!named) {
    if (!state.findings.has(index)) {
      state.findings.add(key, "was set by release " + entry.release.text() + ", which is not there");
    }
    return;
  }
  const auto of = release_parts(*named);
  if (!of.ok() || state.findings.has(index)) return;
  if (of->epoch != parts.epoch || of->model != parts.model) {
    state.findings.add(
        key, "was set by release " + entry.release.text() + ", which is of epoch " + std::to_string(of->epoch));
  }
}

void tag_entry(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = tag_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  state.require_epoch(parts->epoch, key);
  ++state.epochs[parts->epoch].tagged;
  const std::uint64_t tag = xxh3_64(keys::tag_prefix(parts->tenant, parts->model, parts->tag));
  const std::string of_model = model::model_key(parts->tenant, parts->model);
  const bool is_named = !state.model_tags.insert(tag).second || state.unread_models.contains(of_model);
  if (!is_named) {  // one finding
    state.findings.add_other("M", parts->tenant + "/" + parts->model,
                             "does not name its tag " + parts->tag + ", which has entries");
  }
  const auto entry = decode_entry(value);
  if (!entry.ok()) {
    state.epochs[parts->epoch].is_explained = true;
    state.findings.add(key, "does not decode: " + entry.status().message());
    return;
  }
  if (entry->kind == wire::EntryKind::version) check_tagged_version(state, key, *parts, *entry);
  check_tagging_release(state, key, *parts, *entry);
}

// -------------------------------------------------------------------------------------------------------- moved
// entries

void begin_chunks(CheckState& state, std::uint64_t epoch, std::string_view key) {
  state.chunk_epoch = epoch;
  state.chunk_change.reset();
  const std::string feed = keys::feed(epoch);
  const auto value = state.get(feed);
  if (!value) {
    state.require(feed, named_by(key));
    state.epochs[epoch].is_explained = true;
    return;
  }
  auto change = wire::decode<wire::Change>(*value);
  if (change.ok()) state.chunk_change = *std::move(change);
}

/// T up to its partitions, of the entry of that number.
std::string prefix_of_moved(const wire::Change& change, std::uint64_t place) {
  const std::string* tag = &change.tag;
  std::uint64_t end = change.count;
  for (const wire::TagMoved& moved : change.more) {
    if (place < end) break;
    tag = &moved.tag;
    end += moved.count;
  }
  return keys::tag_prefix(change.tenant, change.model, *tag);
}

void moved_entry(CheckState& state, std::string_view key, const MovedEntry& moved) {
  EpochSeen& seen = state.epochs[state.chunk_epoch];
  const std::uint64_t place = seen.listed++;
  if (!state.chunk_change) return;
  const std::string tagged =
      keys::node_at(prefix_of_moved(*state.chunk_change, place), moved.components, state.chunk_epoch);
  const auto value = state.get(tagged);
  if (!value) {
    seen.is_explained = true;
    state.findings.add(tagged, "is missing: " + named_by(key), encode_entry(moved.entry));
  } else if (*value != encode_entry(moved.entry)) {
    state.findings.add(tagged, "is another one than " + std::string(key.substr(0, 1)) + " " + readable(key) + " lists");
  }
}

void chunk(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = chunk_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  if (parts->epoch != state.chunk_epoch) begin_chunks(state, parts->epoch, key);
  EpochSeen& seen = state.epochs[parts->epoch];
  for (; seen.next_chunk < parts->chunk && !seen.is_explained; ++seen.next_chunk) {
    seen.is_explained = true;    // by the first that is missing
    state.chunk_change.reset();  // of which tag the next entry is can't be told
    state.findings.add(keys::changed(parts->epoch, seen.next_chunk), "is missing, later ones are there");
  }
  seen.next_chunk = parts->chunk + 1;
  const auto moved = moved_entries(value);
  if (!moved.ok()) {
    seen.is_explained = true;
    state.chunk_change.reset();
    state.findings.add(key, "does not decode: " + moved.status().message());
    return;
  }
  for (const MovedEntry& entry : *moved) moved_entry(state, key, entry);
}

bool chunks_are_read(CheckState& state) {
  if (!state.epoch_at) state.epoch_at = state.epochs.begin();
  auto& at = *state.epoch_at;
  for (int i = 0; i < kEpochsAtOnce && at != state.epochs.end(); ++i, ++at) {
    auto& [epoch, seen] = *at;
    if (!seen.has_change || seen.is_explained || seen.listed >= seen.change_count) continue;
    seen.is_explained = true;
    state.findings.add(keys::changed(epoch, seen.next_chunk), "is missing: the change moved " +
                                                                  std::to_string(seen.change_count) + " nodes, " +
                                                                  std::to_string(seen.listed) + " are listed");
  }
  return at == state.epochs.end();
}

/// After all: as many entries of the tags as were moved, neither fewer nor more.
void moved_by_release(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = release_parts(key);
  if (!parts.ok()) return;
  const auto record = wire::decode<wire::ReleaseRecord>(value);
  EpochSeen& seen = state.epochs[parts->epoch];
  ++seen.releases;
  seen.moved += record.ok() ? record->moved : 0;
  seen.is_explained |= !record.ok();
}

/// `key`: of any release of that epoch.
void moved_agrees(CheckState& state, std::string_view key, std::string_view) {
  const auto parts = release_parts(key);
  if (!parts.ok()) return;
  EpochSeen& seen = state.epochs[parts->epoch];
  // Of two releases of an epoch one may be missing: that is found elsewhere.
  if (seen.is_explained || seen.tagged == seen.moved) return;
  if (seen.has_change && seen.releases != seen.change_releases) return;
  seen.is_explained = true;
  state.findings.add(key, "moved " + std::to_string(seen.moved) + " nodes; of that epoch its tag holds " +
                              std::to_string(seen.tagged));
}

// ------------------------------------------------------------------------------------------- the view, and idempotency

void view(CheckState& state, std::string_view key, std::string_view value) {
  if (key.size() != 9) return state.add_bad_key(key);
  const std::uint64_t epoch = ~load_u64_be(key.data() + 1);
  state.require_epoch(epoch, key);
  const auto record = wire::decode<wire::ViewReply>(value);
  if (!record.ok()) {
    state.findings.add(key, "does not decode: " + record.status().message());
  } else if (record->epoch != epoch) {
    state.findings.add(key, "says that it is of epoch " + std::to_string(record->epoch));
  }
  require_change(state, epoch, key);
}

void idem(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = uuid_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  if (value.size() < 16) {
    state.findings.add(key, "is cut short");
    return;
  }
  const std::string index = keys::idem_by_time(load<std::int64_t>(value.data()), parts->tenant, parts->uuid);
  if (!state.has(index)) state.findings.add(index, "is missing: " + named_by(key), "");
}

void idem_index(CheckState& state, std::string_view key, std::string_view value) {
  const auto age = keys::parse_idem_by_time(key);
  if (!age.ok()) {
    state.findings.add(key, "no key of this table", std::nullopt);
    return;
  }
  if (!value.empty()) state.findings.add(key, "has a value", "");
  const auto record = state.get(age->idem_key);
  if (!record) {
    if (state.findings.add(age->idem_key, "is missing: " + named_by(key))) state.findings.mend(key, std::nullopt);
  } else if (record->size() >= 16 && load<std::int64_t>(record->data()) != age->time_us) {
    state.findings.add(key, "names a record of another time", std::nullopt);
  }
}

}  // namespace

void add_tag_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(Table::feed_horizon), horizon, nullptr});
  passes.push_back({keys::table(Table::feed), change, nullptr});
  passes.push_back({keys::table(Table::model), model_in_feed, nullptr});
  passes.push_back({keys::table(Table::release), release_in_feed, nullptr});
  passes.push_back({keys::table(Table::view), view, nullptr});
  passes.push_back({keys::table(Table::tag), tag_entry, nullptr});
  passes.push_back({keys::table(Table::changed), chunk, chunks_are_read});
  passes.push_back({keys::table(Table::release), moved_by_release, nullptr});
  passes.push_back({keys::table(Table::release), moved_agrees, nullptr});
  passes.push_back({keys::table(Table::idem), idem, nullptr});
  passes.push_back({keys::table(Table::idem_by_time), idem_index, nullptr});
}

}  // namespace espalier::registry::upkeep
