// The control thread's work: follow the registry's change feed, fetch and admit what this shard holds, swap the table
// once for each batch of changes, acknowledge (architecture: "A publish's life").
//
//   restore()   the table of the last run, from this shard's own disk: answers even while the registry is away
//   sync()      take a snapshot if one is needed, enter the view, take in what has changed until nothing is left
//   open()      requests are answered from now on, which sync() sees to where the registry is there
//   step()      wait for changes and take them in, then give some space back
//
// A batch is everything that the feed has given when the one before it is done, so that a shard which falls behind
// takes several releases in one swap, and no later release can hold a swap up. While a batch's artefacts are fetched,
// changes go on being read: removals among them are swapped in at once, the rest forms the next batch; and so are those
// of the batch itself, before it fetches (feed_out.cc). What fails for
// one artefact doesn't hold the others up: its node keeps what it had, the acknowledgement lists it, and it is fetched
// anew later.
//
// A start that finds very many nodes opens when the models and their inner nodes are in: leaves follow by steps, and
// nothing is acknowledged until all are in (feed_start.cc, docs/shard-memory.md).
//
// A gap in the feed, a collected epoch or another generation leads to a snapshot; the old table answers until it is
// complete. A tenant that was erased goes from the table with the swap, then from the pack and the state file; only
// then is anything acknowledged again. Until then the state file stays as it was, so that a shard which ends in between
// learns of the erasure once more.
// Thread safety: control thread. Ownership: borrows everything it is made with. Errors: unavailable leaves
// the state as it is; calling again goes on where it stopped.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cluster/placement.h"
#include "common/clock.h"
#include "metrics/feed_progress.h"
#include "shard/admission.h"
#include "shard/budget.h"
#include "shard/damage.h"
#include "shard/holdings.h"
#include "shard/model_table.h"
#include "shard/scrub.h"
#include "shard/space.h"
#include "shard/state_file.h"
#include "shard/table_edit.h"
#include "shard/upstream.h"
#include "wire/health_messages.h"

namespace espalier::shard {

struct FeedOptions {
  cluster::ShardInfo self;
  std::int64_t wait_us = 500'000;          ///< longest wait for a change in one step: so long damage isn't looked for
  std::int64_t settle_us = 200'000;        ///< the same while something is left to be saved, tried again or destroyed
  std::int64_t save_quiet_us = 1'000'000;  ///< the state is saved when nothing changes, but not more often than this
  std::int64_t save_every_us =
      5'000'000;  ///< and at least so often while something does; when the registry goes: at once
  std::int64_t first_retry_us = 1'000'000;
  std::int64_t longest_retry_us = 60'000'000;
  std::uint64_t memory_budget = 0;        ///< bytes of artefacts that may answer; 0: none
  std::uint64_t disk_budget = 0;          ///< bytes of the pack's files; 0: none
  DiskShares disk;                        ///< what becomes of them, where there is a budget
  std::size_t nodes_at_once = 1000;       ///< a start that finds more takes its leaves in so many at a time
  std::int64_t old_view_us = 10'000'000;  ///< so long what was this shard's under an earlier view is held
  Uuid process;                           ///< of this run
};

class Feed {
 public:
  Feed(FeedOptions options, Upstream& upstream, Admission& admission, Space& space, Scrub& scrub, Damage& damage,
       LiveTable& live, StateFile& state, const Clock& clock);

  /// not_found: there is no earlier run; corrupt: its state is damaged (and set aside).
  Status restore();
  Status sync();
  void open();
  Status step();
  /// Writes the state for the next run, if it has changed since.
  Status save();

  /// What a renewal of the lease says.
  wire::RenewRequest renewal() const;
  /// Others have taken over all that this shard owned, on purpose: it may end once nobody asks it any more.
  bool is_drained() const { return is_drained_; }

  std::uint64_t epoch() const { return epoch_; }
  std::uint64_t swaps() const { return swaps_; }
  /// What it knows to be wrong with itself.
  std::vector<wire::HealthProblem> problems() const;
  /// May be read by any thread.
  const metrics::FeedProgress& progress() const { return progress_; }
  /// Of artefacts that may answer, as of the last look; each counts once.
  std::uint64_t memory_bytes() const { return budget_.bytes; }
  /// Leaves that made room since the start.
  std::uint64_t evicted() const { return budget_.evicted; }

