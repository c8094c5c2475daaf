// The twin of the operating system's Files that fails, and crashes, where a test says.
//
//   FaultyFiles files;
//   for (std::uint64_t n = 0; ; ++n) {          // stop between any two calls
//     files.crash_at(n);
//     ... run the operation; it fails from call n on ...
//     files.crash();                            // what was not synced is gone; now reopen and check
//     if (!files.was_reached()) break;          // the operation makes at most n calls
//   }
//
// Works on real files, but syncs nothing for real: a crash of the machine is not what it is there for. What a crash may
// lose is undone on disk by crash(): writes of a file since its last sync(); and names made, renamed or removed in a
// folder since its last sync_directory(), a lost folder with all that is in it. replace() and create_directories() are
// made of their parts, each of which but the making of a folder counts as a call.
//
// Thread safety: any thread; was_reached() tells what the calling thread can know. Ownership: Files and Mappings that
// it gave out stay usable (and failing) while it lives.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/files.h"
#include "tests/support/temp_dir.h"

namespace espalier::testing {

class FaultyFiles final : public Files {
 public:
  enum Kind : unsigned {
    kOpen = 1,
    kWrite = 2,
    kSync = 4,  ///< File::sync
    kPreallocate = 8,
    kRename = 16,
    kRemove = 32,
    kSyncDirectory = 64,
    kRead = 128,  ///< read, read_at, map, list
    kChanges = kOpen | kWrite | kSync | kPreallocate | kRename | kRemove | kSyncDirectory,
  };
  /// What a crash leaves of the last write that was not synced.
  enum class Torn { nothing, first_half, all };

  explicit FaultyFiles(Files& real = Files::system());
  ~FaultyFiles() override;

  /// The `n`-th call of one of `kinds` from now on (counted from 0) fails with `status`, before it has done anything;
  /// later calls work.
  void fail_at(std::uint64_t n, Status status, unsigned kinds = kChanges);
  /// Every call of one of `kinds` fails with `status` until heal(): a full disk, for example.
  void fail_all(Status status, unsigned kinds = kChanges);
  /// The `n`-th call of one of `kinds` from now on and every call of any kind after it fail with unavailable, until
  /// crash().
  void crash_at(std::uint64_t n, unsigned kinds = kChanges);
  /// Forgets what was ordered by fail_at(), fail_all() and crash_at().
  void heal();
  /// Undoes what was not synced, closes nothing that is mapped, forgets all orders. Files opened before fail from now
  /// on.
  void crash(Torn torn = Torn::nothing);
  /// The same, but that each write that was not synced has reached the disk or not, as `chance` says: a disk writes in
  /// any order.
  void crash_reordered(std::mt19937& chance);

  /// Whether the call that the last fail_at() or crash_at() named has come; also after crash().
  bool was_reached() const { return reached_; }
  /// Calls of `kinds` since the making.
  std::uint64_t calls(unsigned kinds = kChanges) const;

  Result<std::unique_ptr<File>> open(const std::string& path, bool create) override;
  Result<std::unique_ptr<Mapping>> map(const std::string& path) override;
  Result<std::string> read(const std::string& path) override;
  Status replace(const std::string& path, std::string_view content) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status create_directories(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  bool exists(const std::string& path) override;

 private:
  class FaultyFile;
  struct Order {
    std::uint64_t remaining;
    unsigned kinds;
    Status status;
    bool crash;
    bool lasting;
  };
  /// How to take one step back. `scope` is the inode ("i:123") or folder ("d:/x") whose sync makes the step durable.
  struct Undo {
    std::string scope;
    std::function<void()> apply;
    std::function<void(Torn)> tear;  ///< of a write: puts a piece of it back
  };

  /// Counts the call; not ok when an order says that it fails.
  Status call(Kind kind, const std::string& path);
  /// Takes all back; the writes among it, the latest first.
  std::vector<std::function<void(Torn)>> undo_all();
  void made_durable(const std::string& scope);
  std::string keep_aside(const std::string& path);

  mutable std::recursive_mutex mutex_;
  Files& real_;
  std::optional<Order> order_;
  std::atomic<bool> reached_{false};
  bool crashed_ = false;
  std::uint64_t life_ = 0;  ///< number of crashes; a File of an earlier life fails
  std::vector<std::uint64_t> counts_;
  std::list<Undo> undos_;
  TempDir aside_;  ///< second names of what was removed or replaced, on the same file system as tests' folders
  std::size_t kept_aside_ = 0;
};

}  // namespace espalier::testing
