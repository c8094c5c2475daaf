// What goes out of service, ahead of what has to be fetched: removals and quarantine (docs/quarantine.md).
#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "shard/feed.h"

namespace espalier::shard {

using wire::EntryKind;

namespace {

/// Entries looked at to tell a release of removals alone from any other.
constexpr std::uint32_t kPeekedEntries = 64;

}  // namespace

/// A release that does more than remove is swapped in as a whole.
bool Feed::are_removals(const std::vector<wire::TagEntry>& entries) {
  return std::ranges::none_of(entries, [](const wire::TagEntry& entry) { return entry.kind == EntryKind::version; });
}

/// True: the table changes. `entry` takes something out of service; epochs of another generation don't count.
bool Feed::take_out(const NodeId& id, wire::TagEntry entry, bool is_new_generation, TableEdit& edit) const {
  const Model* model = edit.has_model(id.model_key) ? live_.current().models.find(id.model_key) : nullptr;
  if (model == nullptr || model->find_tag(id.tag) == nullptr) return false;
  const Node* now = edit.find_node(id.model_key, id.tag, id.node_key);
  if (now == nullptr ? entry.kind == EntryKind::unset : now->kind == entry.kind) return false;
  if (now != nullptr && is_new_generation) entry.epoch = now->wanted.release_epoch;
  if (now != nullptr && now->wanted.release_epoch > entry.epoch) return false;
  edit.apply(id.model_key, id.tag, entry, {});
  return true;
}

/// The batch's own removals and quarantine, before anything is fetched for it.
void Feed::take_out_first(Batch& batch) {
  if (is_starting_) return;  // nobody is answered
  TableEdit edit(live_.current());
  bool is_any = batch.is_snapshot && take_out_unnamed(batch, edit);
  live_.current().models.for_each([&](const auto& model) { is_any |= batch.erased.contains(model->tenant); });
  erase_tenants(batch, edit);
  for (const auto& [key, record] : batch.models) {
    const Model* model = live_.current().models.find(key);
    if (model == nullptr || !edit.has_model(key) || model->quarantined == record.quarantined) continue;
    edit.set_quarantined(key, record.quarantined);
    is_any = true;
  }
  for (const auto& [id, entry] : batch.removals) {
    give_way();
    const auto last = batch.nodes.find(id);
    const Node* now = edit.has_model(id.model_key) ? edit.find_node(id.model_key, id.tag, id.node_key) : nullptr;
    const bool is_back = now != nullptr && now->kind == EntryKind::version && last != batch.nodes.end() &&
                         last->second.entry.kind == EntryKind::version &&
                         last->second.entry.version == now->wanted.version;
    is_any |= !is_back && take_out(id, entry, false, edit);
  }
  if (!is_any) return;
  must_save_ = true;
  publish(edit.finish(live_.current().generation, live_.current().epoch));
  bring_back();
}

/// What the snapshot doesn't name, or names as removed. True: there is something.
bool Feed::take_out_unnamed(const Batch& batch, TableEdit& edit) {
  bool is_any = false;
  live_.current().models.for_each([&](const auto& model) {
    if (!batch.models.contains(model->key)) {
      edit.erase_model(model->key);
      is_any = true;
      return;
    }
    if (!holdings_.holds_tenant(model->tenant)) return;  // the swap lets go of it
    for (const auto& tag : model->tags) {
      tag->nodes.for_each([&](const auto& node) {
        give_way();
        if (node->kind != EntryKind::version || batch.nodes.contains({model->key, tag->name, node->key})) return;
        wire::TagEntry gone = entry_of(*node);
        gone.kind = EntryKind::unset;
        is_any |= take_out({model->key, tag->name, node->key}, std::move(gone), batch.is_new_generation, edit);
      });
    }
  });
  for (const auto& [id, wanted] : batch.nodes) {
    give_way();
    if (wanted.entry.kind == EntryKind::version) continue;
    is_any |= take_out(id, wanted.entry, batch.is_new_generation, edit);
  }
  return is_any;
}

/// Those that came while the batch's artefacts are fetched are swapped in now, ahead of the batch that takes their
/// change in.
Status Feed::take_removals_early(Batch& batch) {
  RETURN_IF_ERROR(read_changes(0));
  for (const wire::Change& change : queue_) {
    if (change.epoch <= looked_at_) continue;
    if (change.kind == wire::ChangeKind::release) RETURN_IF_ERROR(take_early(change, batch));
    if (change.kind == wire::ChangeKind::model) RETURN_IF_ERROR(take_quarantine_early(change, batch));
    if (change.kind == wire::ChangeKind::erased && !change.tenant.empty()) {
      add_erasure(change.tenant, batch);
      TableEdit edit(live_.current());
      erase_tenants(batch, edit);
      publish(edit.finish(live_.current().generation, live_.current().epoch));
    }
    looked_at_ = change.epoch;
  }
  return {};
}

/// The batch may have read the model before.
Status Feed::take_quarantine_early(const wire::Change& change, Batch& batch) {
  const std::string key = model::model_key(change.tenant, change.model);
  const Model* model = live_.current().models.find(key);
  const auto in_batch = batch.models.find(key);
  if ((model == nullptr && in_batch == batch.models.end()) || !holdings_.holds_tenant(change.tenant)) return {};
  Batch read;
  RETURN_IF_ERROR(add_model(change.tenant, change.model, read));
  const auto now = read.models.find(key);
  if (now == read.models.end()) return {};
  if (in_batch != batch.models.end()) in_batch->second.quarantined = now->second.quarantined;
  if (model == nullptr || model->quarantined == now->second.quarantined) return {};
  TableEdit edit(live_.current());
  edit.set_quarantined(key, now->second.quarantined);
  publish(edit.finish(live_.current().generation, live_.current().epoch));
  must_save_ = true;
  bring_back();
  return {};
}

Status Feed::take_early(const wire::Change& change, Batch& batch) {
  const std::string key = model::model_key(change.tenant, change.model);
  const bool is_known = live_.current().models.find(key) != nullptr || batch.models.contains(key);
  if (!is_known || !holdings_.holds_tenant(change.tenant)) return {};
  wire::ChangedEntriesRequest request;
  request.epoch = change.epoch;
  request.limit = kPeekedEntries;
  ASSIGN_OR_RETURN(const wire::EntriesReply page, upstream_.call(request));
  if (!are_removals(page.entries)) return {};
  std::vector<wire::TagEntry> entries;
  RETURN_IF_ERROR(read_entries(change, entries));
  if (!are_removals(entries)) return {};
  TableEdit edit(live_.current());
  for (wire::TagEntry& entry : entries) {
    give_way();
    entry.epoch = change.epoch;
    if (entry.release.is_nil()) entry.release = change.release;
    const NodeId id{key, entry.tag.empty() ? change.tag : entry.tag, node_key_of(entry.partition)};
    failed_.erase(id);
    take_out(id, entry, batch.is_new_generation, edit);
    batch.nodes.erase(id);
    // A snapshot unsets what it doesn't name.
    if (batch.is_snapshot && entry.kind == EntryKind::removed) batch.nodes[id] = {change.tenant, entry};
  }
  must_save_ = true;
  publish(edit.finish(live_.current().generation, live_.current().epoch));
  return {};
}

/// What is no longer to answer must not come back with a restart once that has been acknowledged. A release that puts
/// an older version in a newer one's place (a UUID begins with the time at which it was made), or leaves a node to its
/// parent, is acknowledged at once and saved within save_quiet_us: there may be many of them in a second.
void Feed::note_out_of_service(const Batch& batch) {
  const auto is_removal = [](const auto& node) { return node.second.entry.kind == EntryKind::removed; };
  const auto is_out = [&](const auto& node) {
    give_way();
    const wire::TagEntry& entry = node.second.entry;
    const Model* model = live_.current().models.find(node.first.model_key);
    const Tag* tag = model == nullptr ? nullptr : model->find_tag(node.first.tag);
    const Node* now = tag == nullptr ? nullptr : tag->nodes.find(node.first.node_key);
    if (now == nullptr || now->kind != EntryKind::version) return false;
    return entry.kind != EntryKind::version || entry.version < now->wanted.version;
  };
  const auto has_other_quarantine = [&](const auto& entry) {
    const Model* model = live_.current().models.find(entry.first);
    return (model == nullptr ? std::vector<Uuid>() : model->quarantined) != entry.second.quarantined;
  };
  if (batch.is_snapshot || std::ranges::any_of(batch.models, has_other_quarantine) ||
      std::ranges::any_of(batch.nodes, is_removal)) {
    must_save_ = true;
  } else if (std::ranges::any_of(batch.nodes, is_out)) {
    saves_soon_ = true;
  }
}

}  // namespace espalier::shard
