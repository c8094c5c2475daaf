#include "shard/feed.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"

namespace espalier::shard {

using wire::Change;
using wire::ChangeKind;
using wire::EntryKind;

namespace {

/// As many as are read and written in a fraction of a millisecond: in between, others get the core. A change of very
/// many nodes is read by whole chunks of the registry's list.
constexpr std::uint32_t kEntriesInPage = 64;
constexpr std::uint32_t kEntriesInLargePage = 512;
constexpr std::uint64_t kLargeChange = 16384;

}  // namespace

Feed::Feed(FeedOptions options, Upstream& upstream, Admission& admission, Space& space, Scrub& scrub, Damage& damage,
           LiveTable& live, StateFile& state, const Clock& clock)
    : options_(std::move(options)),
      upstream_(upstream),
      admission_(admission),
      space_(space),
      scrub_(scrub),
      damage_(damage),
      live_(live),
      state_(state),
      clock_(clock),
      holdings_(options_.self, options_.old_view_us) {}

// ------------------------------------------------------------------------------------------------- start and end

Status Feed::restore() {
  ASSIGN_OR_RETURN(SavedState saved, state_.load());
  take_view(std::move(saved.view));
  has_new_view_ = is_in_view_ = was_in_view_ = is_draining_ = false;  // that was another process
  generation_ = saved.generation;
  Batch batch;
  batch.epoch = saved.epoch;
  batch.generation = saved.generation;
  batch.is_snapshot = true;
  for (wire::ModelRecord& record : saved.models) {
    std::string key = model::model_key(record.tenant, record.model);
    batch.models.emplace(std::move(key), std::move(record));
  }
  Batch before = batch;  // what answers where the rest isn't ready
  for (SavedTag& tag : saved.tags) {
    const std::string key = model::model_key(tag.tenant, tag.model);
    const auto take = [&](std::vector<wire::TagEntry>& entries, Batch& into) {
      for (wire::TagEntry& entry : entries) {
        NodeId id{key, tag.tag, node_key_of(entry.partition)};
        into.nodes.insert_or_assign(std::move(id), Wanted{tag.tenant, std::move(entry)});
      }
    };
    take(tag.previous, before);
    take(tag.entries, batch);
    batch.releases.push_back({key, tag.tag, tag.release, tag.release_epoch});
  }
  if (!before.nodes.empty()) swap(before);
  put_off_leaves(batch, true);
  swap(batch);
  static_cast<void>(admit_unanswered(false));  // asks nobody
  // What does not fit must not be in memory for a moment either.
  if (batch.nodes.size() <= options_.nodes_at_once) {
    while (admit_some()) {
    }
  }
  if (options_.disk_budget != 0) {
    budget_.look_at_us = 0;
    keep_budget();
  }
  // The registry is asked for what is missing above the leaves, before requests are answered.
  for (auto& [id, failed] : failed_) failed.retry_at_us = clock_.monotonic_us();
  cursor_ = epoch_ = saved.epoch;
  progress_.serves(epoch_, clock_.monotonic_us());
  needs_snapshot_ = false;
  set_acknowledgement();
  ack_.reset();  // nobody asks for it before the registry does
  has_unsaved_ = must_save_ = saves_soon_ = false;
  return {};
}

void Feed::open() {
  if (!is_starting_) return;
  is_starting_ = false;
  show(TableEdit(live_.current()).finish(live_.current().generation, live_.current().epoch));
}

Status Feed::sync() {
  is_cut_off_ = true;
  do {
    if (needs_snapshot_ || batch_ || !queue_.empty()) {
      RETURN_IF_ERROR(fill_batch());
    } else {
      RETURN_IF_ERROR(read_changes(0));
      RETURN_IF_ERROR(fill_batch());
    }
    RETURN_IF_ERROR(finish_batch());
    end_purge();
    RETURN_IF_ERROR(join());
    RETURN_IF_ERROR(acknowledge());
    RETURN_IF_ERROR(read_changes(0));
  } while (needs_snapshot_ || !queue_.empty());
  RETURN_IF_ERROR(admit_unanswered(true));
  RETURN_IF_ERROR(acknowledge());
  is_cut_off_ = false;
  open();
  return {};
}

Status Feed::step() {
  const bool has_more_here = admit_some();
  keep_budget();  // also while the registry is away
  if (has_more_here && is_cut_off_) return {};
  const Status status = take_in();
  is_cut_off_ = !status.ok();
  if (status.ok()) return status;
  progress_.lost(clock_.monotonic_us());
  // The registry may stay away for longer than this process lives.
  const Status saved = save();
  if (!saved.ok()) log::warn("shard", "state not saved", {{"why", saved}});
  return status;
}

Status Feed::take_in() {
  scrub_.step(live_.current());
  mend_damage();
  look_at_renewal();
  forget_old_views();
  RETURN_IF_ERROR(join());
  const bool is_idle = !batch_ && queue_.empty() && !needs_snapshot_;
  if (is_idle) {
    // The first change after a while isn't left waiting for more.
    if (clock_.monotonic_us() - saved_at_us_ >= options_.save_every_us) try_to_save();
    const bool is_settled = !has_unsaved_ && failed_.empty() && live_.collect() == 0;
    const std::int64_t wait_us = is_settled ? options_.wait_us : options_.settle_us;
    RETURN_IF_ERROR(read_changes(has_space_work_ || !backlog_.is_empty() ? 0 : wait_us));
    // The registry keeps acknowledgements in memory, and may have restarted since the last.
    if (queue_.empty() && !needs_snapshot_) ack_ = last_ack_;
  }
  RETURN_IF_ERROR(fill_batch());
  RETURN_IF_ERROR(finish_batch());
  RETURN_IF_ERROR(acknowledge());
  RETURN_IF_ERROR(fetch_more());
  live_.collect();
  give_space_back();
  end_purge();
  RETURN_IF_ERROR(acknowledge());
  const std::int64_t unsaved_us = clock_.monotonic_us() - saved_at_us_;
  const bool is_quiet = is_idle && queue_.empty() && !batch_;
  if (unsaved_us >= (is_quiet || saves_soon_ ? options_.save_quiet_us : options_.save_every_us)) try_to_save();
  return {};
}

Status Feed::save() {
  if (!has_unsaved_ || is_purging_) return {};
  return write_state();
}

std::vector<wire::HealthProblem> Feed::problems() const {
  std::vector<wire::HealthProblem> problems;
  const auto add = [&](const char* kind, const std::string& why) {
    if (!why.empty()) problems.push_back({kind, why});
  };
  add("unsaved", save_waits_for_);
  add("space_waits", space_waits_for_);
  add("not_joined", join_refused_for_);
  if (budget_.is_exceeded) add("over_memory_budget", "what can't be left out is larger than the memory budget");
  if (budget_.is_disk_exceeded) add("over_disk_budget", "what can't be left out is larger than the disk budget");
  return problems;
}

/// As save(). A disk that is full is no reason to take nothing in: false: it is tried again after a while.
bool Feed::try_to_save() {
  const std::int64_t now = clock_.monotonic_us();
  if (!save_waits_for_.empty() && now < save_again_us_) return false;
  const Status saved = save();
  if (!saved.ok() && saved.text() != save_waits_for_) {
    log::warn("shard",
              must_save_ ? "what went out of service can't be saved, and isn't acknowledged" : "state not saved",
              {{"why", saved}});
  }
  save_waits_for_ = saved.ok() ? "" : saved.text();
  save_again_us_ = now + options_.save_quiet_us;
  return saved.ok();
}

Status Feed::write_state() {
  RETURN_IF_ERROR(state_.save(state_of(live_.current(), holdings_.view())));
  has_unsaved_ = must_save_ = saves_soon_ = false;
  saved_at_us_ = clock_.monotonic_us();
  return {};
}

// ------------------------------------------------------------------------------------------------ what has changed

Status Feed::read_changes(std::int64_t wait_us) {
  if (needs_snapshot_) return {};
  wire::FeedRequest request;
  request.generation = generation_;
  request.after = cursor_;
  request.wait_us = wait_us;
  ASSIGN_OR_RETURN(wire::FeedReply reply, upstream_.call(request));
  progress_.heard(reply.newest, clock_.monotonic_us());
  if (reply.snapshot_required || reply.generation != generation_) {
    log::info("shard", "snapshot required", {{"generation", reply.generation}, {"after", cursor_}});
    needs_snapshot_ = true;
    return {};
  }
  for (Change& change : reply.changes) {
    if (change.previous != cursor_) {
      log::warn("shard", "gap in the change feed", {{"expected", cursor_}, {"got", change.previous}});
      needs_snapshot_ = true;
      return {};
    }
    cursor_ = change.epoch;
    queue_.push_back(std::move(change));
  }
  return {};
}

Status Feed::fill_batch() {
  if (needs_snapshot_) {
    Batch batch;
    RETURN_IF_ERROR(add_snapshot(batch));
    queue_.clear();
    cursor_ = batch.epoch;
    put_off_leaves(batch);
    batch_ = std::move(batch);
    needs_snapshot_ = false;
  }
  if (batch_) return {};
  Batch batch;
  batch.generation = generation_;
  batch.epoch = queue_.empty() ? epoch_ : queue_.back().epoch;
  for (const Change& change : queue_) {
    const Status added = add_change(change, batch);
    if (added.code() == Code::failed_precondition) {
      // Collected since it was named: a snapshot has it.
      log::info("shard", "snapshot required", {{"epoch", change.epoch}, {"why", added}});
      needs_snapshot_ = true;
      return {};
    }
    RETURN_IF_ERROR(added);
  }
  if (has_new_view_) RETURN_IF_ERROR(add_held_anew(batch));
  add_due_retries(batch);
  has_new_view_ = false;
  if (queue_.empty() && batch.nodes.empty() && batch.models.empty()) return {};
  queue_.clear();
  batch_ = std::move(batch);
  return {};
}

/// What failed and is due to be tried again, unless the batch has newer.
void Feed::add_due_retries(Batch& batch) {
  const std::int64_t now = clock_.monotonic_us();
  for (auto& [id, failed] : failed_) {
    if (failed.retry_at_us > now || batch.erased.contains(failed.wanted.tenant)) continue;
    failed.retry_at_us = now + failed.wait_us;
    batch.nodes.try_emplace(id, failed.wanted);
  }
}

Status Feed::add_change(const Change& change, Batch& batch) {
  if (change.kind == ChangeKind::view) {
    if (batch.has_view) return {};
    ASSIGN_OR_RETURN(wire::ViewReply view, upstream_.call(wire::ViewRequest{}));
    take_view(std::move(view.view));
    batch.has_view = true;
    return {};
  }
  if (change.kind == ChangeKind::erased) {
    add_erasure(change.tenant, batch);
    return {};
  }
  const std::string key = model::model_key(change.tenant, change.model);
  if (!batch.models.contains(key)) {
    RETURN_IF_ERROR(add_model(change.tenant, change.model, batch));
    const Model* known = live_.current().models.find(key);
    // Where a node is placed depends on the number of levels.
    if (known != nullptr && known->levels.size() != change.levels) add_moved_nodes(*known, change.levels, batch);
  }
  if (!holdings_.holds_tenant(change.tenant)) return {};
  if (change.kind == ChangeKind::model && live_.current().models.find(key) == nullptr) {
    // It came with a history: an import.
    const auto it = batch.models.find(key);
    return it == batch.models.end() ? Status() : add_model_entries(it->second, change.epoch, batch);
  }
  if (change.kind != ChangeKind::release) return {};
  std::vector<wire::TagEntry> entries;
  RETURN_IF_ERROR(read_entries(change, entries));
  const bool only_removes = are_removals(entries);
  for (wire::TagEntry& entry : entries) {
    give_way();
    if (entry.epoch == 0) entry.epoch = change.epoch;
    if (entry.release.is_nil()) entry.release = change.release;
    NodeId id{key, entry.tag.empty() ? change.tag : entry.tag, node_key_of(entry.partition)};
    if (only_removes) batch.removals.insert_or_assign(id, entry);
    batch.nodes.insert_or_assign(std::move(id), Wanted{change.tenant, std::move(entry)});
  }
  batch.releases.push_back({key, change.tag, change.release, change.epoch});
  for (const wire::TagMoved& moved : change.more)
    batch.releases.push_back({key, moved.tag, moved.release, change.epoch});
  return {};
}

Status Feed::add_model(const std::string& tenant, const std::string& model, Batch& batch) {
  wire::ModelsRequest request;
  request.tenant = tenant;
  request.model = model;
  auto reply = upstream_.call(request);
  // Its tenant was erased after the change that names it: a later change says so.
  if (reply.status().code() == Code::not_found) return {};
  RETURN_IF_ERROR(reply.status());
  for (wire::ModelRecord& record : reply->models) {
    record.spec_json.clear();
    std::string key = model::model_key(record.tenant, record.model);
    batch.models.insert_or_assign(std::move(key), std::move(record));
  }
  return {};
}

Status Feed::read_entries(const Change& change, std::vector<wire::TagEntry>& entries) {
  wire::ChangedEntriesRequest request;
  request.epoch = change.epoch;
  request.limit = change.count < kLargeChange ? kEntriesInPage : kEntriesInLargePage;
  do {
    ASSIGN_OR_RETURN(wire::EntriesReply page, upstream_.call(request));
    give_way();
    std::ranges::move(page.entries, std::back_inserter(entries));
    request.cursor = std::move(page.cursor);
  } while (!request.cursor.empty());
  return {};
}

/// What the batch has of the tenant so far goes; empty: the change is what an erasure left of another.
void Feed::add_erasure(const std::string& tenant, Batch& batch) {
  if (tenant.empty()) return;
  std::string prefix;
  model::append_component(prefix, tenant);
  std::erase_if(batch.models, [&](const auto& entry) { return entry.first.starts_with(prefix); });
  std::erase_if(batch.nodes, [&](const auto& entry) { return entry.first.model_key.starts_with(prefix); });
  std::erase_if(batch.removals, [&](const auto& entry) { return entry.first.model_key.starts_with(prefix); });
  std::erase_if(batch.releases, [&](const Release& release) { return release.model_key.starts_with(prefix); });
  batch.erased.insert(tenant);
}

/// Everything that the registry has, as of one epoch.
Status Feed::add_snapshot(Batch& batch) {
  wire::ModelsRequest request;
  std::vector<wire::ModelRecord> records;
  do {
    ASSIGN_OR_RETURN(wire::ModelsReply page, upstream_.call(request));
    if (request.epoch == 0) {
      batch.generation = page.generation;
      request.epoch = batch.epoch = page.epoch;
    }
    if (page.generation != batch.generation) return unavailable("the registry's generation changed during a snapshot");
    std::ranges::move(page.models, std::back_inserter(records));
    request.cursor = std::move(page.cursor);
  } while (!request.cursor.empty());
  // After the epoch is fixed: a view that comes later than this one comes through the feed.
  ASSIGN_OR_RETURN(wire::ViewReply view, upstream_.call(wire::ViewRequest{}));
  if (batch.generation != generation_) holdings_.forget_number();
  take_view(std::move(view.view));
  has_new_view_ = false;
  batch.is_snapshot = true;
  // Compared with what is shown, as a snapshot before this one may have come to nothing.
  batch.is_new_generation = batch.generation != live_.current().generation;
  if (batch.is_new_generation) looked_at_ = 0;
  for (wire::ModelRecord& record : records) {
    record.spec_json.clear();
    if (holdings_.holds_tenant(record.tenant)) RETURN_IF_ERROR(add_model_entries(record, batch.epoch, batch));
    std::string key = model::model_key(record.tenant, record.model);
    batch.models.insert_or_assign(std::move(key), std::move(record));
  }
  generation_ = batch.generation;
  log::info("shard", "snapshot read",
            {{"generation", generation_}, {"epoch", batch.epoch}, {"nodes", batch.nodes.size()}});
  return {};
}

/// What every tag of the model says as of `epoch`.
Status Feed::add_model_entries(const wire::ModelRecord& record, std::uint64_t epoch, Batch& batch) {
  const std::string key = model::model_key(record.tenant, record.model);
  for (const std::string& tag : record.tags) {
    wire::TagEntriesRequest request;
    request.tenant = record.tenant;
    request.model = record.model;
    request.tag = tag;
    request.epoch = epoch;
    request.limit = is_starting_ ? kEntriesInLargePage : kEntriesInPage;
    Release newest{key, tag, {}, 0};
    do {
      ASSIGN_OR_RETURN(wire::EntriesReply page, upstream_.call(request));
      give_way();
      for (wire::TagEntry& entry : page.entries) {
        if (entry.epoch >= newest.epoch) {
          newest.epoch = entry.epoch;
          newest.release = entry.release;
        }
        if (entry.kind == EntryKind::unset) continue;
        NodeId id{key, tag, node_key_of(entry.partition)};
        batch.nodes.insert_or_assign(std::move(id), Wanted{record.tenant, std::move(entry)});
      }
      request.cursor = std::move(page.cursor);
    } while (!request.cursor.empty());
    batch.releases.push_back(std::move(newest));
  }
  return {};
}

/// Under a new view: what is this shard's from now on is taken in like a release, what is not any more is let go of.
Status Feed::add_held_anew(Batch& batch) {
  std::vector<wire::ModelRecord> gained;
  live_.current().models.for_each([&](const auto& model) {
    const bool holds = holdings_.holds_tenant(model->tenant);
    if (holds == model->is_held) {
      if (holds) add_moved_nodes(*model, model->levels.size(), batch);
      return;
    }
    wire::ModelRecord& record = gained.emplace_back();
    record.tenant = model->tenant;
    record.model = model->model;
  });
  for (const wire::ModelRecord& model : gained) {
    RETURN_IF_ERROR(add_model(model.tenant, model.model, batch));
    const auto it = batch.models.find(model::model_key(model.tenant, model.model));
    if (it == batch.models.end() || !holdings_.holds_tenant(model.tenant)) continue;
    RETURN_IF_ERROR(add_model_entries(it->second, cursor_, batch));
  }
  return {};
}

/// The nodes of a held model that were this shard's and are not any more, or the other way round.
void Feed::add_moved_nodes(const Model& model, std::size_t levels, Batch& batch) {
  for (const auto& tag : model.tags) {
    tag->nodes.for_each([&](const auto& node) {
      if (node->kind != EntryKind::version) return;
      if (holdings_.holds(model.tenant, model.model, levels, node->partition) == node->is_held) return;
      NodeId id{model.key, tag->name, node->key};
      batch.nodes.try_emplace(std::move(id), Wanted{model.tenant, entry_of(*node)});
    });
  }
}

}  // namespace espalier::shard
