// LevelDbStore's files without what was removed or written over: a fresh database takes the old one's place.
//
//   store       the database; store.fresh: the fresh one while it is written; store.replaced: the one before, until it
//   is removed
//
// The fresh one is whole and on disk before the first of the two renames. A process that ends between them leaves a
// store.replaced and no store: the next start, or the next attempt to open, does the second.
#include <leveldb/db.h>
#include <leveldb/options.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "common/log.h"
#include "registry/keys.h"
#include "registry/leveldb_env.h"
#include "registry/leveldb_rewrite.h"
#include "registry/leveldb_store.h"

namespace espalier::registry {
namespace {

/// Who reads in sessions does so within a minute of the step before (registry/upkeep).
constexpr std::int64_t kCursorsWaitedForUs = 120'000'000;
/// Removing a file of LevelDB's takes up to 3 ms.
constexpr std::size_t kFilesRemovedAtOnce = 4;
/// Beside what the records take.
constexpr std::uint64_t kRoomBesideCopy = 64u << 20;

}  // namespace

Status LevelDbStore::settle_folders() {
  const std::string parent = std::filesystem::path(folder_).parent_path();
  if (files_.exists(old_folder()) && !files_.exists(folder_)) {
    RETURN_IF_ERROR(files_.rename(fresh_folder(), folder_));
    RETURN_IF_ERROR(files_.sync_directory(parent));
  }
  RETURN_IF_ERROR(files_.create_directories(folder_));
  RETURN_IF_ERROR(remove_folder(files_, old_folder()));
  return remove_folder(files_, fresh_folder());
}

Result<bool> LevelDbStore::purge() {
  if (!healthy_) return unavailable(folder_ + ": not taking changes since a write failed");
  RETURN_IF_ERROR(ensure_open());
  if (is_removing_old_) return remove_old();
  if (!rewrite_) {
    RETURN_IF_ERROR(begin_rewrite());
    return true;
  }
  const auto is_caught_up = rewrite_->is_caught_up();
  if (!is_caught_up.ok()) {
    rewrite_.reset();
    return is_caught_up.status();
  }
  if (!*is_caught_up) return true;
  if (rewritten_us_ == 0) rewritten_us_ = clock_.monotonic_us();
  if (!cursors_.empty() && clock_.monotonic_us() - rewritten_us_ < kCursorsWaitedForUs) return true;
  RETURN_IF_ERROR(change_over());
  is_removing_old_ = true;
  return true;
}

Status LevelDbStore::begin_rewrite() {
  RETURN_IF_ERROR(flush());
  RETURN_IF_ERROR(remove_folder(files_, fresh_folder()));  // of one that could not be finished
  std::uint64_t bytes = kRoomBesideCopy;
  std::error_code failed;
  for (const auto& file : std::filesystem::directory_iterator(folder_, failed)) {
    std::error_code gone;
    const std::uint64_t size = file.file_size(gone);
    if (!gone) bytes += size;
  }
  const auto room = std::filesystem::space(folder_, failed);
  if (!failed && room.available < bytes) {
    return Status(Code::resource_exhausted, folder_ + ": writing all records anew needs " + std::to_string(bytes) +
                                                " bytes, " + std::to_string(room.available) + " are free");
  }
  rewritten_us_ = 0;
  auto env = std::make_unique<StoreEnv>(options_.env ? options_.env : leveldb::Env::Default(), files_);
  rewrite_ = std::make_unique<LevelDbRewrite>(*db_, database_options(), std::move(env), files_, fresh_folder());
  return {};
}

void LevelDbStore::note_changed(const Batch& batch) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto operation = batch[i];
    if (operation.kind == Batch::Kind::put || operation.kind == Batch::Kind::remove) rewrite_->note(operation.key);
  }
  for (std::uint64_t epoch = batch.first_epoch(); epoch <= batch.epoch(); ++epoch) {
    rewrite_->note(keys::epoch(epoch));
    rewrite_->note(keys::time(batch.time_us() - static_cast<std::int64_t>(batch.epoch() - epoch)));
  }
}

Status LevelDbStore::change_over() {
  RETURN_IF_ERROR(flush());
  const Status finished = rewrite_->finish();
  rewrite_.reset();
  RETURN_IF_ERROR(finished);
  // From here to the end begin() would take the store up again.
  healthy_ = false;
  close_database();
  RETURN_IF_ERROR(files_.sync_directory(folder_));
  RETURN_IF_ERROR(files_.rename(folder_, old_folder()));
  RETURN_IF_ERROR(files_.rename(fresh_folder(), folder_));
  RETURN_IF_ERROR(files_.sync_directory(std::filesystem::path(folder_).parent_path()));
  leveldb::DB* db = nullptr;
  const leveldb::Status opened = leveldb::DB::Open(database_options(), folder_, &db);
  if (!opened.ok()) return unavailable(folder_ + ": " + opened.ToString());
  db_.reset(db);
  ASSIGN_OR_RETURN(const auto last, get(keys::epoch(epoch_)));
  if (!last) return corrupt(folder_ + ": epoch " + std::to_string(epoch_) + " is not in the copy");
  synced_epoch_ = epoch_;
  healthy_ = true;
  return {};
}

Result<bool> LevelDbStore::remove_old() {
  const std::string folder = old_folder();
  if (!files_.exists(folder)) {
    is_removing_old_ = false;
    return false;
  }
  ASSIGN_OR_RETURN(const auto names, files_.list(folder));
  for (std::size_t i = 0; i < std::min(names.size(), kFilesRemovedAtOnce); ++i) {
    RETURN_IF_ERROR(remove_entry(files_, folder + "/" + names[i]));
  }
  if (names.size() > kFilesRemovedAtOnce) return true;
  RETURN_IF_ERROR(remove_folder(files_, folder));
  RETURN_IF_ERROR(files_.sync_directory(std::filesystem::path(folder_).parent_path()));
  return true;
}

}  // namespace espalier::registry
