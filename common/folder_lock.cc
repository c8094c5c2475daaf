#include "common/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace espalier {

Result<FolderLock> FolderLock::take(const std::string& folder, const std::string& what) {
  const std::string path = folder + "/lock";
  return take_opened(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), path, folder, what);
}

Result<FolderLock> FolderLock::take_itself(const std::string& folder, const std::string& what) {
  return take_opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder, folder, what);
}

Result<FolderLock> FolderLock::take_opened(int fd, const std::string& path, const std::string& folder,
                                           const std::string& what) {
  FolderLock lock;
  lock.fd_ = fd;
  if (lock.fd_ < 0) return unavailable(path + ": " + std::generic_category().message(errno));
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return failed_precondition(what + " runs in " + folder + " already");
  return unavailable(path + ": " + std::generic_category().message(errno));
}

bool FolderLock::is_taken(const std::string& folder) {
  FolderLock lock;
  lock.fd_ = ::open((folder + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  return lock.fd_ >= 0 && ::flock(lock.fd_, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

FolderLock::FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace espalier
