// S, A, M, R, r, V, v: records by what they name, and their indexes by UUID.
#include "model/ids.h"
#include "model/spec.h"
#include "registry/keys.h"
#include "registry/search/index.h"
#include "registry/upkeep/check_state.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry::upkeep {
namespace {

using keys::Table;

template <class Record>
std::optional<Record> decoded(CheckState& state, std::string_view key, std::string_view value) {
  auto record = wire::decode<Record>(value);
  if (record.ok()) return *std::move(record);
  state.findings.add(key, "does not decode: " + record.status().message());
  return std::nullopt;
}

/// The index by UUID names the record. `index`: its key.
void check_index(CheckState& state, const std::string& index, std::string_view key) {
  const auto named = state.get(index);
  if (!named) {
    state.findings.add(index, "is missing: " + named_by(key), std::string(key));
  } else if (*named != key) {
    state.findings.add(index, "names another record than " + readable(key), std::string(key));
  }
}

// ------------------------------------------------------------------------------------------------- specs and artefacts

void spec(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = hash_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  if (blake2b_256(value) != parts->hash) state.findings.add(key, "the text does not have that hash");
}

void check_bytes(CheckState& state, std::string_view key, const HashParts& parts, const ArtefactRecord& record) {
  const std::string name = parts.tenant + " " + parts.hash.hex();
  const auto bytes = state.records.artefacts.held(parts.tenant, parts.hash);
  if (!bytes.ok()) {
    // Collected since the snapshot: then the record is gone too.
    const auto now = state.records.artefacts.find(parts.tenant, parts.hash);
    if (now.ok() && !*now) return;
    state.findings.add_other("pack", name, bytes.status().message());
    return;
  }
  ++state.counts.artefacts;
  auto examined = examine_artefact(*bytes);
  if (examined.ok()) examined->uploaded_us = record.uploaded_us;  // the bytes don't say
  if (!examined.ok()) {
    state.findings.add_other("pack", name, examined.status().message());
  } else if (encode_artefact(*examined) != encode_artefact(record)) {
    state.findings.add(key, "says other things than the artefact does", encode_artefact(*examined));
  }
}

void artefact(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = hash_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  state.tenants.insert(parts->tenant);
  const auto record = decode_artefact(value);
  if (!record.ok()) {
    std::optional<std::string> mended;
    const auto bytes = state.records.artefacts.held(parts->tenant, parts->hash);
    if (bytes.ok()) {
      const auto examined = examine_artefact(*bytes);
      if (examined.ok()) mended = encode_artefact(*examined);
    }
    const std::string what = "does not decode: " + record.status().message();
    if (mended) {
      state.findings.add(key, what, std::move(mended));
    } else {
      state.findings.add(key, what);
    }
    return;
  }
  check_bytes(state, key, *parts, *record);
}

/// An artefact that something names. Where its record is gone, its bytes may still tell what was in it.
std::optional<ArtefactRecord> require_artefact(CheckState& state, const std::string& tenant, const Hash256& hash,
                                               std::string_view by) {
  const std::string key = keys::artefact(tenant, hash);
  const auto value = state.get(key);
  if (value) {
    const auto record = decode_artefact(*value);
    return record.ok() ? std::optional(*record) : std::nullopt;  // has its finding
  }
  if (state.findings.has(key)) return std::nullopt;
  const std::string what = "is missing: " + named_by(by);
  const auto bytes = state.records.artefacts.held(tenant, hash);
  const auto examined = bytes.ok() ? examine_artefact(*bytes) : Result<ArtefactRecord>(bytes.status());
  if (!examined.ok()) {
    state.findings.add(key, what);
    return std::nullopt;
  }
  state.findings.add(key, what, encode_artefact(*examined));
  return *examined;
}

void bases(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = hash_parts(key);
  const auto record = decode_artefact(value);
  if (!parts.ok() || !record.ok() || record->base.is_none()) return;
  require_artefact(state, parts->tenant, record->base, key);
}

/// Uploads that were cut short leave these.
bool artefacts_without_record(CheckState& state) {
  if (state.unrecorded.empty()) {
    if (state.tenants.empty()) return true;
    state.unrecorded_of = std::move(state.tenants.extract(state.tenants.begin()).value());
    const auto hashes = state.records.artefacts.hashes(state.unrecorded_of);
    if (hashes.ok()) state.unrecorded = *hashes;  // else each of its artefacts is a finding
    return false;
  }
  const Hash256 hash = state.unrecorded.back();
  state.unrecorded.pop_back();
  if (state.has(keys::artefact(state.unrecorded_of, hash))) return false;
  // The pack is as it is now: what was uploaded since the snapshot has its record by now.
  const auto now = state.records.artefacts.find(state.unrecorded_of, hash);
  if (!now.ok() || !*now) ++state.counts.passed_over;
  return false;
}

// -------------------------------------------------------------------------------------------------------------- models

void model(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = model_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  state.models.insert(model::model_key(parts->tenant, parts->model));
  // Between the epochs of its history and the end of its import a model isn't there.
  if (value.empty() && state.imported.contains(model::model_key(parts->tenant, parts->model))) {
    state.require_epoch(parts->epoch, key);
    return;
  }
  const auto record = decoded<wire::ModelRecord>(state, key, value);
  if (!record) {
    state.unread_models.insert(model::model_key(parts->tenant, parts->model));
    return;
  }
  if (record->tenant != parts->tenant || record->model != parts->model) {
    state.findings.add(key, "is of model " + record->tenant + "/" + record->model);
    return;
  }
  state.require_epoch(parts->epoch, key);
  for (const std::string& tag : record->tags) {
    state.model_tags.insert(xxh3_64(keys::tag_prefix(parts->tenant, parts->model, tag)));
  }
  const std::string spec_key = keys::spec(parts->tenant, record->spec);
  if (state.findings.has(spec_key)) return;
  if (state.has(spec_key)) return;
  const std::string what = "is missing: " + named_by(key);
  if (blake2b_256(record->spec_json) == record->spec) {
    state.findings.add(spec_key, what, record->spec_json);
  } else {
    state.findings.add(spec_key, what);
  }
}

void require_model(CheckState& state, const std::string& tenant, const std::string& name, std::string_view by) {
  const std::string id = model::model_key(tenant, name);
  if (state.models.contains(id)) return;
  state.models.insert(id);  // one finding
  state.findings.add_other("M", tenant + "/" + name, "has no record: " + named_by(by));
}

// ------------------------------------------------------------------------------------------------------------ releases

void release(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = release_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  require_model(state, parts->tenant, parts->model, key);
  check_index(state, keys::release_by_uuid(parts->tenant, parts->release), key);
  state.require_epoch(parts->epoch, key);
  CommitSeen& commit = state.commits[model::model_key(parts->tenant, parts->model)][parts->epoch];
  commit.has_release = true;
  const auto record = decoded<wire::ReleaseRecord>(state, key, value);
  if (!record) {
    ++commit.gone;
    return;
  }
  if (record->release != parts->release || record->epoch != parts->epoch) {
    state.findings.add(
        key, "says that it is release " + record->release.text() + " of epoch " + std::to_string(record->epoch));
    return;
  }
  search::CommitIndex index(parts->tenant, parts->model, parts->epoch);
  index.add(*record);
  require_index(state, parts->tenant, parts->model, index, key);
}

void release_index(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = uuid_parts(key);
  if (!parts.ok()) {
    state.findings.add(key, "no key of this table", std::nullopt);
    return;
  }
  const auto named = value.starts_with(keys::table(Table::release)) ? release_parts(value)
                                                                    : Result<ReleaseParts>(corrupt("another table"));
  if (!named.ok() || named->tenant != parts->tenant || named->release != parts->uuid) {
    state.findings.add(key, "doesn't name a record of that release", std::nullopt);
    return;
  }
  if (state.has(value)) return;
  ++state.commits[model::model_key(named->tenant, named->model)][named->epoch].gone;
  state.require(value, named_by(key));
}

// ------------------------------------------------------------------------------------------------------------ versions

void check_version_release(CheckState& state, std::string_view key, const VersionParts& parts,
                           const wire::VersionRecord& record) {
  const std::string index = keys::release_by_uuid(parts.tenant, record.release);
  const auto named = state.get(index);
  if (!named) {
    if (!state.findings.has(index)) {
      state.findings.add(key, "was published in release " + record.release.text() + ", which is not there");
    }
    return;
  }
  const auto made = release_parts(*named);
  if (!made.ok()) return;  // has its finding
  if (made->epoch != parts.epoch || made->model != parts.model) {
    state.findings.add(key, "was published in release " + record.release.text() + ", which is of " + made->tenant +
                                "/" + made->model + " epoch " + std::to_string(made->epoch));
  }
}

void check_version_artefact(CheckState& state, std::string_view key, const VersionParts& parts,
                            const wire::VersionRecord& record) {
  // Its bytes are gone, its record stays: docs/space.md.
  if (state.has(keys::collected(parts.tenant, record.version))) return;
  const auto artefact = require_artefact(state, parts.tenant, record.artefact, key);
  if (!artefact) return;
  if (artefact->base != record.base || artefact->bytes != record.artefact_bytes) {
    state.findings.add(key, "says another base or size than its artefact");
  }
}

void version(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = version_parts(key);
  if (!parts.ok()) return state.add_bad_key(key);
  require_model(state, parts->tenant, parts->model, key);
  check_index(state, keys::version_by_uuid(parts->tenant, parts->version), key);
  CommitSeen& commit = state.commits[model::model_key(parts->tenant, parts->model)][parts->epoch];
  ++commit.versions;
  const EpochSeen* const epoch = state.require_epoch(parts->epoch, key);
  const auto record = decoded<wire::VersionRecord>(state, key, value);
  if (!record) {
    ++commit.gone;
    return;
  }
  if (record->version != parts->version || record->epoch != parts->epoch ||
      keys::components(record->partition) != parts->components) {
    state.findings.add(
        key, "says that it is version " + record->version.text() + " of epoch " + std::to_string(record->epoch));
    return;
  }
  if (epoch != nullptr && epoch->time_us != 0 && record->created_us > epoch->time_us) {
    state.findings.add(key, "was made after its commit");
  }
  check_version_release(state, key, *parts, *record);
  check_version_artefact(state, key, *parts, *record);
  state.require(keys::spec(parts->tenant, record->spec), named_by(key));
  search::CommitIndex index(parts->tenant, parts->model, parts->epoch);
  index.add(parts->components, *record);
  require_index(state, parts->tenant, parts->model, index, key);
}

void version_index(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = uuid_parts(key);
  if (!parts.ok()) {
    state.findings.add(key, "no key of this table", std::nullopt);
    return;
  }
  const auto named = value.starts_with(keys::table(Table::version)) ? version_parts(value)
                                                                    : Result<VersionParts>(corrupt("another table"));
  if (!named.ok() || named->tenant != parts->tenant || named->version != parts->uuid) {
    state.findings.add(key, "doesn't name a record of that version", std::nullopt);
    return;
  }
  state.require(value, named_by(key));
}

/// After the index: a parent whose index alone is gone has a finding there.
void parent(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = version_parts(key);
  const auto record = wire::decode<wire::VersionRecord>(value);
  if (!parts.ok() || !record.ok() || record->parent.is_nil()) return;
  const std::string index = keys::version_by_uuid(parts->tenant, record->parent);
  if (state.has(index) || state.findings.has(index)) return;
  state.findings.add(key, "its parent is version " + record->parent.text() + ", which is not there");
}

}  // namespace

void add_record_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(Table::spec), spec, nullptr});
  passes.push_back({keys::table(Table::artefact), artefact, artefacts_without_record});
  passes.push_back({keys::table(Table::artefact), bases, nullptr});
  passes.push_back({keys::table(Table::model), model, nullptr});
  passes.push_back({keys::table(Table::release), release, nullptr});
  passes.push_back({keys::table(Table::release_by_uuid), release_index, nullptr});
  passes.push_back({keys::table(Table::version), version, nullptr});
  passes.push_back({keys::table(Table::version_by_uuid), version_index, nullptr});
  passes.push_back({keys::table(Table::version), parent, nullptr});
}

}  // namespace espalier::registry::upkeep
