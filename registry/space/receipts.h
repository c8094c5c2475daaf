// Receipts of collections and erasures, and the mark that a collected version's artefact is gone (docs/space.md, tables
// Q, q and D).
//
// Thread safety: as the Store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/store.h"
#include "wire/space_messages.h"

namespace espalier::registry {

inline constexpr std::size_t kItemsInChunk = 512;

class Receipts {
 public:
  explicit Receipts(Store& store) : store_(store) {}

  /// not_found "receipt UUID"
  Result<wire::Receipt> get(const std::string& tenant, const Uuid& receipt);
  /// already_exists when the tenant has a receipt of that UUID.
  Status check_free(const std::string& tenant, const Uuid& receipt);
  /// One chunk a page.
  Result<wire::ReceiptItemsReply> items(const std::string& tenant, const Uuid& receipt, std::string_view cursor);
  /// Of those that are not finished, in no order that says anything.
  Result<std::vector<wire::Receipt>> unfinished();

  /// The receipt as it stands; finished once it says when.
  static void put(Batch& batch, const wire::Receipt& receipt);
  /// Writes the next chunk of items and counts it in the receipt, which is yet to be put.
  static void add_items(Batch& batch, wire::Receipt& receipt, const std::vector<wire::ReceiptItem>& items);
  /// What `items` of a receipt is after one more chunk.
  static Hash256 digest(const Hash256& before, std::string_view chunk);

 private:
  Store& store_;
};

class Collected {
 public:
  explicit Collected(Store& store) : store_(store) {}

  struct Mark {
    std::int64_t time_us = 0;
    Uuid receipt;
  };
  /// Whether any version of the tenant was ever collected: mostly saves asking for each.
  Result<bool> has_any(const std::string& tenant);
  Result<std::optional<Mark>> find(const std::string& tenant, const Uuid& version);
  /// failed_precondition: the version's artefact is gone.
  Status check(const std::string& tenant, const Uuid& version);
  /// Says of those that were collected when.
  Status fill_in(const std::string& tenant, std::vector<wire::VersionRecord>& versions);
  static void put(Batch& batch, const std::string& tenant, const Uuid& version, const Uuid& receipt);

 private:
  Store& store_;
};

}  // namespace espalier::registry
