// The file operations that durability depends on, behind an interface with a faulty twin in tests.
//
// Every failure is a Status that names the path: not_found, resource_exhausted (ENOSPC, EDQUOT), unavailable (other
// errors). Thread safety: Files may be used from any thread; a File or Mapping belongs to one thread at a time, but a
// Mapping's bytes may be read from any thread while it lives.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier {

/// An open file. Closed by its destructor; durable only after sync().
class File {
 public:
  virtual ~File() = default;
  /// Writes all of `bytes` at `offset` (bytes from the file's start).
  virtual Status write_at(std::uint64_t offset, std::string_view bytes) = 0;
  /// Reads exactly `size` bytes; corrupt when the file is shorter.
  virtual Result<std::string> read_at(std::uint64_t offset, std::size_t size) const = 0;
  virtual Status sync() = 0;
  virtual Result<std::uint64_t> size() const = 0;
  /// Reserves `bytes` of disk space, so that later writes within cannot fail for lack of it.
  virtual Status preallocate(std::uint64_t bytes) = 0;
};

/// A file mapped read-only. Unmapped by its destructor.
class Mapping {
 public:
  virtual ~Mapping() = default;
  virtual std::string_view bytes() const = 0;
};

class Files {
 public:
  virtual ~Files() = default;
  /// Opens for reading and writing, but not through a link; creates it when `create`.
  virtual Result<std::unique_ptr<File>> open(const std::string& path, bool create) = 0;
  virtual Result<std::unique_ptr<Mapping>> map(const std::string& path) = 0;
  virtual Result<std::string> read(const std::string& path) = 0;
  /// Writes a temporary twin, never through a link that has its name, syncs it, renames it over `path`, syncs the
  /// folder: after a crash the old or the new content.
  virtual Status replace(const std::string& path, std::string_view content) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;
  virtual Status create_directories(const std::string& path) = 0;  ///< names that it made are durable
  /// Makes created, renamed and removed entries of the folder durable.
  virtual Status sync_directory(const std::string& path) = 0;
  /// Names of the entries (not paths), sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  /// Says that the file will be read soon, so that it is in memory by then. Doesn't wait; does nothing where it can't.
  virtual void will_read(const std::string& /*path*/) {}

  /// The operating system's files; lives for the whole process.
  static Files& system();
};

}  // namespace espalier
