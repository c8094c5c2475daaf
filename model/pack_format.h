// The bytes of a pack's segments: headers of segments and frames, marks (docs/artefact-format.md, "Packs").
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/status.h"

namespace espalier::model {

inline constexpr std::uint64_t kPackAlignment = 64;
/// Of a segment, of a frame, and of a mark, which is a frame header alone.
inline constexpr std::uint64_t kPackHeaderBytes = 64;
inline constexpr std::uint32_t kPackVersion = 1;

/// A frame and what follows it begin at the next multiple of 64.
inline constexpr std::uint64_t frame_bytes(std::uint64_t artefact_size) {
  return kPackHeaderBytes + (artefact_size + kPackAlignment - 1) / kPackAlignment * kPackAlignment;
}

struct Frame {
  Hash256 hash;
  std::uint64_t offset = 0;  ///< of the artefact's bytes in the segment
  std::uint64_t size = 0;
};

struct SegmentContents {
  std::vector<Frame> frames;
  std::size_t durable_frames = 0;  ///< those before the last mark: once synced for certain
  std::uint64_t end = 0;           ///< where the next frame goes
  bool is_damaged = false;         ///< the walk stopped at bytes that are no frame: nothing may be added
};

std::string segment_header(std::uint32_t number, std::uint64_t segment_bytes);
std::string frame_header(const Hash256& hash, std::uint64_t artefact_size);
std::string mark_header(std::uint64_t offset);

/// Whatever looks like a whole frame from `from` on, wherever a frame could begin: for what a damaged place hides.
std::vector<Frame> frames_anywhere(std::string_view bytes, std::uint64_t from);
/// Walks the frames of a mapped segment. corrupt or unimplemented when the segment's own header does not hold.
Result<SegmentContents> walk_segment(std::string_view bytes, std::uint32_t number);

/// "segment-00000001.pack", and back; nothing for any other name.
std::string segment_name(std::uint32_t number);
std::optional<std::uint32_t> parse_segment_name(std::string_view name);
/// While a segment is being made its name ends in this as well.
inline constexpr std::string_view kMakingSuffix = ".making";

}  // namespace espalier::model
