#include "registry/leveldb_background.h"

#include <leveldb/comparator.h>

#include "common/scheduling.h"

namespace espalier::registry {
namespace {

/// A comparison takes a tenth of a microsecond or less; asking for the time about as much.
constexpr unsigned kComparisonsInPiece = 32;

class YieldingComparator final : public leveldb::Comparator {
 public:
  YieldingComparator() : bytewise_(leveldb::BytewiseComparator()) {}

  int Compare(const leveldb::Slice& a, const leveldb::Slice& b) const override {
    thread_local unsigned compared = 0;
    if (++compared % kComparisonsInPiece == 0) give_way();
    return bytewise_->Compare(a, b);
  }
  const char* Name() const override { return bytewise_->Name(); }
  // Once for each block of a table that is written: a flush makes few comparisons.
  void FindShortestSeparator(std::string* start, const leveldb::Slice& limit) const override {
    give_way();
    bytewise_->FindShortestSeparator(start, limit);
  }
  void FindShortSuccessor(std::string* key) const override { bytewise_->FindShortSuccessor(key); }

 private:
  const leveldb::Comparator* const bytewise_;
};

struct Work {
  void (*function)(void*);
  void* argument;
};

void run_as_background(void* argument) {
  const std::unique_ptr<Work> work(static_cast<Work*>(argument));
  yield_to_requests();
  work->function(work->argument);
}

}  // namespace

const leveldb::Comparator* yielding_comparator() {
  static const YieldingComparator comparator;
  return &comparator;
}

void BackgroundEnv::Schedule(void (*function)(void* argument), void* argument) {
  auto work = std::make_unique<Work>(Work{function, argument});
  target()->Schedule(&run_as_background, work.release());
}

}  // namespace espalier::registry
