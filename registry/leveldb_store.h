// The store on LevelDB: one folder, one process.
//
// LevelDB 1.23 goes on writing to its log after a write to it failed, and what it then acknowledges is lost when it
// next starts, because a reader of the log stops at the damage. So after any failed write or sync this store
// acknowledges nothing until it has closed the database, opened it again (which starts a fresh log) and found the last
// acknowledged epoch there. Until there is room for that on the disk it stays open as it is, and answers reads: as of
// the last sync, when a sync failed.
//
// Thread safety: as Store. Ownership: `files`, `clock` and the env outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/files.h"
#include "common/folder_lock.h"
#include "registry/pending_changes.h"
#include "registry/store.h"

namespace leveldb {
class Cache;
class DB;
class Env;
class FilterPolicy;
class WriteBatch;
struct Options;
struct ReadOptions;
}  // namespace leveldb

namespace espalier::registry {

class LevelDbRewrite;
class StoreEnv;

struct LevelDbOptions {
  leveldb::Env* env = nullptr;  ///< nothing: the operating system's
  std::uint64_t write_buffer_bytes = 16ull << 20;
  std::uint64_t cache_bytes = 64ull << 20;
  /// How much of its tables a store that is opened asks the operating system to bring into memory.
  std::uint64_t read_ahead_bytes = 1ull << 30;
  /// For a check or a repair: makes nothing, and opens what has no generation or a gap in its epochs.
  bool as_it_is = false;
};

class LevelDbStore final : public Store {
 public:
  /// Opens or makes the store in `folder`. unavailable: another process has it; corrupt: it is damaged; unimplemented:
  /// a newer Espalier made it; failed_precondition: gather() was cut short.
  static Result<std::unique_ptr<LevelDbStore>> open(Files& files, const Clock& clock, const std::string& folder,
                                                    LevelDbOptions options = {});
  ~LevelDbStore() override;

  std::uint64_t generation() const override { return generation_; }
  std::uint64_t epoch() const override { return epoch_; }
  Result<std::optional<std::string>> get(std::string_view key) override;
  Result<std::unique_ptr<Cursor>> scan() override { return scan(false); }
  Result<std::unique_ptr<Cursor>> scan_verified() override { return scan(true); }
  Result<Batch> begin() override;
  Status apply(const Batch& batch) override;
  Status sync() override;

  /// A thread writes all records anew, into a database that takes this one's place; needs as much room as they take.
  /// Cursors end with that: ones that are open are waited for, two minutes at most.
  Result<bool> purge() override;

  /// For a repair or a restore: writes records as they are, outside of any epoch (nothing: removes). On disk when it
  /// returns.
  using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;
  Status rewrite(const Changes& changes);
  /// A new generation, on disk when it returns.
  Status start_generation() { return start_new(); }
  /// The version of the keys' schema that the records have, at most this build's.
  std::uint32_t schema() const { return schema_; }
  /// They have this one now; together with other changes. On disk when it returns.
  Status set_schema(std::uint32_t schema, Changes changes = {});
  /// Lets LevelDB make a database of what it can still read of the one in `folder`; what it can't is lost. Until that
  /// is done the folder can't be opened, and the first start after it, or start_generation(), begins a new generation.
  /// unavailable: somebody has it open.
  static Status gather(Files& files, const std::string& folder);
  /// Whether it was gathered and the new generation has not begun.
  bool is_gathered() const { return is_gathered_; }

  /// False from a failed write until the store has taken itself up again.
  bool is_healthy() const { return healthy_; }

 private:
  LevelDbStore(Files& files, const Clock& clock, std::string folder, LevelDbOptions options);

  leveldb::Options database_options() const;
  /// For this process alone, as long as the store lives; failed_precondition: another one has it.
  Status take_lock();
  Status open_database();
  std::string fresh_folder() const { return folder_ + ".fresh"; }
  std::string old_folder() const { return folder_ + ".replaced"; }
  /// After a process ended while a fresh database took the place of the old one.
  Status settle_folders();
  Status begin_rewrite();
  /// Lets the fresh database take the old one's place.
  Status change_over();
  Result<bool> remove_old();
  void note_changed(const Batch& batch);
  Status start_new();
  /// What gather() left beside the records; failed_precondition: it was cut short.
  Status read_mark();
  Status read_generation();
  /// Generation, last epoch and its time, from the records.
  Status read_state();
  Status check_epochs_follow_each_other();
  /// Without it the first reads after the machine's start wait for the disk, one block after the other.
  void read_ahead() const;
  Status apply_large(const Batch& batch);
  /// Has what was applied on the disk, or stops acknowledging.
  Status flush();
  static void add(const PendingChanges& changes, leveldb::WriteBatch& writes);
  /// On the disk when it returns, with everything up to `epoch`; not ok: nothing behind the last sync counts.
  Status write(leveldb::WriteBatch& writes, std::uint64_t epoch);
  void note(const PendingChanges& changes);
  /// What reads go by.
  leveldb::ReadOptions reading() const;
  void close_database();
  /// Closes, opens and verifies. The database stays open as it was where the disk has no room for that.
  Status recover();
  Status check_room() const;
  Status check_requirements(const Batch& batch);
  Status ensure_open();
  Result<std::unique_ptr<Cursor>> scan(bool verified);

  FolderLock lock_;  ///< of the folder above
  Files& files_;
  const Clock& clock_;
  const std::string folder_;
  const LevelDbOptions options_;
  std::unique_ptr<StoreEnv> env_;
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  class OpenCursor;
  std::unordered_set<OpenCursor*> cursors_;  ///< that LevelDB must not outlive
  std::shared_ptr<leveldb::DB> db_;          ///< nothing: closed, and opening it again failed

  std::unique_ptr<LevelDbRewrite> rewrite_;  ///< one is under way; ended before the database is closed
  std::int64_t rewritten_us_ = 0;            ///< when it had caught up; 0: not yet
  bool is_removing_old_ = false;

  std::uint64_t generation_ = 0;
  std::uint32_t schema_;
  std::uint64_t epoch_ = 0;
  std::int64_t time_us_ = 0;
  std::uint64_t synced_epoch_ = 0;
  PendingChanges pending_;  ///< of the epochs behind synced_epoch_
  bool healthy_ = true;
  bool is_gathered_ = false;
  Status unreported_;  ///< of a sync that was made on the way, for the next sync() to tell
};

}  // namespace espalier::registry
