// The keys of all tables taken apart, for whoever goes through the whole store.
//
// Thread safety: pure functions. Errors: corrupt: a key that registry/keys.h wouldn't build.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "common/uuid.h"

namespace espalier::registry::upkeep {

/// The names at the front of a key, and what follows them.
struct Names {
  std::vector<std::string> names;
  std::string_view rest;         ///< borrowed from the key
  std::size_t prefix_bytes = 0;  ///< of the key: table and names
};
Result<Names> split_names(std::string_view key, std::size_t count);

/// M: tenant, model, ~epoch.
struct ModelParts {
  std::string tenant, model;
  std::uint64_t epoch = 0;
};
Result<ModelParts> model_parts(std::string_view key);

/// S and A: tenant, hash.
struct HashParts {
  std::string tenant;
  Hash256 hash;
};
Result<HashParts> hash_parts(std::string_view key);

/// v and r: tenant, UUID.
struct UuidParts {
  std::string tenant;
  Uuid uuid;
};
Result<UuidParts> uuid_parts(std::string_view key);

/// V: tenant, model, partition, ~epoch, UUID.
struct VersionParts {
  std::string tenant, model;
  std::string_view components;  ///< borrowed from the key
  std::uint64_t epoch = 0;
  Uuid version;
};
Result<VersionParts> version_parts(std::string_view key);

/// R: tenant, model, ~epoch, UUID.
struct ReleaseParts {
  std::string tenant, model;
  std::uint64_t epoch = 0;
  Uuid release;
};
Result<ReleaseParts> release_parts(std::string_view key);

/// T: tenant, model, tag, partition, ~epoch.
struct TagParts {
  std::string tenant, model, tag;
  std::string_view components;  ///< borrowed from the key
  std::uint64_t epoch = 0;
};
Result<TagParts> tag_parts(std::string_view key);

/// P: tenant, run, what of it, ~epoch; of a point its name, step, epoch and number instead.
struct RunParts {
  std::string tenant;
  Uuid run;
  char part = 0;
  std::uint64_t epoch = 0;
  std::string_view tail;  ///< behind the part; borrowed from the key
};
Result<RunParts> run_parts(std::string_view key);

/// N: tenant, fingerprint, ~epoch.
struct DatasetParts {
  std::string tenant;
  Hash256 dataset;
  std::uint64_t epoch = 0;
};
Result<DatasetParts> dataset_parts(std::string_view key);

/// C: epoch, chunk.
struct ChunkParts {
  std::uint64_t epoch = 0;
  std::uint32_t chunk = 0;
};
Result<ChunkParts> chunk_parts(std::string_view key);

/// X: tenant, model, index, and what that index has.
struct IndexParts {
  std::string tenant, model;
  char index = 0;
  std::string name, text;  ///< a: both; n, m: name
  std::uint64_t number = 0;
  std::uint64_t epoch = 0;
  std::uint32_t block = 0;
  Uuid version;
};
Result<IndexParts> index_parts(std::string_view key);

/// "usa/ca" of a partition's components; hexadecimal when they are none.
std::string partition_text(std::string_view components);

}  // namespace espalier::registry::upkeep
