// What tags say of nodes: for each node of a tag, an entry from each epoch that moved it. Also the list of what a
// change moved.
//
// Thread safety: as the Store.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "registry/reading.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

/// An entry without its partition and epoch, which stand in keys. On disk: docs/registry-keys.md.
std::string encode_entry(const wire::TagEntry& entry);
/// corrupt: not what encode_entry() made.
Result<wire::TagEntry> decode_entry(std::string_view bytes);

/// Collects the entries of one change into a batch: under the tag, and in the list of what was moved.
class TagMovements {
 public:
  TagMovements(Batch& batch, const std::string& tenant, const std::string& model, const std::string& tag);
  /// `components`: the partition's, as in keys.
  void add(std::string_view components, const wire::TagEntry& entry);
  /// Writes what is collected; last.
  void finish();
  std::uint64_t count() const { return count_; }

 private:
  void write_chunk();

  Batch& batch_;
  const std::string prefix_;
  std::string chunk_;
  std::uint32_t in_chunk_ = 0;
  std::uint32_t chunks_ = 0;
  std::uint64_t count_ = 0;
};

class Tags {
 public:
  explicit Tags(Store& store) : store_(store) {}

  /// Calls `take` with each node's components and entry as of `epoch`, parents first. Nodes that are unset are left
  /// out; `take` returns false to stop. Starts behind `after` (components of a node) when that isn't empty; only what
  /// starts with `under`.
  using Take = std::function<bool(std::string_view components, wire::TagEntry entry)>;
  Status each(std::string_view tag_prefix, std::uint64_t epoch, std::string_view under,
              const std::optional<std::string>& after, const Take& take);

  /// Calls `take` with each node whose entry as of `epoch` is another one than as of `before` (unset where it has
  /// none), parents first. REQUIRES: before <= epoch.
  using TakeDifference =
      std::function<void(std::string_view components, const wire::TagEntry& was, const wire::TagEntry& is)>;
  Status each_difference(std::string_view tag_prefix, std::uint64_t before, std::uint64_t epoch,
                         const TakeDifference& take);

  Result<wire::EntriesReply> page(const wire::TagEntriesRequest& request, const PageCursor& cursor,
                                  std::uint64_t epoch);
  /// What the change of that epoch moved. REQUIRES: the change exists.
  Result<wire::EntriesReply> changed(const wire::ChangedEntriesRequest& request, const PageCursor& cursor);

 private:
  Store& store_;
};

}  // namespace espalier::registry
