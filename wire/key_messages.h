// Who may do what: keys and their records. As messages.h: twin of docs/wire-protocol/keys.md; what it means is
// docs/keys.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/uuid.h"

namespace espalier::wire {

/// A public half; during a rotation a key has two.
struct KeyHalf {
  Hash256 key;
  std::int64_t until_us = 0;  ///< it counts until then; 0: as long as the key does
};

struct KeyRecord {
  std::string name;
  std::vector<std::string> roles;    ///< ascending: admin, predictor, publisher, reader, router, shard
  std::vector<std::string> tenants;  ///< ascending; with all_tenants none
  bool all_tenants = false;
  std::vector<KeyHalf> halves;  ///< the newest first
  std::int64_t expires_us = 0;  ///< 0: never
  std::int64_t revoked_us = 0;  ///< 0: it is not
  std::int64_t created_us = 0;
  std::string principal;    ///< who changed it last
  std::uint64_t epoch = 0;  ///< of that
};

/// The replies of the four changes are EpochReply.
struct KeyCreateRequest {
  static constexpr std::string_view op = "key_create";
  Uuid idem;
  std::string name;
  std::vector<std::string> roles, tenants;
  bool all_tenants = false;
  std::int64_t expires_us = 0;
  Hash256 key;
};

/// What is left of it: takes away only. Empty, or 0: stays as it is.
struct KeyLimitRequest {
  static constexpr std::string_view op = "key_limit";
  Uuid idem;
  std::string name;
  std::vector<std::string> roles, tenants;
  std::int64_t expires_us = 0;
};

/// Another half; those before it count for `overlap_us` longer, at most as long as they would have.
struct KeyRotateRequest {
  static constexpr std::string_view op = "key_rotate";
  Uuid idem;
  std::string name;
  Hash256 key;
  std::int64_t overlap_us = 0;
};

struct KeyRevokeRequest {
  static constexpr std::string_view op = "key_revoke";
  Uuid idem;
  std::string name;
};

/// All keys, by name. A reader that has those of `generation` and `after` is told when there are others, or after
/// `wait_us`.
struct KeysRequest {
  static constexpr std::string_view op = "keys";
  std::uint64_t generation = 0, after = 0;
  std::int64_t wait_us = 0;
};
struct KeysReply {
  std::uint64_t generation = 0, epoch = 0;  ///< of the newest change of a key
  bool unchanged = false;                   ///< they are those that the reader has; `keys` is empty
  std::vector<KeyRecord> keys;
};

}  // namespace espalier::wire
