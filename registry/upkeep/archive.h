// Archives: one file with the records and artefacts of a registry. docs/archive-format.md has the bytes.
//
// Thread safety: one thread owns a writer or a reader. Errors: corrupt names the byte; unimplemented: of a later
// Espalier; the disk's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/files.h"
#include "common/hash.h"
#include "common/status.h"

namespace espalier::registry::upkeep {

inline constexpr std::uint32_t kArchiveVersion = 1;
inline constexpr std::uint64_t kMaxBlockBytes = 1ull << 30;

/// In the file: never change.
enum class BlockKind : std::uint32_t { records = 1, artefacts = 2, end = 3 };

/// What an archive holds. In the file: never change.
enum class ArchiveKind : std::uint32_t { registry = 1, histories = 2 };

struct ArchiveHead {
  std::uint64_t generation = 0, epoch = 0;
  std::int64_t time_us = 0;
  std::uint32_t schema = 0;
  ArchiveKind kind = ArchiveKind::registry;
};
struct ArchiveCounts {
  std::uint64_t records = 0, artefacts = 0, artefact_bytes = 0;
  bool operator==(const ArchiveCounts&) const = default;
};

/// Payloads of blocks.
void append_record(std::string& payload, std::string_view key, std::string_view value);
void append_artefact(std::string& payload, std::string_view tenant, const Hash256& hash, std::string_view bytes);
/// Calls with each record of a payload; corrupt: its lengths don't fit.
Status each_record_of(std::string_view payload, const std::function<Status(std::string_view, std::string_view)>& take);

/// Writes PATH.partial; finish() gives it its name. A writer that is destroyed before leaves nothing.
class ArchiveWriter {
 public:
  /// already_exists: there is a file of that name.
  static Result<std::unique_ptr<ArchiveWriter>> make(Files& files, const std::string& path, const ArchiveHead& head);
  ~ArchiveWriter();
  /// REQUIRES: a payload of that kind, records before artefacts, keys ascending.
  Status add(BlockKind kind, std::string_view payload);
  Status finish(const ArchiveCounts& counts);

 private:
  ArchiveWriter(Files& files, std::string path) : files_(files), path_(std::move(path)) {}
  Status write(std::string_view bytes);

  Files& files_;
  const std::string path_;
  std::unique_ptr<File> file_;  ///< nothing: finished
  std::uint64_t end_ = 0;
  std::uint32_t blocks_ = 0;
  Hasher256 hasher_;
};

/// A whole archive. Its bytes stay mapped while it lives.
class Archive {
 public:
  /// Checks all of it.
  static Result<std::unique_ptr<Archive>> open(Files& files, const std::string& path);
  /// The same for bytes in memory, which outlive it.
  static Result<std::unique_ptr<Archive>> read(std::string_view bytes);

  const ArchiveHead& head() const { return head_; }
  const ArchiveCounts& counts() const { return counts_; }
  /// Calls with each record, in the order of the keys, and with each artefact; stops at the first that is not ok.
  Status each_record(const std::function<Status(std::string_view key, std::string_view value)>& take) const;
  Status each_artefact(
      const std::function<Status(std::string_view tenant, const Hash256& hash, std::string_view bytes)>& take) const;

 private:
  Archive() = default;
  using TakeBlock = std::function<Status(BlockKind kind, std::uint64_t at, std::string_view payload)>;
  Status read_head();
  /// Calls with each block but the end, whose checksums hold.
  Status each_block(const TakeBlock& take) const;
  Status check();

  std::unique_ptr<Mapping> mapping_;
  std::string_view bytes_;
  ArchiveHead head_;
  ArchiveCounts counts_;
};

}  // namespace espalier::registry::upkeep
