#include "model/pack_format.h"

#include <charconv>
#include <cstdio>

#include "common/bytes.h"

namespace espalier::model {
namespace {

// Segment header: magic, u32 version, u32 number, u64 segment size, zeros, u64 checksum of all before it.
// Frame header:   magic, u64 artefact size, 32 bytes hash, u64 zero, u64 checksum of all before it.
// Mark:           magic, u64 own offset, zeros, u64 checksum of all before it.
constexpr std::string_view kSegmentMagic = "ESPAPACK";
constexpr std::string_view kFrameMagic = "ESPFRAME";
constexpr std::string_view kMarkMagic = "ESPAMARK";
constexpr std::size_t kChecksumAt = 56;

std::string closed(std::string header) {
  header.resize(kChecksumAt);
  append(header, xxh3_64(header));
  return header;
}

bool checksum_holds(std::string_view header) {
  return load<std::uint64_t>(header.data() + kChecksumAt) == xxh3_64(header.substr(0, kChecksumAt));
}

Status check_segment_header(std::string_view bytes, std::uint32_t number) {
  if (bytes.size() < kPackHeaderBytes) return corrupt("shorter than a segment's header");
  const std::string_view header = bytes.substr(0, kPackHeaderBytes);
  if (!header.starts_with(kSegmentMagic)) return corrupt("not a segment of a pack");
  if (const auto version = load<std::uint32_t>(header.data() + 8); version > kPackVersion) {
    return Status(Code::unimplemented, "segment version " + std::to_string(version));
  }
  if (!checksum_holds(header)) return corrupt("the segment header's checksum does not hold");
  if (load<std::uint32_t>(header.data() + 12) != number) return corrupt("the segment's number is not its name's");
  return {};
}

}  // namespace

std::string segment_header(std::uint32_t number, std::uint64_t segment_bytes) {
  std::string header(kSegmentMagic);
  append(header, kPackVersion);
  append(header, number);
  append(header, segment_bytes);
  return closed(std::move(header));
}

std::string frame_header(const Hash256& hash, std::uint64_t artefact_size) {
  std::string header(kFrameMagic);
  append(header, artefact_size);
  header.append(hash.view());
  return closed(std::move(header));
}

std::string mark_header(std::uint64_t offset) {
  std::string header(kMarkMagic);
  append(header, offset);
  return closed(std::move(header));
}

Result<SegmentContents> walk_segment(std::string_view bytes, std::uint32_t number) {
  RETURN_IF_ERROR(check_segment_header(bytes, number));
  SegmentContents contents;
  contents.is_damaged = load<std::uint64_t>(bytes.data() + 16) != bytes.size();
  std::uint64_t& at = contents.end;
  for (at = kPackHeaderBytes; bytes.size() - at >= kPackHeaderBytes;) {
    const std::string_view header = bytes.substr(at, kPackHeaderBytes);
    const auto number_field = load<std::uint64_t>(header.data() + 8);
    const bool is_mark = header.starts_with(kMarkMagic);
    const bool is_frame = header.starts_with(kFrameMagic);
    if (!(is_frame || (is_mark && number_field == at)) || !checksum_holds(header)) {
      contents.is_damaged |= !is_zero(header);
      return contents;
    }
    if (is_mark) {
      contents.durable_frames = contents.frames.size();
      at += kPackHeaderBytes;
      continue;
    }
    const std::uint64_t room = bytes.size() - at - kPackHeaderBytes;
    if (number_field > room || frame_bytes(number_field) - kPackHeaderBytes > room) {
      contents.is_damaged = true;
      return contents;
    }
    Frame frame{{}, at + kPackHeaderBytes, number_field};
    std::memcpy(frame.hash.bytes.data(), header.data() + 16, frame.hash.bytes.size());
    contents.frames.push_back(frame);
    at += frame_bytes(number_field);
  }
  return contents;
}

std::vector<Frame> frames_anywhere(std::string_view bytes, std::uint64_t from) {
  std::vector<Frame> frames;
  std::uint64_t at = (from + kPackAlignment - 1) / kPackAlignment * kPackAlignment;
  while (at + kPackHeaderBytes <= bytes.size()) {
    const std::string_view header = bytes.substr(at, kPackHeaderBytes);
    const auto size = load<std::uint64_t>(header.data() + 8);
    const std::uint64_t room = bytes.size() - at - kPackHeaderBytes;
    if (!header.starts_with(kFrameMagic) || !checksum_holds(header) || size > room) {
      at += kPackAlignment;
      continue;
    }
    Frame frame{{}, at + kPackHeaderBytes, size};
    std::memcpy(frame.hash.bytes.data(), header.data() + 16, frame.hash.bytes.size());
    frames.push_back(frame);
    at += frame_bytes(size);
  }
  return frames;
}

std::string segment_name(std::uint32_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "segment-%08u.pack", number);
  return name;
}

std::optional<std::uint32_t> parse_segment_name(std::string_view name) {
  constexpr std::string_view kPrefix = "segment-";
  if (!name.starts_with(kPrefix)) return {};
  std::uint32_t number = 0;
  const char* digits = name.data() + kPrefix.size();
  if (std::from_chars(digits, name.data() + name.size(), number).ec != std::errc()) return {};
  if (number == 0 || segment_name(number) != name) return {};
  return number;
}

}  // namespace espalier::model
