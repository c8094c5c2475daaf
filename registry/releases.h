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

/// What a change expects of a tag; both left out: nothing.
struct ExpectedRelease {
  const std::string& tenant;
  const std::string& model;
  const std::string& tag;
  const Uuid& release;  ///< its last one; nil: any
  bool none;            ///< it has none yet
};
template <class Request>
ExpectedRelease expected_of(const Request& request) {
  bool none = false;
  if constexpr (requires { request.expected_none; }) none = request.expected_none;
  return {request.tenant, request.model, request.tag, request.expected_release, none};
}

class Releases {
 public:
  explicit Releases(Store& store) : store_(store) {}

  /// not_found "release UUID" unless it is one of this model's.
  Result<wire::ReleaseRecord> get(const std::string& tenant, const std::string& model, const Uuid& release);
  /// already_exists when the tenant has that UUID, in any of its models.
  Status check_free(const std::string& tenant, const Uuid& release);
  /// The release that moved the tag last, as of `epoch`; nothing: it was never moved.
  Result<std::optional<wire::ReleaseRecord>> last_of(const std::string& tenant, const std::string& model,
                                                     const std::string& tag, std::uint64_t epoch);
  /// failed_precondition unless the tag's last release is the expected one: compare-and-set.
  Status check_last(const ExpectedRelease& expected, std::uint64_t epoch);
  /// Newest first.
  Result<wire::ReleasesReply> page(const wire::ReleasesRequest& request, const PageCursor& cursor, std::uint64_t epoch);
  static void put(Batch& batch, const std::string& tenant, const std::string& model, const wire::ReleaseRecord& record);

 private:
  Store& store_;
};

}  // namespace espalier::registry
