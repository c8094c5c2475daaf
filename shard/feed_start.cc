#include <algorithm>
#include <set>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "model/pack_format.h"
#include "shard/fallback.h"
#include "shard/feed.h"

namespace espalier::shard {

using wire::EntryKind;

namespace {

constexpr std::size_t kFetchedAtOnce = 1024;
constexpr std::int64_t kSaidEveryUs = 2'000'000;

}  // namespace

/// Whether the batch names a version for a node above this one that may answer.
bool Feed::is_one_above(const Batch& batch, const NodeId& id, const wire::TagEntry& entry,
                        const wire::ModelRecord& record) const {
  NodeId above{id.model_key, id.tag, {}};
  for (const std::string& value : entry.partition) {
    const auto it = batch.nodes.find(above);
    if (it != batch.nodes.end() && it->second.entry.kind == EntryKind::version &&
        !std::ranges::binary_search(record.quarantined, it->second.entry.version)) {
      return true;
    }
    model::append_component(above.node_key, value);
  }
  return false;
}

/// Leaves wait where a node above them answers meanwhile, and where they have not answered yet themselves. Only at a
/// start: the nodes of a release that comes later are swapped in together.
void Feed::put_off_leaves(Batch& batch, bool keeps_budget) const {
  if (!batch.is_snapshot) return;
  std::uint64_t bytes = 0;
  for (const auto& [id, wanted] : batch.nodes) bytes += wanted.entry.artefact_bytes;
  const bool is_too_much = keeps_budget && options_.memory_budget != 0 && bytes > options_.memory_budget;
  if (batch.nodes.size() <= options_.nodes_at_once && !is_too_much) return;
  if (!is_starting_ && backlog_.is_empty()) return;
  const TableEdit table(live_.current());
  for (auto& [id, wanted] : batch.nodes) {
    const wire::TagEntry& entry = wanted.entry;
    const auto record = batch.models.find(id.model_key);
    if (record == batch.models.end() || entry.kind != EntryKind::version) continue;
    if (entry.partition.size() < record->second.levels.size()) continue;
    if (!is_one_above(batch, id, entry, record->second)) continue;
    const Node* node = is_starting_ ? nullptr : table.find_node(id.model_key, id.tag, id.node_key);
    wanted.is_put_off = node == nullptr || (!node->wanted.is_ready() && !node->previous.is_ready());
  }
}

/// Leaves that were put off below ancestors which turned out not to answer. Not ok: the registry's; the others are in.
Status Feed::admit_unanswered(bool may_fetch) {
  Batch late;
  late.generation = live_.current().generation;
  late.epoch = live_.current().epoch;
  std::set<NodeId> found;
  const TableEdit table(live_.current());
  for (const auto* waiting : {&backlog_.unseen, &backlog_.to_fetch}) {
    for (const NodeId& id : *waiting) {
      give_way();
      const Node* node = find_late(id, table);
      if (node == nullptr) continue;
      const Model& model = *live_.current().models.find(id.model_key);
      if (node->previous.is_ready() || is_answered_above(model, *model.find_tag(id.tag), node->partition)) continue;
      if (!may_fetch && !admission_.has(node->wanted.artefact)) continue;
      late.nodes.emplace(id, Wanted{model.tenant, entry_of(*node)});
      found.insert(id);
    }
  }
  if (found.empty()) return {};
  if (may_fetch) RETURN_IF_ERROR(fetch(late));
  for (auto* waiting : {&backlog_.unseen, &backlog_.to_fetch}) {
    std::erase_if(*waiting, [&](const NodeId& id) { return found.contains(id); });
  }
  swap(late);
  set_acknowledgement();
  return {};
}

/// The node, if it is still wanted, held and not ready.
const Node* Feed::find_late(const NodeId& id, const TableEdit& edit) const {
  if (!edit.has_model(id.model_key)) return nullptr;
  const Node* node = edit.find_node(id.model_key, id.tag, id.node_key);
  const bool is_late =
      node != nullptr && node->kind == EntryKind::version && node->is_held && node->wanted.servable == nullptr;
  return is_late ? node : nullptr;
}

/// Takes in what the pack has, some milliseconds' worth; true: there may be more.
bool Feed::admit_some() {
  if (backlog_.unseen.empty()) return false;
  if (backlog_.began_us == 0) {
    budget_.look_at_us = 0;
    keep_budget();
  }
  TableEdit edit(live_.current());
  const std::uint64_t room = disk_room();
  for (std::size_t i = 0; i < options_.nodes_at_once && !backlog_.unseen.empty(); ++i, backlog_.unseen.pop_front()) {
    give_way();
    const NodeId& id = backlog_.unseen.front();
    const Node* node = find_late(id, edit);
    if (node == nullptr) continue;
    const bool is_here = admission_.has(node->wanted.artefact);
    if (!has_room_for(id, *node)) {
      leave_out(id, *node, edit);
    } else if (is_here) {
      admit_late(id, edit, {});
    } else if (model::frame_bytes(node->wanted.artefact_bytes) > room) {
      leave_out(id, *node, edit);
    } else {
      backlog_.to_fetch.push_back(id);
    }
  }
  end_slice(edit);
  return !backlog_.unseen.empty();
}

/// Fetches some of what the pack hasn't, once the rest is in, and as the disk budget has room for it.
Status Feed::fetch_more() {
  if (!backlog_.unseen.empty() || backlog_.to_fetch.empty()) return {};
  std::string tenant;
  std::set<Hash256> asked;
  std::deque<NodeId>& waiting = backlog_.to_fetch;
  std::size_t taken = 0;
  const TableEdit table(live_.current());
  std::uint64_t room = disk_room();
  for (; taken < waiting.size() && asked.size() < kFetchedAtOnce; ++taken) {
    const Node* node = find_late(waiting[taken], table);
    if (node == nullptr) continue;
    const std::string& of = live_.current().models.find(waiting[taken].model_key)->tenant;
    if (!asked.empty() && of != tenant) break;
    tenant = of;
    const std::uint64_t bytes = model::frame_bytes(node->wanted.artefact_bytes);
    if (admission_.has(node->wanted.artefact) || asked.contains(node->wanted.artefact) || bytes > room) continue;
    asked.insert(node->wanted.artefact);
    room -= bytes;
  }
  std::vector<Hash256> hashes(asked.begin(), asked.end());
  Batch came;
  if (!hashes.empty()) RETURN_IF_ERROR(fetch_some(tenant, hashes, came));
  const Status synced = admission_.sync();
  if (!synced.ok()) {
    for (const Hash256& hash : asked) came.refused.emplace(hash, synced);
  }
  // Storing may have moved what answers.
  TableEdit edit(live_.current());
  for (; taken > 0; --taken, waiting.pop_front()) {
    give_way();
    const NodeId& id = waiting.front();
    const Node* node = find_late(id, edit);
    if (node == nullptr) continue;
    const Hash256 artefact = node->wanted.artefact;
    const bool is_here = admission_.has(artefact) || came.refused.contains(artefact);
    if (!has_room_for(id, *node) || !(is_here || asked.contains(artefact))) {
      leave_out(id, *node, edit);
    } else if (is_here) {
      admit_late(id, edit, came.refused);
    } else {
      waiting.push_back(id);  // one reply did not hold all
    }
  }
  end_slice(edit);
  return {};
}

void Feed::admit_late(const NodeId& id, TableEdit& edit, const std::map<Hash256, Status>& refused) {
  const Model& model = *live_.current().models.find(id.model_key);
  auto next = std::make_shared<Node>(*edit.find_node(id.model_key, id.tag, id.node_key));
  budget_.coming.erase(next->wanted.artefact);
  auto servable = admission_.admit(id.model_key, model.inputs->fields(), next->wanted.artefact);
  if (servable.ok()) {
    // What was chosen to come back, or is in for another node, is counted already.
    if (budget_.in.insert(next->wanted.artefact).second) budget_.bytes += next->wanted.artefact_bytes;
    if (next->used.at() == 0) next->used.note(clock_.monotonic_us());
    next->wanted.servable = *std::move(servable);
    next->previous = {};
    next->is_left_out = false;
    failed_.erase(id);
  } else {
    const auto it = refused.find(next->wanted.artefact);
    const Status why = it == refused.end() ? servable.status() : it->second;
    next->not_ready = reason_of(why);
    next->is_left_out = false;
    note_failure(id, {model.tenant, entry_of(*next)}, *record_of(id.model_key, {}), why);
  }
  edit.set_node(id.model_key, id.tag, std::move(next));
}

/// What was chosen to come back has its place, what is in for another node needs none, and what nobody answers for
/// comes in anyway; of anything else only as much comes in as fits.
bool Feed::has_room_for(const NodeId& id, const Node& node) const {
  if (options_.memory_budget == 0 || node.is_left_out || budget_.in.contains(node.wanted.artefact)) return true;
  if (budget_.bytes + node.wanted.artefact_bytes <= options_.memory_budget) return true;
  const Model* model = live_.current().models.find(id.model_key);
  const Tag* tag = model == nullptr ? nullptr : model->find_tag(id.tag);
  return tag == nullptr || !is_answered_above(*model, *tag, node.partition);
}

void Feed::leave_out(const NodeId& id, const Node& node, TableEdit& edit) {
  budget_.coming.erase(node.wanted.artefact);
  auto next = std::make_shared<Node>(node);
  next->not_ready = wire::Reason::over_budget;
  next->is_left_out = true;
  edit.set_node(id.model_key, id.tag, std::move(next));
}

void Feed::end_slice(TableEdit& edit) {
  show(edit.finish(live_.current().generation, live_.current().epoch));
  const std::int64_t now = clock_.monotonic_us();
  if (backlog_.began_us == 0) backlog_.began_us = backlog_.said_at_us = now;
  const NodeCounts& counts = live_.current().counts;
  const bool is_done = backlog_.is_empty();
  if (is_done || now - backlog_.said_at_us >= kSaidEveryUs) {
    backlog_.said_at_us = now;
    log::info("shard", is_done ? "all nodes are in" : "taking nodes in",
              {{"ready", counts.ready}, {"wanted", counts.wanted}, {"us", now - backlog_.began_us}});
  }
  if (!is_done) return;
  backlog_ = {};
  budget_.coming.clear();
  has_unsaved_ = true;
  space_.table_changed();
  set_acknowledgement();
}

}  // namespace espalier::shard
