// From an artefact's hash to something that may answer: in the shard's own pack, with the hash that it should have,
// opened, its probes replayed, its pages in memory (architecture: "A publish's life", step 3). A bad artefact never
// gets past here.
//
// Thread safety: control thread. Ownership: the pack is the caller's; a Servable made here holds the segment that its
// bytes lie in.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/pack.h"
#include "shard/damage.h"
#include "shard/model_table.h"

namespace espalier::shard {

class Admission {
 public:
  /// Reports to `damage` what answers from bytes that turn out to be damaged.
  /// `keeps_recent`: also what no table uses for now, for a way back.
  Admission(model::Pack& pack, Damage& damage, bool keeps_recent = true)
      : pack_(pack), damage_(damage), keeps_recent_(keeps_recent) {}

  /// The artefact for a model, from the pack or as admitted before. not_found: the pack doesn't have it; corrupt:
  /// damaged (the pack then forgets it, so that it is fetched anew) or its probes fail; failed_precondition: it reads
  /// fields that `model` lacks; unimplemented: it is a difference from a base, and would answer wrongly on its own.
  Result<std::shared_ptr<const Servable>> admit(std::string_view model_key, const std::vector<model::Field>& fields,
                                                const Hash256& hash);
  /// Puts fetched bytes into the pack, durable after sync(). corrupt: they are not what `hash` says.
  Status store(const Hash256& hash, std::string_view bytes);
  Status sync() { return pack_.sync(); }
  /// Gives up the pack's copy of what still may be wanted: its bytes stay for whoever reads them.
  void give_up(const Hash256& hash) { pack_.forget(hash); }
  /// What the pack's frames take that were not forgotten.
  std::uint64_t live_bytes() const { return pack_.live_bytes(); }
  bool has(const Hash256& hash) const { return pack_.find(hash).has_value(); }

  /// The pack's copies are damaged: they are fetched and admitted anew, whatever was made of them, and not stored where
  /// the damage is. Not ok: the disk's; they are forgotten all the same.
  Status discard(const std::set<Hash256>& damaged);
  /// Whether the artefact answers from where the pack has it now: not, once it has been moved, forgotten or damaged.
  bool is_current(const Hash256& hash, const Servable& servable) const {
    return !servable.is_damaged() && servable.segment != nullptr && servable.segment == pack_.hold(hash);
  }
  /// Lets go of what was kept for a way back and is no longer where the pack has it.
  void drop_stale();

 private:
  static constexpr std::size_t kKeptRecent = 16384;

  Result<std::shared_ptr<const Servable>> open(const std::vector<model::Field>& fields, const Hash256& hash);
  void report_all_of(const Hash256& hash);
  void keep(const Hash256& hash, std::shared_ptr<const Servable> servable);
  void sweep();

  model::Pack& pack_;
  Damage& damage_;
  const bool keeps_recent_;
  model::Artefact::Scratch scratch_;
  std::unordered_map<std::string, std::weak_ptr<const Servable>> admitted_;  ///< by model key and hash
  /// The latest to be opened, kept though no table uses them: a release that is taken back is ready at once.
  std::vector<std::pair<Hash256, std::shared_ptr<const Servable>>> recent_;
  std::size_t next_recent_ = 0;
  std::size_t sweep_at_ = 1024;
};

/// What a node says whose artefact could not be made ready.
wire::Reason reason_of(const Status& why);

/// For each input of the program its field's place in `fields`; failed_precondition names one that is missing or of
/// another type.
Result<std::vector<std::uint32_t>> map_inputs(const std::vector<model::Field>& inputs,
                                              const std::vector<model::Field>& fields);

}  // namespace espalier::shard
