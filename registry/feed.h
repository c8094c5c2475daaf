// The change feed: one small entry for each change that readers follow. Each names the one before it, so that no reader
// misses one unseen.
//
// Thread safety: as the Store.
#pragma once

#include <cstdint>

#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

class Feed {
 public:
  explicit Feed(Store& store) : store_(store) {}

  /// Epoch of the newest change; 0: none yet.
  Result<std::uint64_t> newest() const;
  /// The time it had. not_found: there is no change of that epoch.
  Result<wire::Change> get(std::uint64_t epoch) const;
  /// Up to `credit` changes after `after`, without waiting. snapshot_required: the reader comes from another
  /// generation, is ahead of this store, or the changes that it misses are no longer kept.
  Result<wire::FeedReply> after(const wire::FeedRequest& request) const;
  /// Adds the change to the batch, filling in epoch, previous and time.
  Status put(Batch& batch, wire::Change change) const;

 private:
  Store& store_;
};

}  // namespace espalier::registry