 private:
  struct NodeId {
    std::string model_key, tag, node_key;
    auto operator<=>(const NodeId&) const = default;
  };
  struct Wanted {
    std::string tenant;
    wire::TagEntry entry;
    bool is_put_off = false;  ///< answered for by its ancestors until it is taken in later
  };
  struct Release {
    std::string model_key, tag;
    Uuid release;
    std::uint64_t epoch;
  };
  /// What one swap takes in.
  struct Batch {
    std::uint64_t epoch = 0;
    bool is_snapshot = false;        ///< the models and nodes that it does not name are forgotten
    bool is_new_generation = false;  ///< epochs of the table and of the batch can't be compared
    bool has_view = false;           ///< the newest was taken
    std::uint64_t generation = 0;
    std::map<std::string, wire::ModelRecord> models;
    std::map<NodeId, Wanted> nodes;
    std::vector<Release> releases;
    std::set<std::string> erased;               ///< tenants
    std::map<NodeId, wire::TagEntry> removals;  ///< of releases that only remove: they don't wait for a fetch
    std::map<Hash256, Status> refused;          ///< artefacts that could not be fetched or stored, and why
    std::unordered_set<Hash256> no_room;        ///< artefacts that the disk budget leaves out
  };
  struct Failed {
    Wanted wanted;
    wire::AckFailure failure;
    std::int64_t retry_at_us = 0;
    std::int64_t wait_us = 0;
    bool has_no_room = false;
  };
  /// An artefact that is not in memory because of a budget.
  struct LeftOut {
    std::uint32_t used = 0;   ///< when it was last asked for
    std::uint32_t asked = 0;  ///< looks at which that was new
  };
  /// Nodes of the current table that name one artefact.
  struct Sharing {
    struct Place {
      const Model* model;
      const Tag* tag;
      const Node* node;
    };
    Hash256 artefact;
    BudgetItem item;              ///< of the memory budget
    BudgetItem on_disk;           ///< of the disk budget
    bool is_in_question = false;  ///< in memory, or left out: else its own way in is still before it
    bool is_coming = false;       ///< was chosen at an earlier look, and is not in yet
    std::vector<Place> places;
  };
  struct Budget {
    std::uint64_t bytes = 0;
    std::uint64_t evicted = 0;
    std::int64_t look_at_us = 0;
    std::uint64_t looked_at_swap = 0;
    bool is_exceeded = false;  ///< by what must stay
    bool is_disk_exceeded = false;
    std::unordered_map<Hash256, LeftOut> left_out;
    std::unordered_set<Hash256> in;      ///< as of the last look, and what came in since
    std::unordered_set<Hash256> coming;  ///< chosen, and on its way: nothing else gets its place
  };
  /// Nodes that were put off.
  struct Backlog {
    std::deque<NodeId> unseen;    ///< the pack may have them
    std::deque<NodeId> to_fetch;  ///< it hasn't
    std::int64_t began_us = 0;
    std::int64_t said_at_us = 0;  ///< how far it is
    bool is_empty() const { return unseen.empty() && to_fetch.empty(); }
  };

  // The shard's place in the view (feed_view.cc).
  Status join();
  void take_view(cluster::View view);
  void forget_old_views();
  void not_in_view();
  void look_at_renewal();

  // What has changed (feed.cc).
  Status take_in();
  Status read_changes(std::int64_t wait_us);
  Status fill_batch();
  Status add_change(const wire::Change& change, Batch& batch);
  Status add_model(const std::string& tenant, const std::string& model, Batch& batch);
  Status add_snapshot(Batch& batch);
  Status add_model_entries(const wire::ModelRecord& record, std::uint64_t epoch, Batch& batch);
  Status add_held_anew(Batch& batch);
  void add_moved_nodes(const Model& model, std::size_t levels, Batch& batch);
  void add_due_retries(Batch& batch);
  static void add_erasure(const std::string& tenant, Batch& batch);
  Status read_entries(const wire::Change& change, std::vector<wire::TagEntry>& entries);

  // A start that finds very many nodes (feed_start.cc).
  void put_off_leaves(Batch& batch, bool keeps_budget = false) const;
  bool is_one_above(const Batch& batch, const NodeId& id, const wire::TagEntry& entry,
                    const wire::ModelRecord& record) const;
  bool admit_some();
  Status fetch_more();
  void admit_late(const NodeId& id, TableEdit& edit, const std::map<Hash256, Status>& refused);
  const Node* find_late(const NodeId& id, const TableEdit& edit) const;
  bool has_room_for(const NodeId& id, const Node& node) const;
  void bring_back();
  Status admit_unanswered(bool may_fetch);
  void leave_out(const NodeId& id, const Node& node, TableEdit& edit);
  void end_slice(TableEdit& edit);

  // What the disk has room for (feed_disk.cc).
  std::uint64_t disk_room() const;
  std::uint64_t without_room(const std::vector<Sharing>& beside) const;
  std::uint64_t disk_budget_of(const std::vector<Sharing>& all) const;
  std::unordered_set<Hash256> named_by_batch() const;
  bool is_answered_above_now(const NodeId& id, const wire::TagEntry& entry) const;
  void forget_for_room(const std::vector<Sharing>& all);
  BudgetChoice choose_for_disk(std::vector<Sharing>& all, bool may_fetch);
  void make_disk_room(Batch& batch, std::map<std::string, std::vector<Hash256>>& missing);
  void leave_disk(const std::vector<Sharing>& all, const std::vector<std::size_t>& out);
  Status store(const Hash256& hash, std::string_view bytes);
  void fit_disk();

