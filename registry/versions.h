// Versions: immutable records, by node and by UUID.
//
// Thread safety: as the Store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/reading.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

class Versions {
 public:
  explicit Versions(Store& store) : store_(store) {}

  /// The version of that UUID if it is one of this model's.
  Result<std::optional<wire::VersionRecord>> find(const std::string& tenant, const std::string& model,
                                                  const Uuid& version);
  /// Whether the tenant has that UUID, in any of its models.
  Result<bool> is_taken(const std::string& tenant, const Uuid& version);
  /// Whether it has any from `least` to `greatest`.
  Result<bool> is_any_taken(const std::string& tenant, const Uuid& least, const Uuid& greatest);
  /// not_found "version UUID"
  Result<wire::VersionRecord> get(const std::string& tenant, const std::string& model, const Uuid& version);
  /// By partition, parents first, then newest first, as of `epoch`.
  Result<wire::VersionsReply> page(const wire::VersionsRequest& request, const PageCursor& cursor, std::uint64_t epoch);
  /// Puts versions of one model into a batch.
  class Writer {
   public:
    Writer(Batch& batch, const std::string& tenant, const std::string& model);
    /// `components`: the partition's.
    void put(std::string_view components, const wire::VersionRecord& record);

   private:
    Batch& batch_;
    const std::string prefix_;
    std::string by_uuid_;  ///< key of the last one
  };

 private:
  Store& store_;
};

}  // namespace espalier::registry
