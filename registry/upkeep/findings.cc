#include "registry/upkeep/findings.h"

#include <bit>
#include <cstdio>

#include "common/bytes.h"
#include "common/hash.h"
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry::upkeep {
namespace {

using keys::Table;

std::string at_epoch(std::uint64_t epoch) { return "epoch " + std::to_string(epoch); }

std::string node_text(const std::string& tenant, const std::string& model, std::string_view components) {
  const std::string partition = partition_text(components);
  return tenant + "/" + model + (partition.empty() ? "" : "@" + partition);
}

/// Undoes search::sortable_bits().
std::string number_text(std::uint64_t bits) {
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", std::bit_cast<double>((bits & kSign) != 0 ? bits & ~kSign : ~bits));
  return text;
}

Result<std::string> index_text(std::string_view key) {
  ASSIGN_OR_RETURN(const IndexParts parts, index_parts(key));
  const std::string of = parts.tenant + "/" + parts.model + " ";
  switch (static_cast<keys::Index>(parts.index)) {
    case keys::Index::commits: return of + at_epoch(parts.epoch) + " block " + std::to_string(parts.block);
    case keys::Index::attributes: return of + parts.name + "=" + parts.text + " " + at_epoch(parts.epoch);
    case keys::Index::numbers:
      return of + parts.name + "=" + number_text(parts.number) + " " + at_epoch(parts.epoch) + " " +
             parts.version.text();
    case keys::Index::left_out: return of + parts.name + " without an index";
  }
  return of;
}

/// What a run has: its records by epoch, its points.
Result<std::string> run_part_text(std::string_view key) {
  ASSIGN_OR_RETURN(const Names names, split_names(key, 1));
  if (names.rest.size() < sizeof(Uuid) + 1 + 8) return corrupt("another size");
  const std::string_view tail = names.rest.substr(sizeof(Uuid) + 1);
  const std::string of = names.names[0] + " " + Uuid::from_bytes(names.rest.substr(0, sizeof(Uuid)))->text() + " ";
  switch (static_cast<keys::RunPart>(names.rest[sizeof(Uuid)])) {
    case keys::RunPart::state: return of + "state " + at_epoch(~load_u64_be(tail.data()));
    case keys::RunPart::last: return of + "last " + at_epoch(~load_u64_be(tail.data()));
    case keys::RunPart::points: {
      constexpr std::size_t kNumbers = 20;
      if (tail.size() < kNumbers) return corrupt("another size");
      ASSIGN_OR_RETURN(const auto name, model::split_components(tail.substr(0, tail.size() - kNumbers)));
      if (name.size() != 1) return corrupt("another size");
      return of + name[0] + " step " + std::to_string(load_u64_be(tail.data() + tail.size() - kNumbers)) + " " +
             at_epoch(load_u64_be(tail.data() + tail.size() - kNumbers + 8)) + " " +
             std::to_string(load_u32_be(tail.data() + tail.size() - 4));
    }
  }
  return corrupt("no such part");
}

/// "acme/total status=failed epoch 12 0190…", "acme/total metrics.rmse=81.2 epoch 12 0190…"
Result<std::string> record_index_text(std::string_view key) {
  ASSIGN_OR_RETURN(const Names names, split_names(key, 2));
  const bool is_dataset = names.names[1].empty();
  const std::size_t place_bytes = is_dataset ? sizeof(Hash256) : 8 + sizeof(Uuid);
  if (names.rest.size() < 1 + place_bytes) return corrupt("another size");
  const std::string_view tail = names.rest.substr(1, names.rest.size() - 1 - place_bytes);
  const std::string_view place = names.rest.substr(names.rest.size() - place_bytes);
  const std::string of = names.names[0] + (is_dataset ? " " : "/" + names.names[1] + " ");
  const std::string run =
      " " + (is_dataset ? to_hex(place)
                        : at_epoch(~load_u64_be(place.data())) + " " + Uuid::from_bytes(place.substr(8))->text());
  switch (static_cast<keys::RecordIndex>(names.rest[0])) {
    case keys::RecordIndex::open: return of + "running" + run;
    case keys::RecordIndex::ended: return of + "ended" + run;
    case keys::RecordIndex::made: return of + "made" + run;
    case keys::RecordIndex::attributes: {
      ASSIGN_OR_RETURN(const auto pair, model::split_components(tail));
      if (pair.size() != 2) return corrupt("another size");
      return of + pair[0] + "=" + pair[1] + run;
    }
    case keys::RecordIndex::numbers: {
      if (tail.size() < 8) return corrupt("another size");
      ASSIGN_OR_RETURN(const auto name, model::split_components(tail.substr(0, tail.size() - 8)));
      if (name.size() != 1) return corrupt("another size");
      return of + name[0] + "=" + number_text(load_u64_be(tail.data() + tail.size() - 8)) + run;
    }
  }
  return corrupt("no such index");
}

Result<std::string> dated_text(std::string_view key, bool newest_first) {
  if (key.size() != 9) return corrupt("another size");
  const std::uint64_t epoch = load_u64_be(key.data() + 1);
  return at_epoch(newest_first ? ~epoch : epoch);
}

Result<std::string> idem_text(std::string_view key) {
  ASSIGN_OR_RETURN(const UuidParts parts, uuid_parts(key));
  return parts.tenant + " " + parts.uuid.text();
}

Result<std::string> text_of(std::string_view key) {
  switch (static_cast<Table>(key.front())) {
    case Table::generation:
    case Table::migration:
    case Table::feed_horizon: return std::string(key.size() == 1 ? "" : to_hex(key));
    case Table::epoch:
    case Table::feed: return dated_text(key, false);
    case Table::view: return dated_text(key, true);
    case Table::key: {
      if (key.size() == 1) return std::string();
      ASSIGN_OR_RETURN(const Names names, split_names(key, 1));
      if (names.rest.size() != 8) return corrupt("another size");
      return names.names[0] + " " + at_epoch(~load_u64_be(names.rest.data()));
    }
    case Table::time: {
      if (key.size() != 9) return corrupt("another size");
      return std::to_string(load_u64_be(key.data() + 1)) + " us";
    }
    case Table::changed: {
      ASSIGN_OR_RETURN(const ChunkParts parts, chunk_parts(key));
      return at_epoch(parts.epoch) + " chunk " + std::to_string(parts.chunk);
    }
    case Table::history: {
      ASSIGN_OR_RETURN(const Names names, split_names(key, 2));
      if (names.rest.size() != 8) return corrupt("another size");
      return names.names[0] + "/" + names.names[1] + " " + std::to_string(load_u64_be(names.rest.data())) + " us";
    }
    case Table::imported: {
      ASSIGN_OR_RETURN(const Names names, split_names(key, 2));
      const std::string of = names.names[0] + "/" + names.names[1];
      if (names.rest.empty()) return of;
      if (names.rest.size() != 8) return corrupt("another size");
      return of + " " + at_epoch(load_u64_be(names.rest.data()));
    }
    case Table::retention:
    case Table::model: {
      ASSIGN_OR_RETURN(const ModelParts parts, model_parts(key));
      return parts.tenant + "/" + parts.model + " " + at_epoch(parts.epoch);
    }
    case Table::run_part: return run_part_text(key);
    case Table::record_index: return record_index_text(key);
    case Table::dataset: {
      ASSIGN_OR_RETURN(const Names names, split_names(key, 1));
      if (names.rest.size() != sizeof(Hash256) + 8) return corrupt("another size");
      return names.names[0] + " " + to_hex(names.rest.substr(0, sizeof(Hash256))) + " " +
             at_epoch(~load_u64_be(names.rest.data() + sizeof(Hash256)));
    }
    case Table::run_file:
    case Table::spec:
    case Table::artefact: {
      ASSIGN_OR_RETURN(const HashParts parts, hash_parts(key));
      return parts.tenant + " " + parts.hash.hex();
    }
    case Table::version: {
      ASSIGN_OR_RETURN(const VersionParts parts, version_parts(key));
      return node_text(parts.tenant, parts.model, parts.components) + " " + at_epoch(parts.epoch) + " " +
             parts.version.text();
    }
    case Table::tag: {
      ASSIGN_OR_RETURN(const TagParts parts, tag_parts(key));
      return node_text(parts.tenant, parts.model, parts.components) + " tag " + parts.tag + " " + at_epoch(parts.epoch);
    }
    case Table::run:
    case Table::release: {
      ASSIGN_OR_RETURN(const ReleaseParts parts, release_parts(key));
      return parts.tenant + "/" + parts.model + " " + at_epoch(parts.epoch) + " " + parts.release.text();
    }
    case Table::run_by_uuid:
    case Table::version_by_uuid:
    case Table::release_by_uuid:
    case Table::collected:
    case Table::unfinished:
    case Table::idem: return idem_text(key);
    case Table::index: return index_text(key);
    case Table::idem_by_time: {
      ASSIGN_OR_RETURN(const keys::IdemAge age, keys::parse_idem_by_time(key));
      ASSIGN_OR_RETURN(const std::string idem, idem_text(age.idem_key));
      return std::to_string(age.time_us) + " us " + idem;
    }
    default: return corrupt("no such table");
  }
}

}  // namespace

std::string readable(std::string_view key) {
  if (key.empty()) return "";
  const auto text = text_of(key);
  return text.ok() ? *text : to_hex(key.substr(1));
}

bool Findings::note(std::string_view table, std::string_view key, std::string readable, std::string what) {
  if (!seen_.insert(xxh3_64(key)).second) return false;
  last_is_kept_ = kept_ < kKept;
  if (last_is_kept_) {
    ++kept_;
    if (!is_utf8(readable)) readable = to_hex(readable);
    findings_.push_back({std::string(table), std::move(readable), std::move(what), false});
  }
  return true;
}

bool Findings::add(std::string_view key, std::string what) {
  return note(key.substr(0, 1), key, readable(key), std::move(what));
}

bool Findings::add(std::string_view key, std::string what, std::optional<std::string> mended) {
  if (!add(key, std::move(what))) return false;
  mend(key, std::move(mended));
  return true;
}

void Findings::mend(std::string_view key, std::optional<std::string> value) {
  if (last_is_kept_) findings_.back().is_mendable = true;
  if (with_mends_) mends_.push_back({std::string(key), std::move(value)});
}

bool Findings::add_other(std::string_view table, std::string_view key, std::string what) {
  return note(table, std::string(table).append(" ").append(key), std::string(key), std::move(what));
}

void Findings::index_is_wrong(const std::string& tenant, const std::string& model) {
  if (last_is_kept_) findings_.back().is_mendable = true;
  indexes_.emplace(tenant, model);
}

bool Findings::has(std::string_view key) const { return seen_.contains(xxh3_64(key)); }

}  // namespace espalier::registry::upkeep
