// Who may do what: the records of keys, table L, and the rules by which they change (docs/keys.md).
//
// Thread safety: KeyRecords as the Store; the rest are pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "registry/store.h"
#include "wire/key_messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMostKeys = 10'000;
inline constexpr std::size_t kMostKeyTenants = 1'000;
inline constexpr std::size_t kMostKeyHalves = 4;
/// Old and new halves count together for at most 30 days.
inline constexpr std::int64_t kLongestOverlapUs = 30ll * 24 * 3600 * 1'000'000;

/// The record of a new key. invalid_argument names the member of the request that is wrong.
Result<wire::KeyRecord> new_key(const wire::KeyCreateRequest& request, std::int64_t now_us);
/// What is left of a key. invalid_argument: the request would add something, or leave nothing.
Result<wire::KeyRecord> limited_key(wire::KeyRecord key, const wire::KeyLimitRequest& request, std::int64_t now_us);
/// The key with another half in front. invalid_argument; resource_exhausted: too many halves count already.
Result<wire::KeyRecord> rotated_key(wire::KeyRecord key, const wire::KeyRotateRequest& request, std::int64_t now_us);

class KeyRecords {
 public:
  explicit KeyRecords(Store& store) : store_(store) {}

  /// The newest of each, by name: revoked ones too.
  Result<std::vector<wire::KeyRecord>> all() const;
  Result<std::optional<wire::KeyRecord>> find(std::string_view name) const;
  /// Of the newest change; 0: there never was a key.
  Result<std::uint64_t> changed() const;
  /// Fills in who and epoch.
  static void put(Batch& batch, wire::KeyRecord key, const std::string& principal);

 private:
  Store& store_;
};

}  // namespace espalier::registry
