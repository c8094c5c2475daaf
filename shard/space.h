// Space on a shard: artefacts that the table doesn't use stay for a while, for a way back, and then go; segments that
// are mostly dead are rewritten while workers answer from them; and where a tenant was erased, nothing that the table
// doesn't use is left in any file (docs/space.md, "On shards").
//
//   look      which artefacts the table uses; the others are forgotten once they have been unused for long enough
//   compact   the pack copies what lives in a segment elsewhere, a piece a step, and removes the segment's file
//   reopen    nodes whose artefact was copied get a new Servable, some hundred a step
//
// What a worker answers from never moves: a Servable holds the segment that its bytes lie in. When the last lease on
// the last table with the old Servable ends, the old segment's mapping goes, and with it the space of its file, which
// has no name any more.
//
// Thread safety: control thread. Ownership: borrows everything it is made with. Errors: the disk's; nothing is lost,
// and the next call goes on.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/clock.h"
#include "common/hash.h"
#include "model/pack_compaction.h"
#include "shard/admission.h"
#include "shard/model_table.h"

namespace espalier::shard {

struct SpaceOptions {
  std::int64_t keep_unused_us = 600'000'000;  ///< so long an artefact stays that the table doesn't use
  std::int64_t look_every_us = 300'000'000;   ///< looking at a million nodes takes a second
  /// Removed segments keep their space until nothing answers from them: this much at most, before nodes are reopened.
  std::uint64_t most_held_back = 256u << 20;
};

class Space {
 public:
  Space(SpaceOptions options, model::Pack& pack, Admission& admission, Damage& damage, const Clock& clock)
      : options_(options), pack_(pack), admission_(admission), damage_(damage), clock_(clock), compaction_(pack) {}

  /// Some milliseconds of work, but for the looking; true: there is more. May publish a table that says the same as the
  /// current one.
  Result<bool> step(LiveTable& live);
  /// Forgets at once what neither the table uses nor `also` names.
  void forget_unused(const ModelTable& table, const std::unordered_set<Hash256>& also);
  /// Until the pack's files are smaller by a segment, or as small as they get (false): as long as it takes to copy what
  /// lives in one or a few. May publish a table that says the same as the current one.
  Result<bool> free_segment(LiveTable& live);
  std::uint64_t disk_bytes() const { return pack_.disk_bytes(); }
  /// Whether a file of the pack is larger than its files are made now; free_segment() begins with those.
  bool has_oversized() const { return model::has_oversized(pack_.segments()); }
  /// What the table uses may be something else now.
  void table_changed() { has_changed_ = true; }
  /// From now on steps leave nothing that the table doesn't use in the pack's files. Looks at once.
  void purge(const ModelTable& table);
  /// Until they have done so.
  bool is_purging() const { return is_purging_; }

 private:
  enum class Phase { look, compact, reopen };
  struct Moved {
    std::string model_key, tag, node_key;
  };

  /// Whether the looking is due.
  bool is_due() const;
  void look(const ModelTable& table, std::int64_t keep_us);
  /// Forgets what has not been used for `keep_us`.
  void forget_unused(const ModelTable& table, std::int64_t keep_us, std::unordered_set<Hash256> used = {});
  Status compact(const ModelTable& table);
  /// Notes the nodes whose artefact no longer lies where they answer from.
  void find_moved(const ModelTable& table);
  void reopen_some(LiveTable& live);
  void report_damaged(const ModelTable& table);
  void finish();

  const SpaceOptions options_;
  model::Pack& pack_;
  Admission& admission_;
  Damage& damage_;
  const Clock& clock_;
  model::PackCompaction compaction_;
  Phase phase_ = Phase::look;
  bool has_changed_ = true;  ///< since the last look
  bool is_purging_ = false;
  bool is_compacted_ = false;  ///< what is reopened now is the last
  std::int64_t look_at_us_ = 0;
  std::unordered_map<Hash256, std::int64_t> unused_since_us_;
  std::size_t left_alone_ = 0;                         ///< segments that could not be compacted
  std::uint64_t bytes_before_ = 0;                     ///< of the pack's files, when the compaction began
  std::uint64_t vain_live_bytes_ = ~std::uint64_t{0};  ///< with which the files got no smaller when that was tried last
  std::uint64_t bytes_removed_ = 0;                    ///< in segments since nodes were last reopened
  std::vector<Moved> moved_;                           ///< to be reopened
};

}  // namespace espalier::shard
