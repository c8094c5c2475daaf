// What LevelDB works with here: its comparator and its environment.
//
// The stretches of its work that take milliseconds (a large batch, a flush, a compaction) pass these two alone, so it
// is here that LevelDB gives way to requests (common/scheduling.h). And LevelDB closes a full log without syncing it:
// records that were written without a sync would then never get one, while later records are on disk. Here a log is
// synced before it is closed, and its name is made durable with its first sync.
//
// Thread safety: any thread, but logs are made, written and closed by one.
#pragma once

#include <leveldb/env.h>

#include <atomic>

#include "common/files.h"

namespace leveldb {
class Comparator;
}

namespace espalier::registry {

/// Orders as LevelDB's own comparator does, under the same name, and gives way every few comparisons. Lives for ever.
const leveldb::Comparator* yielding_comparator();

/// `target` and `files` outlive it. Whatever it opened must be closed before it goes.
class StoreEnv final : public leveldb::EnvWrapper {
 public:
  StoreEnv(leveldb::Env* target, Files& files) : EnvWrapper(target), files_(files) {}

  /// LevelDB's own thread is background work.
  void Schedule(void (*function)(void* argument), void* argument) override;
  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override;

  /// Logs that were closed though their last bytes couldn't be synced: what was written to them is in doubt.
  unsigned lost_logs() const { return lost_logs_.load(); }

 private:
  class Log;

  Files& files_;
  std::atomic<unsigned> lost_logs_{0};
};

}  // namespace espalier::registry
