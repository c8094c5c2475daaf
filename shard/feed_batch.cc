#include <algorithm>
#include <set>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "model/pack_format.h"
#include "shard/feed.h"

namespace espalier::shard {

using wire::EntryKind;
using wire::Reason;

namespace {

constexpr std::size_t kHashesPerFetch = 1024;
constexpr std::size_t kMostFailuresNamed = 10'000;

}  // namespace

Status Feed::finish_batch() {
  if (!batch_) return {};
  RETURN_IF_ERROR(fetch(*batch_));
  swap(*batch_);
  epoch_ = batch_->epoch;
  progress_.serves(epoch_, clock_.monotonic_us());
  // What is behind a snapshot may have been an erasure, of a tenant that only the pack still knows.
  if (batch_->is_snapshot || !batch_->erased.empty()) {
    space_.purge(live_.current());
    is_purging_ = has_space_work_ = true;
  }
  set_acknowledgement();
  batch_.reset();
  if (must_save_ || saves_soon_) bring_back();
  return {};
}

void Feed::give_space_back() {
  const auto more = space_.step(live_);
  has_space_work_ = more.ok() && *more;
  note_space(more.status());
}

/// Nothing of an erased tenant may be left on this shard's disk when its erasure is acknowledged.
void Feed::end_purge() {
  if (!is_purging_ || space_.is_purging()) return;
  Status ended = write_state();
  if (ended.ok()) ended = state_.remove_damaged();
  if (ended.ok()) is_purging_ = false;
  note_space(ended);
}

void Feed::note_space(const Status& status) {
  if (!status.ok() && status.text() != space_waits_for_) {
    log::warn("shard", "space can't be given back now", {{"why", status}});
  }
  space_waits_for_ = status.ok() ? "" : status.text();
}

/// Of the present state: it names all that is wanted and not ready, whichever change asked for it.
void Feed::set_acknowledgement() {
  last_ack_ = {};
  last_ack_.shard = options_.self.name;
  last_ack_.generation = generation_;
  last_ack_.epoch = epoch_;
  last_ack_.process = options_.process;
  for (const auto& [id, failed] : failed_) {
    if (last_ack_.failed.size() == kMostFailuresNamed) break;
    last_ack_.failed.push_back(failed.failure);
  }
  ack_ = last_ack_;
}

Status Feed::acknowledge() {
  if (!ack_ || !backlog_.is_empty()) return {};
  if (is_purging_) return space_waits_for_.empty() ? Status() : say_unsaved(space_waits_for_);
  if (must_save_ && !try_to_save()) return say_unsaved(save_waits_for_);
  const Result<wire::AckReply> reply = upstream_.call(*ack_);
  RETURN_IF_ERROR(note_refused(reply.status()));
  ack_.reset();
  return {};
}

/// The acknowledgement waits. Others may go by what is held here meanwhile: a full disk is not to stop them all.
Status Feed::say_unsaved(const std::string& why) {
  const std::int64_t now = clock_.monotonic_us();
  if (unsaved_said_ == ack_->epoch && now - unsaved_said_at_us_ < options_.settle_us) return {};
  wire::AckRequest held = *ack_;
  held.held = std::exchange(held.epoch, 0);
  held.unsaved = why;
  RETURN_IF_ERROR(note_refused(upstream_.call(held).status()));
  unsaved_said_ = ack_->epoch;
  unsaved_said_at_us_ = now;
  return {};
}

/// unavailable: it is to be said again.
Status Feed::note_refused(const Status& said) {
  if (said.code() == Code::unavailable) return said;
  if (!said.ok() && said.text() != ack_refused_for_) {
    log::warn("shard", "acknowledgement refused", {{"epoch", epoch_}, {"why", said}});
  }
  ack_refused_for_ = said.ok() ? "" : said.text();
  if (said.code() == Code::not_found) not_in_view();
  return {};
}

// ---------------------------------------------------------------------------------------------- artefacts come in

Status Feed::fetch(Batch& batch) {
  std::map<std::string, std::vector<Hash256>> missing;  // by tenant
  std::set<Hash256> seen;
  for (const auto& [id, wanted] : batch.nodes) {
    give_way();
    const wire::TagEntry& entry = wanted.entry;
    if (entry.kind != EntryKind::version || wanted.is_put_off || batch.refused.contains(entry.artefact)) continue;
    if (is_left_out(id, entry.artefact)) continue;
    if (admission_.has(entry.artefact) || seen.contains(entry.artefact)) continue;
    const auto record = record_of(id.model_key, batch);
    if (!record || !holdings_.holds(record->tenant, record->model, record->levels.size(), entry.partition)) continue;
    seen.insert(entry.artefact);  // one that another tenant's node names, too, may be held for this one alone
    missing[wanted.tenant].push_back(entry.artefact);
  }
  if (missing.empty()) return {};
  take_out_first(batch);
  if (options_.disk_budget != 0) make_disk_room(batch, missing);
  for (auto& [tenant, hashes] : missing) {
    std::ranges::reverse(hashes);  // taken from the back
    while (!hashes.empty()) {
      RETURN_IF_ERROR(fetch_some(tenant, hashes, batch));
      RETURN_IF_ERROR(take_removals_early(batch));
    }
  }
  const Status synced = admission_.sync();
  if (!synced.ok()) {
    log::warn("shard", "the pack can't be synced", {{"why", synced}});
    for (const Hash256& hash : seen) batch.refused.emplace(hash, synced);
  }
  return {};
}

/// Fetches from the back of `hashes` as many as one reply holds.
Status Feed::fetch_some(const std::string& tenant, std::vector<Hash256>& hashes, Batch& batch) {
  wire::FetchRequest request;
  request.tenant = tenant;
  request.artefacts.assign(hashes.rbegin(),
                           hashes.rbegin() + static_cast<std::ptrdiff_t>(std::min(hashes.size(), kHashesPerFetch)));
  std::vector<std::string> bodies;
  ASSIGN_OR_RETURN(const wire::FetchReply reply, upstream_.call(request, bodies));
  if (reply.answered == 0 || reply.answered > request.artefacts.size() || bodies.size() != reply.found.size()) {
    return corrupt("fetch: the reply deals with " + std::to_string(reply.answered) + " of " +
                   std::to_string(request.artefacts.size()) + " artefacts in " + std::to_string(bodies.size()) +
                   " bodies");
  }
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    give_way();
    const Status stored = store(reply.found[i], bodies[i]);
    if (!stored.ok()) batch.refused.emplace(reply.found[i], stored);
  }
  for (const Hash256& hash : reply.missing) {
    batch.refused.emplace(hash, not_found("the registry doesn't have artefact " + hash.hex()));
  }
  hashes.resize(hashes.size() - reply.answered);
  return {};
}

