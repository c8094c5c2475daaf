// The first half of a collection: what of a tenant is kept, and what not (docs/space.md, 1 and 2). Reads in slices, and
// then follows the changes that are made meanwhile, so that what they name is kept.
//
// Thread safety: as the Store. Ownership: borrows the records.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "registry/records.h"
#include "wire/space_messages.h"

namespace espalier::registry {

/// A version that no rule keeps.
struct DoomedVersion {
  std::uint32_t model = 0;  ///< place in Marks::models()
  std::string components;   ///< of its partition, as in keys
  Uuid version;
  Hash256 artefact;
  std::uint64_t bytes = 0;
};
/// An artefact that nothing kept when it was looked at.
struct DoomedArtefact {
  Hash256 artefact;
  std::uint64_t bytes = 0;
  std::int64_t uploaded_us = 0;
};

class Marks {
 public:
  /// Of `tenant`, or of its `model` alone: the others' versions are then all kept. As of `now_us`.
  Marks(Records& records, std::string tenant, std::string model, std::int64_t now_us);
  ~Marks();
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;

  /// Looks at `work` records; true: there is more.
  Result<bool> mark_some(std::size_t work);
  /// Whether changes to catch up with have gone behind the feed's horizon: mark anew.
  Result<bool> is_overtaken() const;
  /// The same for changes and uploads made since the marking began; true: there are more, and nothing may be given up
  /// before.
  /// REQUIRES: not overtaken.
  Result<bool> catch_up(std::size_t work);

  /// As of the last catch_up().
  bool is_kept(const DoomedVersion& version) const { return named_.contains(version.version); }
  bool is_kept(const DoomedArtefact& artefact) const { return kept_.contains(artefact.artefact); }

  const std::vector<std::string>& models() const { return models_; }
  const std::vector<DoomedVersion>& versions() const { return versions_; }
  const std::vector<DoomedArtefact>& artefacts() const { return artefacts_; }

 private:
  enum class Phase { begin, collected, next_model, tags, versions, artefacts, bases, done };
  using Take = std::function<Status(std::string_view key, std::string_view value)>;

  /// Gives `take` the records of `range` from `at_` on; true when it has given the last one.
  Result<bool> walk(std::size_t& work, const std::string& range, const Take& take);
  void enter(Phase phase, std::string at);
  Status mark_phase(std::size_t& work);
  Status next_model();
  Status mark_tag_entry(std::string_view key, std::string_view value);
  Status mark_version(std::string_view key, std::string_view value);
  Status mark_artefact(std::string_view key, std::string_view value);
  void keep(const Hash256& artefact);
  /// Keeps the bases of what keep() has taken.
  Status keep_bases(std::size_t& work);

  Records& records_;
  const std::string tenant_, only_model_;
  const std::int64_t now_us_;

  Phase phase_ = Phase::begin;
  std::string range_, at_;
  std::uint64_t seen_ = 0;  ///< changes up to it are in the marks
  std::optional<wire::ChangedEntriesRequest> catching_up_;
  wire::Change change_;  ///< that is being caught up with

  // Of the model that is being looked at.
  std::vector<std::string> models_;
  wire::RetentionRule rule_;
  std::string node_;              ///< key of the node that the last entry or version belongs to
  std::int64_t replaced_us_ = 0;  ///< when what the next entry says ended
  std::uint32_t newer_ = 0;
  std::string tag_, tag_prefix_;  ///< of the last entry

  std::unordered_set<Uuid> gone_;   ///< versions that were collected before
  std::unordered_set<Uuid> named_;  ///< versions that tags keep
  std::unordered_set<Hash256> kept_;
  std::vector<Hash256> new_kept_;                            ///< of kept_, their bases have not been looked for
  std::unordered_map<Hash256, std::int64_t> last_named_us_;  ///< of what only given up versions have
  std::vector<DoomedVersion> versions_;
  std::vector<DoomedArtefact> artefacts_;
};

}  // namespace espalier::registry
