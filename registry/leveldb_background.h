// How LevelDB behaves beside requests: the stretches of its work that take milliseconds (a large batch, a flush, a
// compaction) pass the comparator and the env alone, so it is those that give way (common/scheduling.h).
//
// Thread safety: any thread.
#pragma once

#include <leveldb/env.h>

#include <memory>

namespace leveldb {
class Comparator;
}

namespace espalier::registry {

/// Orders as LevelDB's own comparator does, under the same name, and gives way every few comparisons. Lives for ever.
const leveldb::Comparator* yielding_comparator();

/// `target` (which outlives it), but that LevelDB's own thread is background work.
class BackgroundEnv final : public leveldb::EnvWrapper {
 public:
  explicit BackgroundEnv(leveldb::Env* target) : EnvWrapper(target) {}
  void Schedule(void (*function)(void* argument), void* argument) override;
};

}  // namespace espalier::registry
