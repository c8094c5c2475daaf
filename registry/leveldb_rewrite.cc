#include "registry/leveldb_rewrite.h"

#include <leveldb/db.h>
#include <leveldb/options.h>
#include <leveldb/write_batch.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "registry/leveldb_env.h"

namespace espalier::registry {
namespace {

/// Written in one go; between two the thread looks whether it is to stop.
constexpr std::size_t kBatchBytes = 256u << 10;
constexpr std::size_t kWriteBufferBytes = 4u << 20;
/// So few changed records are copied while the registry waits.
constexpr std::size_t kFew = 256;

Status as_status(const leveldb::Status& status, const std::string& folder) {
  if (status.ok()) return {};
  if (status.IsCorruption()) return corrupt(folder + ": " + status.ToString());
  const bool is_full = status.ToString().find("No space left") != std::string::npos;
  return Status(is_full ? Code::resource_exhausted : Code::unavailable, folder + ": " + status.ToString());
}

}  // namespace

Status remove_entry(Files& files, const std::string& path) {
  return std::filesystem::is_directory(path) ? remove_folder(files, path) : files.remove(path);
}

Status remove_folder(Files& files, const std::string& folder) {
  if (!files.exists(folder)) return {};
  ASSIGN_OR_RETURN(const auto names, files.list(folder));
  for (const std::string& name : names) RETURN_IF_ERROR(remove_entry(files, folder + "/" + name));
  RETURN_IF_ERROR(files.sync_directory(folder));
  return files.remove(folder);
}

LevelDbRewrite::LevelDbRewrite(leveldb::DB& from, const leveldb::Options& options, std::unique_ptr<StoreEnv> env,
                               Files& files, std::string folder)
    : from_(from),
      options_([&] {
        auto own = std::make_unique<leveldb::Options>(options);
        own->env = env.get();
        own->block_cache = nullptr;
        // LevelDB flushes for both databases on one thread: the one that answers shall not wait for long.
        own->write_buffer_size = std::min(own->write_buffer_size, kWriteBufferBytes);
        return own;
      }()),
      env_(std::move(env)),
      files_(files),
      folder_(std::move(folder)),
      as_of_(from.GetSnapshot()),
      thread_([this] { run(); }) {}

LevelDbRewrite::~LevelDbRewrite() {
  stop();
  to_.reset();
  if (as_of_ != nullptr) from_.ReleaseSnapshot(as_of_);
}

void LevelDbRewrite::note(std::string_view key) {
  const std::lock_guard lock(mutex_);
  if (changed_.emplace(key).second && changed_.size() == kFew) woken_.notify_one();
}

Result<bool> LevelDbRewrite::is_caught_up() {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(status_);
  return is_caught_up_ && changed_.size() < kFew;
}

Status LevelDbRewrite::finish() {
  stop();
  RETURN_IF_ERROR(status_);
  RETURN_IF_ERROR(copy(changed_));
  leveldb::WriteBatch nothing;
  leveldb::WriteOptions synced;
  synced.sync = true;
  RETURN_IF_ERROR(as_status(to_->Write(synced, &nothing), folder_));
  to_.reset();
  if (env_->lost_logs() > 0) return unavailable(folder_ + ": a log could not be synced when it was closed");
  return files_.sync_directory(folder_);
}

void LevelDbRewrite::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    woken_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

bool LevelDbRewrite::is_stopped() {
  const std::lock_guard lock(mutex_);
  return is_stopped_;
}

std::unordered_set<std::string> LevelDbRewrite::take_changed() {
  const std::lock_guard lock(mutex_);
  is_caught_up_ = false;
  return std::exchange(changed_, {});
}

// ------------------------------------------------------------------------------------------------- on its own thread

void LevelDbRewrite::run() {
  yield_to_requests();
  Status status = remove_folder(files_, folder_);
  if (status.ok()) status = open(true);
  if (status.ok()) status = copy_all();
  if (status.ok() && !is_stopped()) status = follow();
  if (status.ok()) return;
  log::warn("registry", "the store can't be written anew", {{"why", status}});
  to_.reset();
  // What is there takes space that others need.
  if (const Status removed = remove_folder(files_, folder_); !removed.ok()) {
    log::warn("registry", "an unfinished copy stays", {{"folder", folder_}, {"why", removed}});
  }
  const std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

Status LevelDbRewrite::open(bool is_new) {
  if (is_new) RETURN_IF_ERROR(files_.create_directories(folder_));
  options_->create_if_missing = is_new;
  leveldb::DB* db = nullptr;
  RETURN_IF_ERROR(as_status(leveldb::DB::Open(*options_, folder_, &db), folder_));
  to_.reset(db);
  return {};
}

/// In the order of keys, so that LevelDB never has two tables to merge.
Status LevelDbRewrite::copy_all() {
  leveldb::ReadOptions reading;
  reading.snapshot = as_of_;
  reading.fill_cache = false;
  reading.verify_checksums = true;
  const std::unique_ptr<leveldb::Iterator> at(from_.NewIterator(reading));
  leveldb::WriteBatch batch;
  for (at->SeekToFirst(); at->Valid() && !is_stopped();) {
    batch.Clear();
    for (; at->Valid() && batch.ApproximateSize() < kBatchBytes; at->Next()) batch.Put(at->key(), at->value());
    RETURN_IF_ERROR(as_status(to_->Write({}, &batch), folder_));
  }
  return as_status(at->status(), folder_);
}

/// Until stop(). Once the most is done the copy is opened anew, so that nothing is left to be flushed when it is
/// closed.
Status LevelDbRewrite::follow() {
  for (std::size_t copied = kFew; copied >= kFew && !is_stopped();) {
    const auto changed = take_changed();
    copied = changed.size();
    RETURN_IF_ERROR(copy(changed));
  }
  to_.reset();
  RETURN_IF_ERROR(open(false));
  while (true) {
    RETURN_IF_ERROR(copy(take_changed()));
    std::unique_lock lock(mutex_);
    is_caught_up_ = true;
    woken_.wait(lock, [&] { return is_stopped_ || changed_.size() >= kFew; });
    if (is_stopped_) return {};
  }
}

/// As the database has them now.
Status LevelDbRewrite::copy(const std::unordered_set<std::string>& keys) {
  leveldb::WriteBatch batch;
  for (const std::string& key : keys) {
    give_way();
    std::string value;
    const leveldb::Status found = from_.Get({}, key, &value);
    if (found.ok()) {
      batch.Put(key, value);
    } else if (found.IsNotFound()) {
      batch.Delete(key);
    } else {
      return as_status(found, folder_);
    }
    if (batch.ApproximateSize() < kBatchBytes) continue;
    RETURN_IF_ERROR(as_status(to_->Write({}, &batch), folder_));
    batch.Clear();
  }
  return as_status(to_->Write({}, &batch), folder_);
}

}  // namespace espalier::registry
