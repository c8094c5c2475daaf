// Datasets: what versions and runs were made from, by fingerprint (docs/datasets.md).
//
// A dataset's record is written again when it gets columns that it lacked; it is told as of any commit. Its index
// entries are written in the same batch.
//
// Thread safety: as the Store. Ownership: borrows the store. Errors: not_found for one that isn't there, or is another
// tenant's; failed_precondition where the same fingerprint is said to have other rows; invalid_argument names the
// member.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "registry/store.h"
#include "wire/dataset_messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMaxDatasetColumns = 4'096;
inline constexpr std::size_t kMaxTopValues = 64;           ///< of a column
inline constexpr std::size_t kMaxProfileBytes = 4u << 20;  ///< of a record
inline constexpr std::size_t kMaxDatasetsAsked = 256;

class Datasets {
 public:
  explicit Datasets(Store& store) : store_(store) {}

  Result<wire::DatasetRecord> get(const std::string& tenant, const Hash256& dataset,
                                  std::uint64_t epoch = std::numeric_limits<std::uint64_t>::max()) const;
  Result<std::optional<wire::DatasetRecord>> find(const std::string& tenant, const Hash256& dataset,
                                                  std::uint64_t epoch) const;
  /// Nothing is put where the record has all of it: then the epoch of the last commit that changed it.
  Result<std::uint64_t> put(Batch& batch, const wire::DatasetRecord& dataset, const std::string& principal) const;
  /// The same of one that was put elsewhere: principal and time stay what they were.
  Result<std::uint64_t> bring(Batch& batch, const wire::DatasetRecord& dataset) const;
  /// failed_precondition: other rows, or rows of another file, are there under that fingerprint.
  Status check_same(const std::string& tenant, const Hash256& dataset, const Hash256& file, std::uint64_t rows) const;

 private:
  Store& store_;
};

/// Entries of table Y that a record asks for: what it is found by.
void each_dataset_entry(const wire::DatasetRecord& dataset,
                        const std::function<void(std::string_view key, std::string_view value)>& take);

}  // namespace espalier::registry