// ------------------------------------------------------------------------------------------------------- the swap

void Feed::swap(Batch& batch) {
  const std::int64_t began = clock_.monotonic_us();
  TableEdit edit(live_.current());
  note_out_of_service(batch);
  if (batch.is_snapshot) {
    forget_unnamed(batch, edit);
    failed_.clear();
    backlog_ = {};
  }
  erase_tenants(batch, edit);
  std::map<std::string, wire::ModelRecord> records = batch.models;
  for (const auto& [id, wanted] : batch.nodes) {
    if (records.contains(id.model_key)) continue;
    if (auto record = record_of(id.model_key, batch)) records.emplace(id.model_key, *std::move(record));
  }
  for (const auto& [key, record] : records) {
    const bool is_held = holdings_.holds_tenant(record.tenant);
    edit.set_model(record, is_held);
    edit.set_epoch(key, batch.epoch);
    if (!is_held) edit.clear_nodes(key);
  }
  for (const auto& [id, wanted] : batch.nodes) {
    const auto it = records.find(id.model_key);
    if (it != records.end() && holdings_.holds_tenant(it->second.tenant)) {
      apply_node(id, wanted, it->second, edit, batch);
    } else {
      failed_.erase(id);
    }
  }
  for (const Release& release : batch.releases) {
    if (edit.has_model(release.model_key))
      edit.set_release(release.model_key, release.tag, release.release, release.epoch);
  }
  publish(edit.finish(batch.generation, batch.epoch));
  log::info("shard", "table swapped",
            {{"epoch", batch.epoch},
             {"nodes", batch.nodes.size()},
             {"failed", failed_.size()},
             {"us", clock_.monotonic_us() - began}});
}

void Feed::erase_tenants(const Batch& batch, TableEdit& edit) {
  if (batch.erased.empty()) return;
  live_.current().models.for_each([&](const auto& model) {
    if (batch.erased.contains(model->tenant)) edit.erase_model(model->key);
  });
  std::erase_if(failed_, [&](const auto& entry) { return !edit.has_model(entry.first.model_key); });
}

