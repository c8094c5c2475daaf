// A model's history on its way from one registry to another: the records of an archive in the order in which an import
// takes them, commit by commit, what is named before what names it (docs/moving.md).
//
// Thread safety: values. Ownership: a History borrows keys and values. Errors: corrupt: an archive whose records don't
// belong together; invalid_argument: none of histories.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "common/uuid.h"
#include "registry/moving/named_datasets.h"
#include "registry/upkeep/archive.h"

namespace espalier::registry {

/// A record as it stands in an archive: epochs are numbers of commits, from 1.
struct MovedRecord {
  std::uint64_t commit = 0;
  std::string_view key, value;
};
/// A dataset belongs to its tenant, not to one history: it has no commit.
struct MovedDataset {
  std::string tenant;
  Hash256 dataset, file;
  std::uint64_t rows = 0;
  std::string_view key, value;
};
struct History {
  std::string tenant, model;
  std::vector<std::int64_t> times;   ///< of its commits, ascending
  std::vector<MovedRecord> records;  ///< in the order of an import, once it is sorted
  std::vector<Uuid> versions, releases, runs;
  std::vector<MovedDataset> datasets;  ///< that its versions and runs name, by fingerprint
  std::uint64_t entries = 0;           ///< of tags
  std::uint64_t points = 0;            ///< of the runs' metrics
  std::uint64_t without_artefact = 0;  ///< versions whose artefact is gone, or never was there

  std::size_t most_in_step = 256;  ///< records; they take the registry some milliseconds

  /// Takes a record of any of the tables but N. corrupt: it isn't one of this model's history.
  Status add(std::string_view key, std::string_view value);
  /// Puts the records into the order of an import, and checks that each has its commit.
  Status sort();
  /// What tells it from every other history. Of files and datasets, which may be another model's too, only which they
  /// are. REQUIRES: sort()
  Hash256 hash() const;
  /// What one step of an import takes from record `from` on: a payload as in an archive, and how many are in it.
  struct Slice {
    std::string payload;
    std::uint64_t records = 0;
  };
  Slice slice(std::uint64_t from) const;

  NamedDatasets named;  ///< by the records so far
};
/// As `slice`, of datasets.
History::Slice slice_of(const std::vector<MovedDataset>& datasets, std::uint64_t from);

/// Of each model in the archive, sorted; they borrow from it. failed_precondition: it holds a whole registry.
Result<std::vector<History>> histories_of(const upkeep::Archive& archive);
/// The same of records, in the order of an archive.
using TakeRecord = std::function<Status(std::string_view key, std::string_view value)>;
Result<std::vector<History>> histories_of(const std::function<Status(const TakeRecord& take)>& each_record);
/// All datasets of the archive, also those that no history names.
Result<std::vector<MovedDataset>> datasets_of(const upkeep::Archive& archive);

}  // namespace espalier::registry
