// What the passes of a check share. Internal to registry/upkeep.
//
// Thread safety: as the Check that owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "registry/search/index.h"
#include "registry/upkeep/check.h"

namespace espalier::registry::upkeep {

/// What an epoch has, counted by the passes.
struct EpochSeen {
  std::int64_t time_us = 0;
  std::uint64_t change_count = 0;  ///< what its entry of the feed says it moved
  std::uint64_t listed = 0;        ///< moved entries in C
  std::uint64_t tagged = 0;        ///< entries of T
  std::uint64_t moved = 0;         ///< by its releases
  std::uint64_t releases = 0;
  std::uint64_t change_releases = 0;  ///< that its entry of the feed names
  std::uint32_t next_chunk = 0;
  bool is_there = false;
  bool has_change = false;    ///< an entry of the feed that decodes
  bool is_release = false;    ///< of kind release
  bool is_explained = false;  ///< something it moved is a finding already
};

/// What a model's commit has in table X.
struct CommitSeen {
  std::uint32_t versions = 0;  ///< in V
  std::uint32_t listed = 0;    ///< in blocks, and in V
  std::uint32_t gone = 0;      ///< named, but not there or not to be read
  bool has_release = false;
};

struct CheckState {
  CheckState(Records& of, bool with_mends) : records(of), findings(with_mends) {}

  Records& records;
  std::unique_ptr<Cursor> scan, lookup;  ///< of one snapshot
  Status broken;                         ///< set: the snapshot is gone
  CheckCounts counts;
  Findings findings;

  std::unordered_map<std::uint64_t, EpochSeen> epochs;
  std::uint64_t last_epoch = 0;                                   ///< of the pass over E, then the newest
  std::uint64_t collected_changes = 0;                            ///< behind the feed's horizon
  std::uint64_t last_change = 0;                                  ///< of the pass over F, then the newest
  std::uint64_t chunk_epoch = 0;                                  ///< of the change whose chunks are looked at
  std::optional<wire::Change> chunk_change;                       ///< it; nothing: it can't be read
  using Commits = std::unordered_map<std::uint64_t, CommitSeen>;  ///< by epoch
  std::unordered_map<std::string, Commits> commits;               ///< by model_key()
  std::unordered_set<std::uint64_t> attributes;       ///< hashes of the keys in X … a that the records ask for
  std::unordered_set<std::uint64_t> left_out;         ///< likewise X … m
  std::set<std::string> models;                       ///< model_key() of those that have a record
  std::set<std::string> unread_models;                ///< a record of theirs doesn't decode
  std::unordered_set<std::uint64_t> model_tags;       ///< hashes of tag prefixes that a model's record names
  std::unordered_set<std::uint64_t> run_entries;      ///< hashes of the keys in Y that records ask for
  std::unordered_set<Uuid> unread_runs;               ///< a record of theirs doesn't decode
  std::set<std::string> importing;                    ///< model_key() of histories that are being imported
  std::set<std::string> imported;                     ///< ... that were
  std::unordered_set<std::uint64_t> imported_epochs;  ///< that stand for commits made elsewhere
  std::set<std::string> erasing;  ///< tenants whose erasure is under way: what is left of them is not looked at
  std::set<std::string> tenants;  ///< of whom artefacts were looked at

  // How far the ends of passes are.
  std::optional<std::unordered_map<std::uint64_t, EpochSeen>::iterator> epoch_at;
  std::optional<std::unordered_map<std::string, Commits>::iterator> model_at;
  Commits::iterator commit_at;
  std::string unrecorded_of;        ///< tenant
  std::vector<Hash256> unrecorded;  ///< of its pack, to be looked for

  /// A record of the snapshot. A read that fails is a finding, and counts as nothing there.
  std::optional<std::string> get(std::string_view key);
  /// Whether the record is one that an erasure under way has yet to remove.
  bool is_being_erased(std::string_view key) const;
  /// Takes down what the cursor could not read.
  void note_status(const Cursor& cursor);
  bool has(std::string_view key) { return get(key).has_value(); }
  /// Whether the record belongs to a model that is being imported: nobody sees it, and it may be half there.
  bool is_hidden(std::string_view key, std::string_view value) const;
  /// A finding unless the key has one: `what` names it and it isn't there.
  void require(std::string_view key, const std::string& what);
  void add_bad_key(std::string_view key) { findings.add(key, "no key of this table"); }
  /// The same for an epoch; 0 where it has none.
  const EpochSeen* require_epoch(std::uint64_t epoch, std::string_view named_by);
};

/// A pass over one table, or a part of it.
struct Pass {
  std::string prefix;
  void (*record)(CheckState& state, std::string_view key, std::string_view value);
  /// May be null. True: it is over, else it is called again, after a look at the clock.
  bool (*finish)(CheckState& state);
};
void add_epoch_passes(std::vector<Pass>& passes);  ///< G, E, e
void add_key_passes(std::vector<Pass>& passes);
void add_audit_passes(std::vector<Pass>& passes);   ///< L
void add_record_passes(std::vector<Pass>& passes);  ///< S, A, M, R, r, V, v
void add_tag_passes(std::vector<Pass>& passes);     ///< F, T, C, W, I, i
void add_index_passes(std::vector<Pass>& passes);   ///< X
void add_space_passes(std::vector<Pass>& passes);   ///< K, D, Q, q, Z
void add_run_passes(std::vector<Pass>& passes);     ///< U, u, P, O, N, Y
void add_moving_passes(std::vector<Pass>& passes);  ///< h, H: before those that ask which epochs and models came so

/// Which tenants are being erased.
void note_erasing(CheckState& state);
/// The entries that one record asks for are in table X, but for its commit's blocks.
void require_index(CheckState& state, const std::string& tenant, const std::string& model,
                   const search::CommitIndex& index, std::string_view by);
/// "V acme/total@usa epoch 12 0190… names it"
std::string named_by(std::string_view key);

}  // namespace espalier::registry::upkeep
