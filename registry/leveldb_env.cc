#include "registry/leveldb_env.h"

#include <leveldb/comparator.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>

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
    // What the bytewise comparator does, without a second call through a table: a large batch makes millions.
    const int order = std::memcmp(a.data(), b.data(), std::min(a.size(), b.size()));
    if (order != 0) return order;
    return a.size() < b.size() ? -1 : static_cast<int>(a.size() > b.size());
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

/// A log of the database.
class StoreEnv::Log final : public leveldb::WritableFile {
 public:
  Log(std::unique_ptr<leveldb::WritableFile> file, std::string folder, StoreEnv& env)
      : file_(std::move(file)), folder_(std::move(folder)), env_(env) {}
  ~Log() override { static_cast<void>(secure()); }

  leveldb::Status Append(const leveldb::Slice& bytes) override {
    has_unsynced_ = true;
    return file_->Append(bytes);
  }
  leveldb::Status Flush() override { return file_->Flush(); }
  leveldb::Status Sync() override {
    const leveldb::Status synced = file_->Sync();
    if (!synced.ok()) return synced;
    has_unsynced_ = false;
    return secure_name();
  }
  leveldb::Status Close() override {
    const leveldb::Status secured = secure();
    const leveldb::Status closed = file_->Close();
    return secured.ok() ? closed : secured;
  }

 private:
  leveldb::Status secure() {
    if (!has_unsynced_) return leveldb::Status::OK();
    const leveldb::Status synced = Sync();
    if (!synced.ok()) ++env_.lost_logs_;
    has_unsynced_ = false;
    return synced;
  }
  leveldb::Status secure_name() {
    if (is_named_) return leveldb::Status::OK();
    const Status synced = env_.files_.sync_directory(folder_);
    if (!synced.ok()) return leveldb::Status::IOError(folder_, std::string(synced.message()));
    is_named_ = true;
    return leveldb::Status::OK();
  }

  const std::unique_ptr<leveldb::WritableFile> file_;
  const std::string folder_;
  StoreEnv& env_;
  bool has_unsynced_ = false;
  bool is_named_ = false;  ///< its name is durable
};

void StoreEnv::Schedule(void (*function)(void* argument), void* argument) {
  auto work = std::make_unique<Work>(Work{function, argument});
  target()->Schedule(&run_as_background, work.release());
}

leveldb::Status StoreEnv::NewWritableFile(const std::string& name, leveldb::WritableFile** file) {
  leveldb::Status status = target()->NewWritableFile(name, file);
  if (!status.ok() || !name.ends_with(".log")) return status;
  *file = new Log(std::unique_ptr<leveldb::WritableFile>(*file), std::filesystem::path(name).parent_path(), *this);
  return status;
}

}  // namespace espalier::registry
