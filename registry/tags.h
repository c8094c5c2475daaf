// What tags say of nodes: for each node of a tag, an entry from each epoch that moved it. Also the list of what a
// change moved.
//
// Thread safety: as the Store.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/reading.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

/// An entry without its partition and epoch, which stand in keys. On disk: docs/registry-keys.md.
std::string encode_entry(const wire::TagEntry& entry);
/// corrupt: not what encode_entry() made.
Result<wire::TagEntry> decode_entry(std::string_view bytes);

/// What a record of table C lists. corrupt: it is cut short.
struct MovedEntry {
  std::string_view components;  ///< borrowed from the record
  wire::TagEntry entry;         ///< without partition and epoch
};
Result<std::vector<MovedEntry>> moved_entries(std::string_view chunk);

class Collected;

/// Collects the entries of one change into a batch: under their tags, and in the list of what was moved. The tags come
/// one after the other.
class TagMovements {
 public:
  TagMovements(Batch& batch, const std::string& tenant, const std::string& model, const std::string& tag);
  /// What is added from here on is of that tag. REQUIRES: it was not begun before.
  void begin(const std::string& tag);
  /// From here on no version whose artefact was collected is taken: refused() then names the first.
  Status refuse_collected(Collected& collected);
  const Status& refused() const { return refused_; }
  /// `components`: the partition's, as in keys.
  void add(std::string_view components, const wire::TagEntry& entry);
  /// Writes what is collected; last.
  void finish();
  /// How many nodes of the tags were moved, in the order in which they were begun.
  const std::vector<std::uint64_t>& counts() const { return counts_; }

 private:
  void write_chunk();

  Status check_there(std::string_view components, const Uuid& version) const;

  Batch& batch_;
  const std::string tenant_, model_;
  Collected* collected_ = nullptr;  ///< null: not to be asked
  Status refused_;
  std::string prefix_;  ///< of the tag that was begun last
  std::string chunk_;
  std::uint32_t in_chunk_ = 0;
  std::uint32_t chunks_ = 0;
  std::vector<std::uint64_t> counts_;
};

/// A tag as of an epoch.
struct TagState {
  std::string prefix;  ///< keys::tag_prefix()
  std::uint64_t epoch = 0;
};
/// Which nodes of two states are looked at, and how far.
struct DifferenceScan {
  std::string under;                                                 ///< components: that node and what lies below it
  std::optional<std::string> after;                                  ///< behind that node; nothing: from the start
  std::size_t most_steps = std::numeric_limits<std::size_t>::max();  ///< nodes looked at, those that don't differ too
};

/// A version, and the epoch in which it was published: no older entry names it.
struct VersionSince {
  Uuid version;
  std::uint64_t since = 0;
};

struct Replaced {
  wire::TagEntry is, before;
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

  /// Calls `take` with each node whose entry is another one in `after` than in `before` (unset where it has none), in
  /// the order of their keys; it returns false to stop: that node then counts as not looked at. Two states of one tag
  /// cost one way through its entries. Gives the components of the last node that was looked at where it stopped before
  /// the end.
  using TakeDifference =
      std::function<bool(std::string_view components, const wire::TagEntry& before, const wire::TagEntry& after)>;
  Result<std::optional<std::string>> each_difference(const TagState& before, const TagState& after,
                                                     const DifferenceScan& scan, const TakeDifference& take);
  /// What the node has as of `epoch`, and what it had before it first had that version: unset where nothing. `cursor`:
  /// any of the store's; many nodes share one.
  static Result<Replaced> replaced_by(Cursor& cursor, std::string_view tag_prefix, std::string_view components,
                                      std::uint64_t epoch, const VersionSince& version);

  Result<wire::EntriesReply> page(const wire::TagEntriesRequest& request, const PageCursor& cursor,
                                  std::uint64_t epoch);
  /// What that change moved. REQUIRES: the change exists.
  Result<wire::EntriesReply> changed(const wire::ChangedEntriesRequest& request, const wire::Change& change,
                                     const PageCursor& cursor);

 private:
  Store& store_;
};

}  // namespace espalier::registry
