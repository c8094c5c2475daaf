#include "registry/upkeep/key_parts.h"

#include "common/bytes.h"
#include "model/ids.h"
#include "registry/keys.h"

namespace espalier::registry::upkeep {
namespace {

constexpr std::size_t kEpochBytes = 8;

Status bad(std::string_view key) { return corrupt("not a key of its table: " + to_hex(key)); }

/// Takes the component in front; false: there is no whole one.
bool take_component(std::string_view& left, std::string& component) {
  component.clear();
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i] != '\0') {
      component.push_back(left[i]);
      continue;
    }
    if (i + 1 == left.size()) return false;
    const char mark = left[++i];
    if (mark == '\x01') {
      left.remove_prefix(i + 1);
      return true;
    }
    if (mark != '\xFF') return false;
    component.push_back('\0');
  }
  return false;
}

}  // namespace

Result<Names> split_names(std::string_view key, std::size_t count) {
  Names names;
  if (key.empty()) return bad(key);
  std::string_view left = key.substr(1);
  for (std::size_t i = 0; i < count; ++i) {
    if (!take_component(left, names.names.emplace_back())) return bad(key);
  }
  names.rest = left;
  names.prefix_bytes = key.size() - left.size();
  return names;
}

Result<ModelParts> model_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 2));
  if (names.rest.size() != kEpochBytes) return bad(key);
  return ModelParts{std::move(names.names[0]), std::move(names.names[1]), ~load_u64_be(names.rest.data())};
}

Result<HashParts> hash_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 1));
  if (names.rest.size() != sizeof(Hash256)) return bad(key);
  ASSIGN_OR_RETURN(const Hash256 hash, Hash256::from_bytes(names.rest));
  return HashParts{std::move(names.names[0]), hash};
}

Result<UuidParts> uuid_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 1));
  if (names.rest.size() != sizeof(Uuid)) return bad(key);
  ASSIGN_OR_RETURN(const Uuid uuid, Uuid::from_bytes(names.rest));
  return UuidParts{std::move(names.names[0]), uuid};
}

Result<VersionParts> version_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 2));
  ASSIGN_OR_RETURN(const keys::VersionKey parsed, keys::parse_version(key, names.prefix_bytes));
  return VersionParts{std::move(names.names[0]), std::move(names.names[1]), parsed.components, parsed.epoch,
                      parsed.version};
}

Result<ReleaseParts> release_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 2));
  if (names.rest.size() != kEpochBytes + sizeof(Uuid)) return bad(key);
  ASSIGN_OR_RETURN(const Uuid release, Uuid::from_bytes(names.rest.substr(kEpochBytes)));
  return ReleaseParts{std::move(names.names[0]), std::move(names.names[1]), ~load_u64_be(names.rest.data()), release};
}

Result<TagParts> tag_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 3));
  ASSIGN_OR_RETURN(const keys::TagKey parsed, keys::parse_tag(key, names.prefix_bytes));
  return TagParts{std::move(names.names[0]), std::move(names.names[1]), std::move(names.names[2]), parsed.components,
                  parsed.epoch};
}

Result<RunParts> run_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 1));
  if (names.rest.size() < sizeof(Uuid) + 1 + kEpochBytes) return bad(key);
  RunParts parts;
  parts.tenant = std::move(names.names[0]);
  ASSIGN_OR_RETURN(parts.run, Uuid::from_bytes(names.rest.substr(0, sizeof(Uuid))));
  parts.part = names.rest[sizeof(Uuid)];
  parts.tail = names.rest.substr(sizeof(Uuid) + 1);
  if (parts.part == static_cast<char>(keys::RunPart::points)) {
    if (parts.tail.size() < 2 * kEpochBytes + 4) return bad(key);
    parts.epoch = load_u64_be(key.data() + key.size() - kEpochBytes - 4);
  } else {
    if (parts.tail.size() != kEpochBytes) return bad(key);
    parts.epoch = ~load_u64_be(parts.tail.data());
  }
  return parts;
}

Result<DatasetParts> dataset_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 1));
  if (names.rest.size() != sizeof(Hash256) + kEpochBytes) return bad(key);
  ASSIGN_OR_RETURN(const Hash256 dataset, Hash256::from_bytes(names.rest.substr(0, sizeof(Hash256))));
  return DatasetParts{std::move(names.names[0]), dataset, ~load_u64_be(names.rest.data() + sizeof(Hash256))};
}

Result<ChunkParts> chunk_parts(std::string_view key) {
  if (key.size() != 1 + kEpochBytes + 4) return bad(key);
  return ChunkParts{load_u64_be(key.data() + 1), load_u32_be(key.data() + 1 + kEpochBytes)};
}

Result<IndexParts> index_parts(std::string_view key) {
  ASSIGN_OR_RETURN(Names names, split_names(key, 2));
  if (names.rest.empty()) return bad(key);
  IndexParts parts;
  parts.tenant = std::move(names.names[0]);
  parts.model = std::move(names.names[1]);
  parts.index = names.rest[0];
  std::string_view left = names.rest.substr(1);
  switch (static_cast<keys::Index>(parts.index)) {
    case keys::Index::commits:
      if (left.size() != kEpochBytes + 4) return bad(key);
      parts.epoch = load_u64_be(left.data());
      parts.block = load_u32_be(left.data() + kEpochBytes);
      return parts;
    case keys::Index::attributes:
      if (!take_component(left, parts.name) || !take_component(left, parts.text)) return bad(key);
      if (left.size() != kEpochBytes) return bad(key);
      parts.epoch = load_u64_be(left.data());
      return parts;
    case keys::Index::numbers:
      if (!take_component(left, parts.name) || left.size() != 2 * kEpochBytes + sizeof(Uuid)) return bad(key);
      parts.number = load_u64_be(left.data());
      parts.epoch = load_u64_be(left.data() + kEpochBytes);
      parts.version = *Uuid::from_bytes(left.substr(2 * kEpochBytes));
      return parts;
    case keys::Index::left_out:
      if (!take_component(left, parts.name) || !left.empty()) return bad(key);
      return parts;
  }
  return bad(key);
}

std::string partition_text(std::string_view components) {
  const auto values = model::split_components(components);
  if (!values.ok()) return to_hex(components);
  const auto partition = model::Partition::from_values(*values);
  return partition.ok() ? partition->text() : to_hex(components);
}

}  // namespace espalier::registry::upkeep
