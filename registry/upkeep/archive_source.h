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

/// Where an archive's blocks come from, some at a time.
class BlockSource {
 public:
  static constexpr std::size_t kStepBytes = 4u << 20;
  virtual ~BlockSource() = default;

  /// The next blocks: what comes together in about `slice_us` and kStepBytes; at least one record or artefact.
  Result<std::vector<Block>> step(std::int64_t slice_us);
  virtual bool is_done() const = 0;
  const ArchiveHead& head() const { return head_; }
  const ArchiveCounts& counts() const { return counts_; }

 protected:
  BlockSource(Records& records, const Clock& clock) : records_(records), clock_(clock) {}
  /// Generation, epoch, time and schema, of now.
  Status fill_head();
  /// One record or artefact, or the end of a stage.
  virtual Status take_one(std::vector<Block>& blocks) = 0;
  void add_record(std::vector<Block>& blocks, std::string_view key, std::string_view value);
  Status add_artefact(std::vector<Block>& blocks, const std::string& tenant, const Hash256& hash);

  Records& records_;
  const Clock& clock_;
  ArchiveHead head_;
  ArchiveCounts counts_;
};

class ArchiveSource final : public BlockSource {
 public:
  static Result<std::unique_ptr<ArchiveSource>> start(Records& records, const Clock& clock);
  bool is_done() const override { return stage_ == Stage::done; }

 private:
  enum class Stage : std::uint8_t { records, artefacts, done };
  ArchiveSource(Records& records, const Clock& clock) : BlockSource(records, clock) {}
  Status take_one(std::vector<Block>& blocks) override;
  Status take_artefact(std::vector<Block>& blocks);

  std::unique_ptr<Cursor> cursor_;
  Stage stage_ = Stage::records;
};

/// Makes the registry of `archive` in `folder`, which is empty or isn't there yet; the folder has it whole or stays as
/// it was. Returns the new generation. failed_precondition: the folder is not empty.
Result<std::uint64_t> restore(Files& files, const Clock& clock, const Archive& archive, const std::string& folder);

}  // namespace espalier::registry::upkeep
