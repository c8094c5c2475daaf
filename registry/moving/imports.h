// Which models' histories were imported, or are being imported, and as of when reads of them are (docs/moving.md;
// tables H and h).
//
// Thread safety: as the Store. Errors: the store's; corrupt where a record doesn't decode.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "registry/feed.h"
#include "registry/store.h"
#include "wire/moving_messages.h"

namespace espalier::registry {

class Imports {
 public:
  explicit Imports(Store& store) : store_(store) {}

  Result<std::optional<wire::ImportRecord>> find(const std::string& tenant, const std::string& model) const;
  /// Whether any model's history was imported, or is being imported; of that tenant, or at all.
  Result<bool> has_any(const std::string& tenant = {}) const;
  /// failed_precondition: a history of that model is being imported.
  Status check_none_under_way(const std::string& tenant, const std::string& model) const;

  /// Feed::as_of() for reads of one model: of a time before its import, as its history has it.
  Result<std::uint64_t> as_of(const Feed& feed, const std::string& tenant, const std::string& model,
                              std::uint64_t epoch, std::int64_t time_us) const;
  /// Epoch of the last commit of an imported history at or before a time, and of the first at or after it; 0: none.
  Result<std::uint64_t> last_until(const std::string& tenant, const std::string& model, std::int64_t time_us) const;
  Result<std::uint64_t> first_from(const std::string& tenant, const std::string& model, std::int64_t time_us) const;

  /// The same as of any commit, for runs: they are told as of those, too.
  Result<std::uint64_t> commit_as_of(const Feed& feed, const std::string& tenant, const std::string& model,
                                     std::uint64_t epoch, std::int64_t time_us) const;
  /// Whether a run of that model which began in `began` is one that nobody sees as of an epoch: an import brings it,
  /// or brought it later.
  Result<bool> hides(const std::string& tenant, const std::string& model, std::uint64_t began,
                     std::uint64_t epoch) const;
  static bool hides(const wire::ImportRecord& record, std::uint64_t began, std::uint64_t epoch);

  static void put(Batch& batch, const std::string& tenant, const std::string& model, const wire::ImportRecord& record);

 private:
  /// Of a time before the model's import: the epoch that stands for it.
  Result<std::optional<std::uint64_t>> of_history(const std::string& tenant, const std::string& model,
                                                  std::uint64_t epoch, std::int64_t time_us) const;
  Store& store_;
};

}  // namespace espalier::registry
