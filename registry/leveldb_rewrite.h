// A database written anew: all records that there are, and no trace of one that was removed or written over, whatever
// LevelDB's own compactions left in tables, logs and manifest.
//
// A thread copies the records as of one moment into a folder beside the database; whoever goes on writing to the
// database notes which records changed, and the thread copies those again until few are left. finish() copies these and
// closes the copy, which may then take the database's place. Thread safety: one thread, the one that writes to the
// database. Ownership: the database, and everything else it is made with, outlives it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>

#include "common/files.h"
#include "common/status.h"

namespace leveldb {
class DB;
struct Options;
class Snapshot;
}  // namespace leveldb

namespace espalier::registry {

class StoreEnv;

class LevelDbRewrite {
 public:
  /// Begins to copy. `folder` is emptied first; `options` are the database's own.
  LevelDbRewrite(leveldb::DB& from, const leveldb::Options& options, std::unique_ptr<StoreEnv> env, Files& files,
                 std::string folder);
  /// Without finish() the folder stays as it is, for the next one to empty.
  ~LevelDbRewrite();

  /// The database has another value for this record now, or none.
  void note(std::string_view key);
  /// Whether finish() would take no more than some milliseconds. Not ok: the copying has ended with that.
  Result<bool> is_caught_up();
  /// The copy is closed, whole and on disk when this returns. REQUIRES: is_caught_up() has said true.
  Status finish();

 private:
  void run();
  Status open(bool is_new);
  Status copy_all();
  Status follow();
  Status copy(const std::unordered_set<std::string>& keys);
  std::unordered_set<std::string> take_changed();
  bool is_stopped();
  void stop();

  leveldb::DB& from_;
  const std::unique_ptr<leveldb::Options> options_;
  const std::unique_ptr<StoreEnv> env_;
  Files& files_;
  const std::string folder_;
  const leveldb::Snapshot* as_of_;
  std::unique_ptr<leveldb::DB> to_;  ///< the thread's, until it is joined

  std::mutex mutex_;
  std::condition_variable woken_;
  // Guarded by mutex_.
  std::unordered_set<std::string> changed_;
  Status status_;
  bool is_stopped_ = false;
  bool is_caught_up_ = false;

  std::thread thread_;
};

/// A folder of files alone, with them; nothing where it isn't there.
Status remove_folder(Files& files, const std::string& folder);
/// A file, or a folder with all that is in it.
Status remove_entry(Files& files, const std::string& path);

}  // namespace espalier::registry
