// How tags go back, move on and stand on each other, what they said when, and how two of their states differ.
// docs/wire-protocol/tags.md has each message in hex.
// As messages.h: twin of docs/wire-protocol.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/messages.h"

namespace espalier::wire {

/// Where a rollback goes back to: exactly one of these.
struct RollbackTo {
  Uuid release;              ///< the state of the tag as that release left it
  std::uint64_t epoch = 0;   ///< the state as of an epoch
  std::int64_t time_us = 0;  ///< or as of the last change at or before a time
  /// A filter of versions (docs/search.md): the nodes at whose version the tag points and whose version passes go back
  /// to what they had before that version came; the others stay.
  std::string where;
};
/// One release that takes a tag back, or its subtree under `under`.
struct RollbackRequest {
  Uuid idem;
  std::string tenant, model, tag;
  Uuid release;
  RollbackTo to;
  std::vector<std::string> under;
  std::string note;
  Uuid expected_release;
  static constexpr std::string_view op = "rollback";
};
/// What that release would move if it were made now; nothing is changed.
struct RollbackPreviewRequest {
  std::string tenant, model, tag;
  RollbackTo to;
  std::vector<std::string> under;
  std::string cursor;
  std::uint32_t limit = 256;
  static constexpr std::string_view op = "rollback_preview";
};

/// The nodes that differ between the states that two releases left.
struct ReleaseDiffRequest {
  std::string tenant, model;
  Uuid from, to;  ///< releases
  std::vector<std::string> under;
  std::string cursor;
  std::uint32_t limit = 256;
  static constexpr std::string_view op = "release_diff";
};
/// One side of a difference: what a tag said of the node.
struct NodeState {
  EntryKind kind = EntryKind::version;
  Uuid version;
  Uuid release;            ///< that set the entry
  std::uint64_t rows = 0;  ///< of the version
  std::string metrics_json;
};
struct NodeDifference {
  std::vector<std::string> partition;
  NodeState before, after;
  std::string delta_json;  ///< {"rmse": after - before}: each number that both versions have
};
/// A page with few nodes, or none, isn't the end: an empty cursor is.
struct DifferencesReply {
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;  ///< that the page is as of; all pages have the same
  std::vector<NodeDifference> nodes;
  std::string cursor;
};

/// Every entry that a tag ever had, by partition, then newest first, up to an epoch or a time (both 0: now).
struct TagHistoryRequest {
  std::string tenant, model, tag;
  std::vector<std::string> under;
  bool node_only = false;  ///< of the node `under`, without its subtree
  std::uint64_t epoch = 0;
  std::int64_t time_us = 0;
  std::string cursor;
  std::uint32_t limit = 1024;
  static constexpr std::string_view op = "tag_history";
};
struct TagMovement {
  std::vector<std::string> partition;
  EntryKind kind = EntryKind::version;
  Uuid version;
  Uuid release;             ///< that set the entry
  std::uint64_t epoch = 0;  ///< of that release, as are the rest
  std::int64_t time_us = 0;
  std::string principal, note;
};
struct TagHistoryReply {
  std::uint64_t generation = 0, epoch = 0;
  std::vector<TagMovement> movements;
  std::string cursor;
};

/// Lets `tag` stand on another tag, or, with an empty `on`, on its own again.
struct OverlayRequest {
  Uuid idem;
  std::string tenant, model, tag, on;
  static constexpr std::string_view op = "overlay";
};

/// One commit: what `from` says of the nodes under `under` goes to `to`, and there out of `from`; what `to` had there
/// goes to `archive`.
struct PromoteRequest {
  Uuid idem;
  std::string tenant, model;
  std::string from, to;
  std::string archive;                          ///< empty: what `to` had stays in its history only
  Uuid release, from_release, archive_release;  ///< of `to`, `from` and `archive`
  std::vector<std::string> under;
  bool keep = false;     ///< leave `from` as it is
  bool replace = false;  ///< nodes under `under` of which `from` says nothing are unset in `to`
  std::string note;
  Uuid expected_release;  ///< of `to`
  static constexpr std::string_view op = "promote";
};

}  // namespace espalier::wire
