// One process a folder: a shard's, or a cluster's.
//
// Thread safety: a value. Ownership: holds the lock until it is destroyed or the process ends, however it ends.
#pragma once

#include <string>

#include "common/status.h"

namespace espalier {

class FolderLock {
 public:
  /// Locks `folder`/lock, which is made if it is missing. failed_precondition: another process has it; `what` is what
  /// it then says: "a shard runs in FOLDER already".
  static Result<FolderLock> take(const std::string& folder, const std::string& what);
  /// The same for the folder itself: no file is made in it, and take() is another lock.
  static Result<FolderLock> take_itself(const std::string& folder, const std::string& what);
  /// Whether a process has it now.
  static bool is_taken(const std::string& folder);
  FolderLock() = default;
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();
  bool is_held() const { return fd_ >= 0; }

 private:
  static Result<FolderLock> take_opened(int fd, const std::string& path, const std::string& folder,
                                        const std::string& what);
  int fd_ = -1;
};

}  // namespace espalier
