// The nodes of a tag, one after the other, as of an epoch each time: how everything that reads a tag's entries gets on.
//
// Thread safety: as the Store. Errors: the store's; corrupt: a key or an entry that doesn't parse.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

class TagNodes {
 public:
  /// Of the tag with that prefix (keys::tag_prefix()): the node `under` (components) and what lies below it; behind the
  /// node `after`, where that is given.
  static Result<TagNodes> open(Store& store, std::string_view prefix, std::string_view under,
                               const std::optional<std::string>& after);

  /// To the first node from here on that has an entry as of `epoch`; false: there is none.
  Result<bool> find(std::uint64_t epoch);
  // REQUIRES: find() was true, for all of these.
  const std::string& components() const { return components_; }
  std::uint64_t epoch() const { return epoch_; }  ///< of the entry
  Result<wire::TagEntry> entry() const;
  /// To the entry of the same node as of `epoch`, an older one; false: it has none.
  Result<bool> go_back(std::uint64_t epoch);
  /// To what lies behind the node.
  void pass_over();

 private:
  TagNodes(std::unique_ptr<Cursor> cursor, std::string prefix, std::string range)
      : cursor_(std::move(cursor)), prefix_(std::move(prefix)), range_(std::move(range)) {}

  std::unique_ptr<Cursor> cursor_;
  std::string prefix_, range_;
  std::string components_, node_;  ///< node_: what its keys start with
  std::uint64_t epoch_ = 0;
};

/// An entry that says nothing of its node.
wire::TagEntry unset_entry();
/// True when a node gets the same version, or none, from both.
bool is_same(const wire::TagEntry& a, const wire::TagEntry& b);

}  // namespace espalier::registry
