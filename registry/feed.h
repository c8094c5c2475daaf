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
  /// The change that a read is as of: `epoch`; or, where that is 0, the last one at or before `time_us` (0: there was
  /// none yet); or, where that is 0 too, the newest. failed_precondition: the epoch lies ahead. invalid_argument: both
  /// are given.
  Result<std::uint64_t> as_of(std::uint64_t epoch, std::int64_t time_us) const;
  /// The same for reads of what changes without the feed: any commit, not only a change.
  Result<std::uint64_t> commit_as_of(std::uint64_t epoch, std::int64_t time_us) const;
  /// failed_precondition: the epoch lies ahead.
  Status check_committed(std::uint64_t epoch) const;
  /// failed_precondition where the state of that epoch can't be read: it lies ahead, or is collected.
  Status check_kept(std::uint64_t epoch) const;
  /// Up to `credit` changes after `after`, without waiting. snapshot_required: the reader comes from another
  /// generation, is ahead of this store, or the changes that it misses are no longer kept.
  Result<wire::FeedReply> after(const wire::FeedRequest& request) const;
  /// Adds the change to the batch, filling in epoch, previous and time. Some of what lies behind the horizon goes with
  /// it: more than one change, so that a shorter horizon is reached in time.
  Status put(Batch& batch, wire::Change change) const;
  /// Changes of the last so many epochs are kept; 0: all are.
  void keep(std::uint64_t epochs) { kept_epochs_ = epochs; }
  /// The newest change that was collected; 0: none was.
  Result<std::uint64_t> collected() const;

 private:
  Result<std::uint64_t> of_time(std::int64_t time_us) const;
  /// The last commit at or before that time; 0: there was none yet.
  Result<std::uint64_t> commit_of_time(std::int64_t time_us) const;
  Result<std::uint64_t> oldest_kept() const;

  Status collect(Batch& batch) const;

  Store& store_;
  std::uint64_t kept_epochs_ = 0;
};

}  // namespace espalier::registry