/// A snapshot says it all: what it doesn't name is gone.
void Feed::forget_unnamed(const Batch& batch, TableEdit& edit) {
  live_.current().models.for_each([&](const auto& model) {
    if (!batch.models.contains(model->key)) {
      edit.erase_model(model->key);
      return;
    }
    if (batch.is_new_generation) {
      edit.clear_nodes(model->key);
      return;
    }
    for (const auto& tag : model->tags) {
      tag->nodes.for_each([&](const auto& node) {
        if (batch.nodes.contains({model->key, tag->name, node->key})) return;
        wire::TagEntry gone = entry_of(*node);
        gone.kind = EntryKind::unset;
        edit.apply(model->key, tag->name, gone, {});
      });
    }
  });
}

std::optional<wire::ModelRecord> Feed::record_of(const std::string& model_key, const Batch& batch) const {
  if (const auto it = batch.models.find(model_key); it != batch.models.end()) return it->second;
  const Model* model = live_.current().models.find(model_key);
  if (model == nullptr) return std::nullopt;
  wire::ModelRecord record;
  record.tenant = model->tenant;
  record.model = model->model;
  record.task = model->task;
  record.levels = model->levels;
  record.schema = model->schema;
  record.fields = model->inputs->fields();
  record.overlays = overlays_of(*model);
  record.quarantined = model->quarantined;
  return record;
}

/// A leaf that a budget leaves out.
bool Feed::is_without_room(const NodeId& id, const wire::TagEntry& entry, const wire::ModelRecord& record,
                           const Batch& batch) const {
  if (is_left_out(id, entry.artefact)) return true;
  if (options_.disk_budget == 0 || admission_.has(entry.artefact) || batch.refused.contains(entry.artefact)) {
    return false;
  }
  if (entry.partition.size() != record.levels.size()) return false;
  return batch.no_room.contains(entry.artefact) || model::frame_bytes(entry.artefact_bytes) > disk_room();
}

void Feed::apply_node(const NodeId& id, const Wanted& wanted, const wire::ModelRecord& record, TableEdit& edit,
                      Batch& batch) {
  give_way();
  upstream_.keep_lease();
  const wire::TagEntry& entry = wanted.entry;
  Admitted admitted;
  admitted.taken_in.note(clock_.monotonic_us());
  admitted.is_held = holdings_.holds(record.tenant, record.model, record.levels.size(), entry.partition);
  std::optional<Status> failure;
  if (wanted.is_put_off && admitted.is_held) {
    backlog_.unseen.push_back(id);
  } else if (entry.kind == EntryKind::version && admitted.is_held && is_without_room(id, entry, record, batch)) {
    admitted.not_ready = Reason::over_budget;
    admitted.is_left_out = true;
  } else if (entry.kind == EntryKind::version && admitted.is_held) {
    auto servable = admission_.admit(id.model_key, record.fields, entry.artefact);
    if (servable.ok()) {
      admitted.servable = *std::move(servable);
    } else {
      const auto refused = batch.refused.find(entry.artefact);
      failure = refused == batch.refused.end() ? servable.status() : refused->second;
      admitted.not_ready = reason_of(*failure);
    }
  }
  edit.apply(id.model_key, id.tag, entry, admitted);
  if (failure) {
    note_failure(id, wanted, record, *failure);
  } else {
    failed_.erase(id);
  }
}

void Feed::note_failure(const NodeId& id, const Wanted& wanted, const wire::ModelRecord& record, const Status& why) {
  Failed& failed = failed_[id];
  const bool is_again = failed.wanted.entry.version == wanted.entry.version;
  failed.wait_us = is_again ? std::min(failed.wait_us * 2, options_.longest_retry_us) : options_.first_retry_us;
  failed.wanted = wanted;
  failed.has_no_room = why.code() == Code::resource_exhausted;
  failed.retry_at_us = clock_.monotonic_us() + failed.wait_us;
  if (!is_again) {
    log::warn("shard", "a node keeps what it had",
              {{"tenant", record.tenant},
               {"model", record.model},
               {"node", model::Partition::from_values(wanted.entry.partition)->text()},
               {"version", wanted.entry.version.text()},
               {"why", why}});
  }
  failed.failure = {record.tenant, record.model, wanted.entry.partition, wanted.entry.version, why.text()};
}

void Feed::publish(std::unique_ptr<ModelTable> table) {
  show(std::move(table));
  has_unsaved_ = true;
  space_.table_changed();
}

/// A table that says the same of what is wanted.
void Feed::show(std::unique_ptr<ModelTable> table) {
  table->is_starting = is_starting_;
  table->is_filling = !backlog_.is_empty();
  live_.publish(std::move(table));
  ++swaps_;
}

}  // namespace espalier::shard