  // What memory there is (feed_budget.cc).
  void keep_budget();
  std::vector<Sharing> count_artefacts() const;
  void note_wishes(std::vector<Sharing>& all);
  BudgetChoice choose_for_memory(std::vector<Sharing>& all);
  void note_exceeded(bool& was, const char* which, std::uint64_t bytes, std::uint64_t budget);
  void take_out(const Sharing& sharing, TableEdit& edit, std::vector<std::shared_ptr<const Servable>>& gone);
  void apply_choice(const std::vector<Sharing>& all, const BudgetChoice& choice);
  bool has_budget() const { return options_.memory_budget != 0 || options_.disk_budget != 0; }
  bool is_left_out(const NodeId& id, const Hash256& artefact) const;

  // What was found to be damaged (feed_damage.cc).
  void mend_damage();
  std::set<Hash256> discard_damaged();

  // What goes out of service (feed_out.cc).
  static bool are_removals(const std::vector<wire::TagEntry>& entries);
  bool take_out(const NodeId& id, wire::TagEntry entry, bool is_new_generation, TableEdit& edit) const;
  void take_out_first(Batch& batch);
  bool take_out_unnamed(const Batch& batch, TableEdit& edit);
  Status take_removals_early(Batch& batch);
  Status take_early(const wire::Change& change, Batch& batch);
  Status take_quarantine_early(const wire::Change& change, Batch& batch);
  void note_out_of_service(const Batch& batch);

  // What becomes of it (feed_batch.cc).
  Status finish_batch();
  Status fetch(Batch& batch);
  Status fetch_some(const std::string& tenant, std::vector<Hash256>& hashes, Batch& batch);
  void erase_tenants(const Batch& batch, TableEdit& edit);
  void give_space_back();
  void end_purge();
  void note_space(const Status& status);
  bool try_to_save();
  Status write_state();
  void swap(Batch& batch);
  void forget_unnamed(const Batch& batch, TableEdit& edit);
  bool is_without_room(const NodeId& id, const wire::TagEntry& entry, const wire::ModelRecord& record,
                       const Batch& batch) const;
  void apply_node(const NodeId& id, const Wanted& wanted, const wire::ModelRecord& record, TableEdit& edit,
                  Batch& batch);
  void note_failure(const NodeId& id, const Wanted& wanted, const wire::ModelRecord& record, const Status& why);
  std::optional<wire::ModelRecord> record_of(const std::string& model_key, const Batch& batch) const;
  void publish(std::unique_ptr<ModelTable> table);
  void show(std::unique_ptr<ModelTable> table);
  void set_acknowledgement();
  Status acknowledge();
  Status say_unsaved(const std::string& why);
  Status note_refused(const Status& said);

  const FeedOptions options_;
  Upstream& upstream_;
  Admission& admission_;
  Space& space_;
  Scrub& scrub_;
  Damage& damage_;
  LiveTable& live_;
  StateFile& state_;
  const Clock& clock_;

  Holdings holdings_;
  bool is_starting_ = true;  ///< requests are not answered yet
  metrics::FeedProgress progress_;
  bool is_cut_off_ = true;  ///< the registry did not answer when it was last asked
  Backlog backlog_;
  Budget budget_;
  bool needs_snapshot_ = true;
  bool has_new_view_ = false;  ///< what is held has not been worked out under it
  bool has_joined_ = false;
  bool is_in_view_ = false;   ///< of the registry, as far as it was read
  bool was_in_view_ = false;  ///< while this process ran
  bool is_draining_ = false;  ///< as the registry said last
  bool is_drained_ = false;
  bool has_unsaved_ = false;
  bool must_save_ = false;       ///< something went out of service: nothing is acknowledged before that is on the disk
  bool saves_soon_ = false;      ///< a release took something back: a restart must not bring it again for long
  bool is_purging_ = false;      ///< something that was erased may be on the disk: nothing is acknowledged or saved
  bool has_space_work_ = false;  ///< that can go on at once
  std::string space_waits_for_;  ///< why it can't go on
  std::string save_waits_for_;   ///< why the state can't be saved
  std::int64_t save_again_us_ = 0;
  std::string join_refused_for_;    ///< why the last joining was refused
  std::string ack_refused_for_;     ///< why the last acknowledgement was refused
  std::uint64_t unsaved_said_ = 0;  ///< the epoch of which that was said last, and when
  std::int64_t unsaved_said_at_us_ = 0;
  std::int64_t saved_at_us_ = 0;
  std::uint64_t swaps_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t epoch_ = 0;              ///< of the table
  std::uint64_t cursor_ = 0;             ///< last change read; >= epoch_
  std::deque<wire::Change> queue_;       ///< read, in no batch yet
  std::optional<Batch> batch_;           ///< being taken in
  std::optional<wire::AckRequest> ack_;  ///< to be sent
  wire::AckRequest last_ack_;            ///< what was acknowledged last
  std::map<NodeId, Failed> failed_;      ///< wanted, held, not ready: to be tried again
  std::uint64_t looked_at_ = 0;          ///< changes up to it have been searched for removals
};

}  // namespace espalier::shard
