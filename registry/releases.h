// Releases: what moved a tag, when and by whom; by model and epoch, and by UUID.
//
// Thread safety: as the Store.
#pragma once

#include <optional>
#include <string>

#include "registry/reading.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

class Releases {
 public:
  explicit Releases(Store& store) : store_(store) {}

  /// not_found "release UUID" unless it is one of this model's.
  Result<wire::ReleaseRecord> get(const std::string& tenant, const std::string& model, const Uuid& release);
  /// already_exists when the tenant has that UUID, in any of its models.
  Status check_free(const std::string& tenant, const Uuid& release);
  /// Newest first.
  Result<wire::ReleasesReply> page(const wire::ReleasesRequest& request, const PageCursor& cursor, std::uint64_t epoch);
  static void put(Batch& batch, const std::string& tenant, const std::string& model, const wire::ReleaseRecord& record);

 private:
  Store& store_;
};

}  // namespace espalier::registry
