// A pack: a folder of segments, files of fixed size that hold many artefacts each and are mapped once (architecture:
// "Formats"). docs/artefact-format.md has the byte table. The registry keeps its artefacts in one, each shard has its
// own, and a trainer uploads a segment.
//
// Segments are preallocated, written with pwrite and never grown, truncated or rewritten under a reader. Each artefact
// lies at a multiple of 64 behind a frame header (magic, size, hash, checksum), so that the table of contents is
// rebuilt by walking the frames: a torn tail is found and cut off there. add() is durable only after sync().
//
// Space comes back a segment at a time: what was forgotten is dead, move_out() copies what lives in a segment to the
// end of the pack, and remove_segment() removes the file. Its mapping stays for those who hold() it.
//
// Thread safety: one thread owns a Pack. The bytes that find() returns may be read by any thread until remove_segment()
// is called or the Pack is destroyed; longer by those who hold() them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/files.h"
#include "common/hash.h"
#include "common/status.h"

namespace espalier::model {

struct PackOptions {
  std::uint64_t segment_bytes = 64ull << 20;  ///< an artefact larger than this gets a segment of its own
  std::uint64_t most_bytes = 0;  ///< nothing is added that would make the files larger together; 0: no limit
};

class Pack {
 public:
  /// Opens or creates the folder; walks the frames' headers. Hashes only what was added after the last sync() and
  /// leaves out what is torn there; the rest is checked by verify(). Damaged segments are kept, logged, and not added
  /// to. unimplemented: a segment of a later version.
  static Result<std::unique_ptr<Pack>> open(Files& files, const std::string& folder, PackOptions options);
  ~Pack();

  /// Appends unless the pack has it already; the caller has checked that `hash` is the BLAKE2b-256 of `bytes`. Durable
  /// after sync(). resource_exhausted: the disk is full, or the files would be larger than they may be; compaction may
  /// make room.
  Status add(const Hash256& hash, std::string_view bytes);
  /// Makes everything added durable. resource_exhausted: the disk is full; nothing added since the last sync() counts.
  Status sync();

  /// The artefact's bytes in the mapped segment; nothing when the pack doesn't have it.
  std::optional<std::string_view> find(const Hash256& hash) const;
  /// Keeps the bytes that find() gives now where they are, also when their segment is removed and the Pack destroyed.
  /// Nothing when the pack doesn't have the artefact.
  std::shared_ptr<const Mapping> hold(const Hash256& hash) const;
  /// corrupt when the bytes no longer have the hash; the frame is then forgotten, so that add() stores the artefact
  /// anew.
  Status verify(const Hash256& hash);
  /// Forgets the frame until the next open() (its bytes stay until compaction).
  void forget(const Hash256& hash);

  /// Looks behind the damaged places of segments for whole artefacts that the pack lacks, and adds them; returns how
  /// many, durable. With `dry_run` only counts them.
  Result<std::uint64_t> salvage(bool dry_run);

  std::vector<Hash256> hashes() const;
  std::vector<Hash256> hashes_in(std::uint32_t segment) const;
  std::uint64_t artefact_bytes() const;  ///< bytes of all artefacts held
  std::uint64_t live_bytes() const;      ///< the same with their headers and what aligns them
  std::uint64_t disk_bytes() const;      ///< bytes of all segments

  struct SegmentUse {
    std::uint32_t number = 0;
    std::uint64_t bytes = 0;
    std::uint64_t live_bytes = 0;  ///< of frames that the table of contents has, their headers included
    std::uint64_t dead_bytes = 0;  ///< of other frames
    bool is_open = false;          ///< the next artefact may go there
    bool is_damaged = false;       ///< kept for people to look at
    bool is_oversized = false;     ///< larger than segments are made now, and not for one large artefact
  };
  std::vector<SegmentUse> segments() const;
  /// The next artefact begins a new segment.
  Status close_segment() { return seal(); }
  /// Copies artefacts of the segment, about `most` bytes of them, to the end of the pack; true when nothing is left
  /// that only this segment has on disk. Until then readers find them where they were. corrupt: one has lost its
  /// hash (verify() then forgets it). resource_exhausted: nothing is lost, call again when there is space.
  /// REQUIRES: the segment is not open.
  Result<bool> move_out(std::uint32_t segment, std::uint64_t most);
  /// Removes the file. REQUIRES: move_out() has said true, and nothing was done with the pack since.
  Status remove_segment(std::uint32_t segment);

 private:
  struct State;
  explicit Pack(std::unique_ptr<State> state);
  Status seal();
  std::unique_ptr<State> state_;
};

}  // namespace espalier::model
