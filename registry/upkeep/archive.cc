#include "registry/upkeep/archive.h"

#include <cstring>

#include "common/bytes.h"
#include "registry/keys.h"

namespace espalier::registry::upkeep {
namespace {

constexpr std::string_view kMagic = "ESPALARC";
constexpr std::size_t kHeadBytes = 64, kBlockHeadBytes = 32, kEndBytes = 24 + 32;
constexpr std::string_view kPartial = ".partial";

std::string encoded(const ArchiveHead& head) {
  std::string bytes(kMagic);
  append(bytes, kArchiveVersion);
  append(bytes, static_cast<std::uint32_t>(head.kind));
  append(bytes, head.generation);
  append(bytes, head.epoch);
  append(bytes, head.time_us);
  append(bytes, head.schema);
  bytes.resize(kHeadBytes - 8);
  append(bytes, xxh3_64(bytes));
  return bytes;
}

std::string block_head(BlockKind kind, std::uint32_t number, std::string_view payload) {
  std::string bytes;
  append(bytes, static_cast<std::uint32_t>(kind));
  append(bytes, number);
  append(bytes, static_cast<std::uint64_t>(payload.size()));
  append(bytes, xxh3_64(payload));
  append(bytes, xxh3_64(bytes));
  return bytes;
}

Status at_byte(std::uint64_t at, const std::string& what) {
  return corrupt("byte " + std::to_string(at) + ": " + what);
}
Status cut_short(std::uint64_t at) { return at_byte(at, "the archive is cut short here"); }

/// Takes `size` bytes from the front.
bool take(std::string_view& left, std::uint64_t size, std::string_view& to) {
  if (left.size() < size) return false;
  to = left.substr(0, size);
  left.remove_prefix(size);
  return true;
}

Status records_of(std::uint64_t at, std::string_view payload,
                  const std::function<Status(std::string_view key, std::string_view value)>& call) {
  std::string_view left = payload, sizes, key, value;
  while (!left.empty()) {
    const std::uint64_t here = at + payload.size() - left.size();
    if (!take(left, 8, sizes) || !take(left, load<std::uint32_t>(sizes.data()), key) ||
        !take(left, load<std::uint32_t>(sizes.data() + 4), value) || key.empty()) {
      return at_byte(here, "a record whose lengths don't fit");
    }
    RETURN_IF_ERROR(call(key, value));
  }
  return {};
}

Status artefacts_of(
    std::uint64_t at, std::string_view payload,
    const std::function<Status(std::string_view tenant, const Hash256& hash, std::string_view bytes)>& call) {
  std::string_view left = payload, head, tenant, bytes;
  while (!left.empty()) {
    const std::uint64_t here = at + payload.size() - left.size();
    if (!take(left, 4 + 8 + 32, head) || !take(left, load<std::uint32_t>(head.data()), tenant) ||
        !take(left, load<std::uint64_t>(head.data() + 4), bytes)) {
      return at_byte(here, "an artefact whose lengths don't fit");
    }
    RETURN_IF_ERROR(call(tenant, *Hash256::from_bytes(head.substr(12)), bytes));
  }
  return {};
}

}  // namespace

void append_record(std::string& payload, std::string_view key, std::string_view value) {
  append(payload, static_cast<std::uint32_t>(key.size()));
  append(payload, static_cast<std::uint32_t>(value.size()));
  payload.append(key).append(value);
}

void append_artefact(std::string& payload, std::string_view tenant, const Hash256& hash, std::string_view bytes) {
  append(payload, static_cast<std::uint32_t>(tenant.size()));
  append(payload, static_cast<std::uint64_t>(bytes.size()));
  payload.append(hash.view()).append(tenant).append(bytes);
}

Status each_record_of(std::string_view payload, const std::function<Status(std::string_view, std::string_view)>& take) {
  return records_of(0, payload, take);
}

// ------------------------------------------------------------------------------------------------------------- writing

Result<std::unique_ptr<ArchiveWriter>> ArchiveWriter::make(Files& files, const std::string& path,
                                                           const ArchiveHead& head) {
  if (files.exists(path)) return Status(Code::already_exists, path);
  const std::string partial = path + std::string(kPartial);
  if (files.exists(partial)) RETURN_IF_ERROR(files.remove(partial));
  std::unique_ptr<ArchiveWriter> writer(new ArchiveWriter(files, path));
  ASSIGN_OR_RETURN(writer->file_, files.open(partial, true));
  RETURN_IF_ERROR(writer->write(encoded(head)));
  return writer;
}

ArchiveWriter::~ArchiveWriter() {
  if (!file_) return;
  file_.reset();
  static_cast<void>(files_.remove(path_ + std::string(kPartial)));
}

Status ArchiveWriter::write(std::string_view bytes) {
  RETURN_IF_ERROR(file_->write_at(end_, bytes));
  hasher_.update(bytes);
  end_ += bytes.size();
  return {};
}

Status ArchiveWriter::add(BlockKind kind, std::string_view payload) {
  RETURN_IF_ERROR(write(block_head(kind, blocks_++, payload)));
  return write(payload);
}

Status ArchiveWriter::finish(const ArchiveCounts& counts) {
  std::string payload;
  append(payload, counts.records);
  append(payload, counts.artefacts);
  append(payload, counts.artefact_bytes);
  payload.append(hasher_.finish().view());
  RETURN_IF_ERROR(file_->write_at(end_, block_head(BlockKind::end, blocks_, payload) + payload));
  RETURN_IF_ERROR(file_->sync());
  RETURN_IF_ERROR(files_.rename(path_ + std::string(kPartial), path_));
  file_.reset();
  const std::size_t slash = path_.rfind('/');
  return files_.sync_directory(slash == std::string::npos ? "." : path_.substr(0, std::max<std::size_t>(slash, 1)));
}

// ------------------------------------------------------------------------------------------------------------- reading

Result<std::unique_ptr<Archive>> Archive::open(Files& files, const std::string& path) {
  if (!files.exists(path)) return not_found(path);
  ASSIGN_OR_RETURN(auto mapping, files.map(path));
  auto archive = read(mapping->bytes());
  if (!archive.ok()) return archive.status().at(path);
  (*archive)->mapping_ = std::move(mapping);
  return archive;
}

Result<std::unique_ptr<Archive>> Archive::read(std::string_view bytes) {
  std::unique_ptr<Archive> archive(new Archive);
  archive->bytes_ = bytes;
  RETURN_IF_ERROR(archive->read_head());
  RETURN_IF_ERROR(archive->check());
  return archive;
}

Status Archive::read_head() {
  if (!bytes_.starts_with(kMagic.substr(0, bytes_.size())) || bytes_.empty()) return corrupt("not an archive");
  if (bytes_.size() < kHeadBytes) return cut_short(bytes_.size());
  const char* const from = bytes_.data();
  if (const auto version = load<std::uint32_t>(from + 8); version != kArchiveVersion) {
    return Status(Code::unimplemented, "archive version " + std::to_string(version) + ", this build reads " +
                                           std::to_string(kArchiveVersion));
  }
  if (xxh3_64(bytes_.substr(0, kHeadBytes - 8)) != load<std::uint64_t>(from + kHeadBytes - 8)) {
    return at_byte(0, "the header's checksum doesn't hold");
  }
  const auto kind = load<std::uint32_t>(from + 12);
  if (kind < 1 || kind > static_cast<std::uint32_t>(ArchiveKind::histories)) {
    return Status(Code::unimplemented, "an archive of kind " + std::to_string(kind));
  }
  head_ = {load<std::uint64_t>(from + 16), load<std::uint64_t>(from + 24), load<std::int64_t>(from + 32),
           load<std::uint32_t>(from + 40), static_cast<ArchiveKind>(kind)};
  if (head_.schema == 0 || head_.schema > keys::kSchemaVersion) {
    return Status(Code::unimplemented, "keys of schema version " + std::to_string(head_.schema) +
                                           ", this build reads version " + std::to_string(keys::kSchemaVersion));
  }
  return {};
}

Status Archive::each_block(const TakeBlock& take_block) const {
  std::uint64_t at = kHeadBytes;
  for (std::uint32_t number = 0;; ++number) {
    if (bytes_.size() - at < kBlockHeadBytes) return cut_short(bytes_.size());
    const std::string_view head = bytes_.substr(at, kBlockHeadBytes);
    if (xxh3_64(head.substr(0, 24)) != load<std::uint64_t>(head.data() + 24)) {
      return at_byte(at, "the checksum of a block's head doesn't hold");
    }
    const auto kind = load<std::uint32_t>(head.data());
    const auto size = load<std::uint64_t>(head.data() + 8);
    if (load<std::uint32_t>(head.data() + 4) != number) return at_byte(at, "not block " + std::to_string(number));
    if (size > kMaxBlockBytes) return at_byte(at, "a block of " + std::to_string(size) + " bytes");
    const std::uint64_t begin = at + kBlockHeadBytes;
    if (bytes_.size() - begin < size) return cut_short(bytes_.size());
    const std::string_view payload = bytes_.substr(begin, size);
    if (xxh3_64(payload) != load<std::uint64_t>(head.data() + 16)) {
      return at_byte(begin, "the checksum of block " + std::to_string(number) + " doesn't hold");
    }
    if (kind < 1 || kind > static_cast<std::uint32_t>(BlockKind::end)) {
      return Status(Code::unimplemented, "byte " + std::to_string(at) + ": a block of kind " + std::to_string(kind));
    }
    RETURN_IF_ERROR(take_block(static_cast<BlockKind>(kind), begin, payload));
    at = begin + size;
    if (static_cast<BlockKind>(kind) != BlockKind::end) continue;
    if (at != bytes_.size()) return at_byte(at, "bytes behind the end");
    return {};
  }
}

Status Archive::check() {
  ArchiveCounts counted;
  std::string last_key;
  RETURN_IF_ERROR(each_block([&](BlockKind kind, std::uint64_t at, std::string_view payload) -> Status {
    if (kind == BlockKind::records) {
      if (counted.artefacts > 0) return at_byte(at, "records behind artefacts");
      return records_of(at, payload, [&](std::string_view key, std::string_view) -> Status {
        ++counted.records;
        if (key <= last_key) return at_byte(at, "the keys in this block don't ascend");
        last_key = key;
        return {};
      });
    }
    if (kind == BlockKind::artefacts) {
      return artefacts_of(at, payload, [&](std::string_view, const Hash256& hash, std::string_view bytes) -> Status {
        ++counted.artefacts;
        counted.artefact_bytes += bytes.size();
        if (blake2b_256(bytes) != hash) return at_byte(at, "artefact " + hash.hex() + " doesn't have its hash");
        return {};
      });
    }
    if (payload.size() != kEndBytes) return at_byte(at, "the end block has another size");
    counts_ = {load<std::uint64_t>(payload.data()), load<std::uint64_t>(payload.data() + 8),
               load<std::uint64_t>(payload.data() + 16)};
    if (counts_ != counted) return at_byte(at, "other counts than the archive has");
    if (blake2b_256(bytes_.substr(0, at - kBlockHeadBytes)).view() != payload.substr(24)) {
      return at_byte(at, "the archive doesn't have the hash that stands at its end");
    }
    return {};
  }));
  return {};
}

Status Archive::each_record(const std::function<Status(std::string_view, std::string_view)>& call) const {
  return each_block([&](BlockKind kind, std::uint64_t at, std::string_view payload) {
    return kind == BlockKind::records ? records_of(at, payload, call) : Status();
  });
}

Status Archive::each_artefact(
    const std::function<Status(std::string_view, const Hash256&, std::string_view)>& call) const {
  return each_block([&](BlockKind kind, std::uint64_t at, std::string_view payload) {
    return kind == BlockKind::artefacts ? artefacts_of(at, payload, call) : Status();
  });
}

}  // namespace espalier::registry::upkeep
