// What goes into a backup: the blocks of an archive, of one snapshot, in slices.
//
// Thread safety: as the Store, which outlives it. Errors: unavailable: the store was opened anew meanwhile;
// failed_precondition: an artefact was collected meanwhile: begin anew; corrupt: an artefact is damaged: repair first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "registry/records.h"
#include "registry/upkeep/archive.h"

namespace espalier::registry::upkeep {

struct Block {
  BlockKind kind = BlockKind::records;
  std::string payload;
};

class ArchiveSource {
 public:
  static constexpr std::size_t kStepBytes = 4u << 20;

  static Result<std::unique_ptr<ArchiveSource>> start(Records& records, const Clock& clock);

  /// The next blocks: what comes together in about `slice_us` and kStepBytes; at least one record or artefact.
  Result<std::vector<Block>> step(std::int64_t slice_us);
  bool is_done() const { return stage_ == Stage::done; }
  const ArchiveHead& head() const { return head_; }
  const ArchiveCounts& counts() const { return counts_; }

 private:
  enum class Stage : std::uint8_t { records, artefacts, done };
  ArchiveSource(Records& records, const Clock& clock) : records_(records), clock_(clock) {}
  /// One record or artefact, or the end of the stage.
  Status take_one(std::vector<Block>& blocks);
  Status take_artefact(std::vector<Block>& blocks);

  Records& records_;
  const Clock& clock_;
  std::unique_ptr<Cursor> cursor_;
  Stage stage_ = Stage::records;
  ArchiveHead head_;
  ArchiveCounts counts_;
};

/// Makes the registry of `archive` in `folder`, which is empty or isn't there yet; the folder has it whole or stays as
/// it was. Returns the new generation. failed_precondition: the folder is not empty.
Result<std::uint64_t> restore(Files& files, const Clock& clock, const Archive& archive, const std::string& folder);

}  // namespace espalier::registry::upkeep
