#include "common/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace espalier {
namespace {

Status failure(int error, std::string_view path, std::string_view action) {
  Code code = Code::unavailable;
  if (error == ENOENT) code = Code::not_found;
  if (error == ENOSPC || error == EDQUOT) code = Code::resource_exhausted;
  return Status(code, std::string(path).append(": ").append(action).append(": ").append(std::strerror(error)));
}

/// Calls `operation` again while a signal interrupts it.
template <class Operation>
auto uninterrupted(Operation operation) {
  for (;;) {
    const auto outcome = operation();
    if (outcome >= 0 || errno != EINTR) return outcome;
  }
}

/// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& from) noexcept : fd_(std::exchange(from.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<Descriptor> open_descriptor(const std::string& path, int flags) {
  const int fd = uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0644); });
  if (fd < 0) return failure(errno, path, "open");
  return Descriptor(fd);
}

Result<std::uint64_t> size_of(int fd, const std::string& path) {
  struct stat information {};
  if (::fstat(fd, &information) != 0) return failure(errno, path, "stat");
  return static_cast<std::uint64_t>(information.st_size);
}

Status write_all(int fd, std::uint64_t offset, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written =
        uninterrupted([&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (written < 0) return failure(errno, path, "write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

/// For files whose size isn't known before they are read, such as those under /proc.
Result<std::string> read_to_end(int fd, const std::string& path) {
  std::string bytes;
  char piece[4096];
  for (;;) {
    const ssize_t got = uninterrupted([&] { return ::read(fd, piece, sizeof piece); });
    if (got < 0) return failure(errno, path, "read");
    if (got == 0) return bytes;
    bytes.append(piece, static_cast<std::size_t>(got));
  }
}

Result<std::string> read_exactly(int fd, std::uint64_t offset, std::size_t size, const std::string& path) {
  // Asked first, so that a damaged length can't ask for more memory than the file has bytes.
  ASSIGN_OR_RETURN(const std::uint64_t available, size_of(fd, path));
  if (offset > available || size > available - offset) {
    return corrupt(path + ": " + std::to_string(size) + " bytes wanted at " + std::to_string(offset) +
                   ", the file has " + std::to_string(available));
  }
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got =
        uninterrupted([&] { return ::pread(fd, bytes.data() + have, size - have, static_cast<off_t>(offset + have)); });
    if (got < 0) return failure(errno, path, "read");
    if (got == 0) return corrupt(path + ": cut short while it was read");
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

class SystemFile final : public File {
 public:
  SystemFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    return write_all(fd_.get(), offset, bytes, path_);
  }
  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override {
    return read_exactly(fd_.get(), offset, size, path_);
  }
  Status sync() override {
    // Enough for what reading back needs: the bytes and the size, not the times.
    if (uninterrupted([&] { return ::fdatasync(fd_.get()); }) != 0) return failure(errno, path_, "sync");
    return {};
  }
  Result<std::uint64_t> size() const override { return size_of(fd_.get(), path_); }
  Status preallocate(std::uint64_t bytes) override {
    if (bytes == 0) return {};
    for (;;) {
      const int error = ::posix_fallocate(fd_.get(), 0, static_cast<off_t>(bytes));
      if (error == 0) return {};
      if (error != EINTR) return failure(error, path_, "preallocate");
    }
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class SystemMapping final : public Mapping {
 public:
  SystemMapping(void* start, std::uint64_t size) : start_(start), size_(size) {}
  ~SystemMapping() override {
    if (size_ > 0) ::munmap(start_, size_);
  }
  std::string_view bytes() const override { return {static_cast<const char*>(start_), size_}; }

 private:
  void* start_;
  std::uint64_t size_;
};

class SystemFiles final : public Files {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, bool create) override {
    // Never through a link, which could lead anywhere.
    ASSIGN_OR_RETURN(Descriptor fd, open_descriptor(path, O_RDWR | O_NOFOLLOW | (create ? O_CREAT : 0)));
    return std::unique_ptr<File>(std::make_unique<SystemFile>(std::move(fd), path));
  }

  Result<std::unique_ptr<Mapping>> map(const std::string& path) override {
    // A pipe, which nobody may ever write to, maps to nothing, and isn't waited for.
    ASSIGN_OR_RETURN(const Descriptor fd, open_descriptor(path, O_RDONLY | O_NONBLOCK));
    ASSIGN_OR_RETURN(const std::uint64_t size, size_of(fd.get(), path));
    void* start = nullptr;
    if (size > 0) {
      start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
      if (start == MAP_FAILED) return failure(errno, path, "map");
    }
    return std::unique_ptr<Mapping>(std::make_unique<SystemMapping>(start, size));
  }

  Result<std::string> read(const std::string& path) override {
    ASSIGN_OR_RETURN(const Descriptor fd, open_descriptor(path, O_RDONLY));
    ASSIGN_OR_RETURN(const std::uint64_t size, size_of(fd.get(), path));
    if (size == 0) return read_to_end(fd.get(), path);
    return read_exactly(fd.get(), 0, size, path);
  }

  Status replace(const std::string& path, std::string_view content) override {
    const std::string twin = path + ".replacing";
    const Status written = write_new(twin, content);
    if (!written.ok()) {
      ::unlink(twin.c_str());
      return written;
    }
    RETURN_IF_ERROR(rename(twin, path));
    const std::string folder = std::filesystem::path(path).parent_path().string();
    return sync_directory(folder.empty() ? "." : folder);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failure(errno, from, "rename to " + to);
    return {};
  }

  Status remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return failure(errno, path, "remove");
    return {};
  }

  Status create_directories(const std::string& path) override {
    std::error_code error;
    std::filesystem::path made = path;
    if (made.filename().empty()) made = made.parent_path();
    if (std::filesystem::is_directory(made, error)) return {};
    const std::string above = made.has_parent_path() ? made.parent_path().string() : ".";
    RETURN_IF_ERROR(create_directories(above));
    std::filesystem::create_directory(made, error);
    if (error) return failure(error.value(), path, "create folder");
    Status synced = sync_directory(above);
    // Else the next attempt would find it there, and take its name for durable.
    if (!synced.ok()) std::filesystem::remove(made, error);
    return synced;
  }

  Status sync_directory(const std::string& path) override {
    ASSIGN_OR_RETURN(const Descriptor fd, open_descriptor(path, O_RDONLY | O_DIRECTORY));
    if (uninterrupted([&] { return ::fsync(fd.get()); }) != 0) return failure(errno, path, "sync folder");
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    std::error_code error;
    std::filesystem::directory_iterator entries(path, error);
    std::vector<std::string> names;
    for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
      names.push_back(entries->path().filename().string());
    }
    if (error) return failure(error.value(), path, "list");
    std::ranges::sort(names);
    return names;
  }

  void will_read(const std::string& path) override {
    const auto fd = open_descriptor(path, O_RDONLY);
    if (fd.ok()) ::posix_fadvise(fd->get(), 0, 0, POSIX_FADV_WILLNEED);
  }
  bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

 private:
  static Status write_new(const std::string& path, std::string_view content) {
    // Where something has the name, a link too, it goes: it is never written through.
    ::unlink(path.c_str());
    ASSIGN_OR_RETURN(const Descriptor fd, open_descriptor(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW));
    RETURN_IF_ERROR(write_all(fd.get(), 0, content, path));
    if (uninterrupted([&] { return ::fdatasync(fd.get()); }) != 0) return failure(errno, path, "sync");
    return {};
  }
};

}  // namespace

Files& Files::system() {
  static SystemFiles files;
  return files;
}

}  // namespace espalier
