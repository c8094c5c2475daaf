// Tenants that were erased: their names, so that no copy brings them back (docs/space.md, table Z).
//
// Thread safety: as the Store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/uuid.h"
#include "registry/store.h"

namespace espalier::registry {

class Erased {
 public:
  explicit Erased(Store& store) : store_(store) {}

  struct Mark {
    std::int64_t time_us = 0;
    std::uint64_t epoch = 0;  ///< of the change that told of it
    Uuid receipt;
  };
  Result<std::optional<Mark>> find(const std::string& tenant);
  /// failed_precondition: the tenant was erased.
  Status check(const std::string& tenant);
  static void put(Batch& batch, const std::string& tenant, const Uuid& receipt);

 private:
  Store& store_;
};

}  // namespace espalier::registry
