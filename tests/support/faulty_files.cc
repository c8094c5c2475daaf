#include "tests/support/faulty_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace espalier::testing {
namespace {

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).lexically_normal().parent_path().string();
  return folder.empty() ? "." : folder;
}

std::string folder_scope(const std::string& folder) {
  std::string text = std::filesystem::path(folder).lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return "d:" + text;
}

/// A descriptor that undoing may write through whatever the file's name has become.
struct Handle {
  explicit Handle(const std::string& path) : fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {}
  ~Handle() {
    if (fd >= 0) ::close(fd);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  std::string scope() const {
    struct stat information {};
    ::fstat(fd, &information);
    return "i:" + std::to_string(information.st_dev) + ":" + std::to_string(information.st_ino);
  }
  const int fd;
};

/// The simulation itself must not fail; when the disk under it does, the test can't go on.
void must(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::abort();
}

struct Region {
  std::uint64_t offset;
  std::string before;         ///< bytes that were there, up to the old end of the file
  std::string after;          ///< bytes that the write put there
  std::uint64_t size_before;  ///< of the file

  void undo(int fd) const {
    must(::pwrite(fd, before.data(), before.size(), static_cast<off_t>(offset)) >= 0, "undo write");
    must(::ftruncate(fd, static_cast<off_t>(size_before)) == 0, "undo size");
  }
  void tear(int fd, FaultyFiles::Torn torn) const {
    const std::size_t kept = torn == FaultyFiles::Torn::first_half ? after.size() / 2 : after.size();
    must(::pwrite(fd, after.data(), kept, static_cast<off_t>(offset)) >= 0, "torn write");
  }
};

}  // namespace

class FaultyFiles::FaultyFile final : public File {
 public:
  FaultyFile(FaultyFiles& files, std::unique_ptr<File> real, std::string path)
      : files_(files),
        real_(std::move(real)),
        path_(std::move(path)),
        life_(files.life_),
        handle_(std::make_shared<Handle>(path_)) {
    must(handle_->fd >= 0, path_.c_str());
  }

  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(call(kWrite));
    ASSIGN_OR_RETURN(const std::uint64_t size, real_->size());
    Region region{offset, "", std::string(bytes), size};
    if (offset < size) {
      ASSIGN_OR_RETURN(region.before, real_->read_at(offset, std::min<std::uint64_t>(bytes.size(), size - offset)));
    }
    const auto kept = std::make_shared<const Region>(std::move(region));
    files_.undos_.push_back({handle_->scope(), [handle = handle_, kept] { kept->undo(handle->fd); },
                             [handle = handle_, kept](Torn torn) { kept->tear(handle->fd, torn); }});
    return real_->write_at(offset, bytes);
  }

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(call(kRead));
    return real_->read_at(offset, size);
  }

  Status sync() override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(call(kSync));
    files_.made_durable(handle_->scope());
    return {};
  }

  Result<std::uint64_t> size() const override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(alive());
    return real_->size();
  }

  Status preallocate(std::uint64_t bytes) override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(call(kPreallocate));
    ASSIGN_OR_RETURN(const std::uint64_t size, real_->size());
    files_.undos_.push_back(
        {handle_->scope(),
         [handle = handle_, size] { must(::ftruncate(handle->fd, static_cast<off_t>(size)) == 0, "undo size"); },
         {}});
    return real_->preallocate(bytes);
  }

 private:
  Status alive() const {
    if (life_ != files_.life_) return unavailable(path_ + ": opened before the crash");
    return {};
  }
  Status call(Kind kind) const {
    RETURN_IF_ERROR(alive());
    return files_.call(kind, path_);
  }

  FaultyFiles& files_;
  std::unique_ptr<File> real_;
  std::string path_;
  std::uint64_t life_;
  std::shared_ptr<Handle> handle_;
};

FaultyFiles::FaultyFiles(Files& real) : real_(real), counts_(8, 0) {}

FaultyFiles::~FaultyFiles() = default;

void FaultyFiles::fail_at(std::uint64_t n, Status status, unsigned kinds) {
  const std::lock_guard lock(mutex_);
  order_ = Order{n, kinds, std::move(status), false, false};
  reached_ = false;
}

void FaultyFiles::fail_all(Status status, unsigned kinds) {
  const std::lock_guard lock(mutex_);
  order_ = Order{0, kinds, std::move(status), false, true};
  reached_ = false;
}

void FaultyFiles::crash_at(std::uint64_t n, unsigned kinds) {
  const std::lock_guard lock(mutex_);
  order_ = Order{n, kinds, unavailable("crashed"), true, false};
  reached_ = false;
}

void FaultyFiles::heal() {
  const std::lock_guard lock(mutex_);
  order_.reset();
  crashed_ = false;
}

std::vector<std::function<void(FaultyFiles::Torn)>> FaultyFiles::undo_all() {
  std::vector<std::function<void(Torn)>> writes;
  while (!undos_.empty()) {
    Undo undo = std::move(undos_.back());
    undos_.pop_back();
    undo.apply();
    if (undo.tear) writes.push_back(std::move(undo.tear));
  }
  return writes;
}

