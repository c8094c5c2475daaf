// A change is applied once, however often it is sent: its reply is stored in the same batch under the sender's name and
// its idem, for a day.
//
// Thread safety: as the Store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/uuid.h"
#include "registry/store.h"

namespace espalier::registry {

class Idempotency {
 public:
  static constexpr std::int64_t kKeptUs = 24ll * 3600 * 1'000'000;

  explicit Idempotency(Store& store) : store_(store) {}

  /// The reply's header that this change got, if it was made. `request`: a hash of all that was sent.
  /// failed_precondition: the idem was used for another request. invalid_argument: the idem is nil.
  Result<std::optional<std::string>> find(std::string_view principal, const Uuid& idem, std::uint64_t request);
  /// Stores the reply with the change.
  static void remember(Batch& batch, std::string_view principal, const Uuid& idem, std::uint64_t request,
                       std::string_view reply);
  /// Removes some of what is older than a day with the change: more than the one that a change adds.
  Status expire(Batch& batch);

 private:
  Store& store_;
};

}  // namespace espalier::registry