void FaultyFiles::crash(Torn torn) {
  const std::lock_guard lock(mutex_);
  const auto writes = undo_all();
  if (!writes.empty() && torn != Torn::nothing) writes.front()(torn);
  ++life_;
  heal();
}

void FaultyFiles::crash_reordered(std::mt19937& chance) {
  const std::lock_guard lock(mutex_);
  const auto writes = undo_all();
  for (auto write = writes.rbegin(); write != writes.rend(); ++write) {
    if (chance() % 2 == 0) (*write)(chance() % 4 == 0 ? Torn::first_half : Torn::all);
  }
  ++life_;
  heal();
}

std::uint64_t FaultyFiles::calls(unsigned kinds) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = 0;
  for (std::size_t bit = 0; bit < counts_.size(); ++bit) {
    if ((kinds >> bit & 1u) != 0) sum += counts_[bit];
  }
  return sum;
}

Status FaultyFiles::call(Kind kind, const std::string& path) {
  ++counts_[static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(kind)))];
  if (crashed_) return unavailable(path + ": crashed");
  if (!order_ || (order_->kinds & kind) == 0) return {};
  if (order_->remaining > 0) {
    --order_->remaining;
    return {};
  }
  reached_ = true;
  crashed_ = order_->crash;
  const Status status = order_->status.at(path);
  if (!order_->lasting) order_.reset();
  return status;
}

void FaultyFiles::made_durable(const std::string& scope) {
  undos_.remove_if([&](const Undo& undo) { return undo.scope == scope; });
}

/// A second name for the file, from which it can come back.
std::string FaultyFiles::keep_aside(const std::string& path) {
  const std::string aside = aside_ / std::to_string(kept_aside_++);
  must(::link(path.c_str(), aside.c_str()) == 0, "keep aside");
  return aside;
}

Result<std::unique_ptr<File>> FaultyFiles::open(const std::string& path, bool create) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(call(kOpen, path));
  const bool is_new = create && !real_.exists(path);
  ASSIGN_OR_RETURN(auto file, real_.open(path, create));
  if (is_new) {
    undos_.push_back({folder_scope(folder_of(path)), [path] { ::unlink(path.c_str()); }, {}});
  }
  return std::unique_ptr<File>(std::make_unique<FaultyFile>(*this, std::move(file), path));
}

Result<std::unique_ptr<Mapping>> FaultyFiles::map(const std::string& path) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(call(kRead, path));
  return real_.map(path);
}

Result<std::string> FaultyFiles::read(const std::string& path) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(call(kRead, path));
  return real_.read(path);
}

Status FaultyFiles::replace(const std::string& path, std::string_view content) {
  const std::lock_guard lock(mutex_);
  const std::string twin = path + ".replacing";
  if (real_.exists(twin)) must(::unlink(twin.c_str()) == 0, "twin of an earlier attempt");
  {
    ASSIGN_OR_RETURN(const auto file, open(twin, true));
    RETURN_IF_ERROR(file->write_at(0, content));
    RETURN_IF_ERROR(file->sync());
  }
  RETURN_IF_ERROR(rename(twin, path));
  return sync_directory(folder_of(path));
}

Status FaultyFiles::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(call(kRename, from));
  const std::string replaced = real_.exists(to) ? keep_aside(to) : "";
  RETURN_IF_ERROR(real_.rename(from, to));
  undos_.push_back({folder_scope(folder_of(to)),
                    [from, to, replaced] {
                      must(::rename(to.c_str(), from.c_str()) == 0, "undo rename");
                      if (!replaced.empty()) must(::link(replaced.c_str(), to.c_str()) == 0, "undo rename");
                    },
                    {}});
  return {};
}

Status FaultyFiles::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(call(kRemove, path));
  if (std::filesystem::is_directory(path)) return real_.remove(path);
  const std::string aside = real_.exists(path) ? keep_aside(path) : "";
  RETURN_IF_ERROR(real_.remove(path));
  undos_.push_back({folder_scope(folder_of(path)),
                    [path, aside] { must(::link(aside.c_str(), path.c_str()) == 0, "undo remove"); },
                    {}});
  return {};
}

Status FaultyFiles::create_directories(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (crashed_) return unavailable(path + ": crashed");
  if (path.empty() || std::filesystem::is_directory(path)) return {};
  const std::string above = folder_of(path);
  RETURN_IF_ERROR(create_directories(above));
  RETURN_IF_ERROR(real_.create_directories(path));
  undos_.push_back({folder_scope(above), [path] { std::filesystem::remove_all(path); }, {}});
  const Status synced = sync_directory(above);
  if (!synced.ok() && !crashed_) std::filesystem::remove(path);
  return synced;
}

Status FaultyFiles::sync_directory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(call(kSyncDirectory, path));
  made_durable(folder_scope(path));
  return {};
}

Result<std::vector<std::string>> FaultyFiles::list(const std::string& path) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(call(kRead, path));
  return real_.list(path);
}

bool FaultyFiles::exists(const std::string& path) { return real_.exists(path); }

}  // namespace espalier::testing
