#include "shard/table_edit.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "model/ids.h"

namespace espalier::shard {

using wire::EntryKind;

std::string node_key_of(const std::vector<std::string>& partition) {
  std::string key;
  for (const std::string& value : partition) model::append_component(key, value);
  return key;
}

namespace {

wire::TagEntry entry_of(const Node& node, const Answer& answer) {
  wire::TagEntry entry;
  entry.partition = node.partition;
  entry.kind = node.kind;
  entry.version = answer.version;
  entry.artefact = answer.artefact;
  entry.artefact_bytes = answer.artefact_bytes;
  entry.release = answer.release;
  entry.epoch = answer.release_epoch;
  return entry;
}

}  // namespace

std::vector<wire::Overlay> overlays_of(const Model& model) {
  std::vector<wire::Overlay> overlays;
  for (const auto& tag : model.tags) {
    if (!tag->below.empty()) overlays.push_back({tag->name, tag->below});
  }
  return overlays;
}

wire::TagEntry entry_of(const Node& node) { return entry_of(node, node.wanted); }
wire::TagEntry previous_entry_of(const Node& node) { return entry_of(node, node.previous); }

Node next_node(const Node* current, const wire::TagEntry& entry, const Admitted& admitted) {
  assert(entry.kind != EntryKind::unset);
  if (current != nullptr && current->wanted.release_epoch > entry.epoch) return *current;
  Node node;
  node.key = node_key_of(entry.partition);
  node.partition = entry.partition;
  node.kind = entry.kind;
  node.wanted.release = entry.release;
  node.wanted.release_epoch = entry.epoch;
  node.is_held = admitted.is_held;
  node.used = current != nullptr ? current->used : admitted.taken_in;
  if (entry.kind == EntryKind::removed) return node;
  node.wanted.version = entry.version;
  node.wanted.artefact = entry.artefact;
  node.wanted.artefact_bytes = entry.artefact_bytes;
  node.wanted.servable = admitted.servable;
  node.not_ready = admitted.not_ready;
  node.is_left_out = admitted.is_left_out;
  const bool may_keep = admitted.is_held && current != nullptr && current->kind == EntryKind::version;
  if (!node.wanted.is_ready() && may_keep) {
    node.previous = current->wanted.is_ready() ? current->wanted : current->previous;
    if (node.previous.version == node.wanted.version) node.previous = {};
  }
  return node;
}

TableEdit::TableEdit(const ModelTable& base)
    : models_(base.models), counts_(base.counts), is_starting_(base.is_starting) {}

TableEdit::OpenModel& TableEdit::open(std::string_view model_key) {
  const auto it = open_.find(model_key);
  if (it != open_.end()) return it->second;
  const Model* model = models_.find(model_key);
  assert(model != nullptr);
  return open_.emplace(std::string(model_key), OpenModel{*model, {}}).first->second;
}

TableEdit::OpenTag& TableEdit::open(OpenModel& model, std::string_view name) {
  const auto it = model.tags.find(name);
  if (it != model.tags.end()) return it->second;
  if (const Tag* tag = model.model.find_tag(name)) return model.tags.emplace(tag->name, OpenTag(*tag)).first->second;
  Tag fresh;
  fresh.name = std::string(name);
  return model.tags.emplace(fresh.name, OpenTag(fresh)).first->second;
}

void TableEdit::set_model(const wire::ModelRecord& record, bool is_held) {
  const std::string key = model::model_key(record.tenant, record.model);
  if (!has_model(key)) {
    OpenModel fresh;
    fresh.model.key = key;
    fresh.model.tenant = record.tenant;
    fresh.model.model = record.model;
    open_.emplace(key, std::move(fresh));
  }
  Model& model = open(key).model;
  model.task = record.task;
  model.levels = record.levels;
  model.schema = record.schema;
  if (model.inputs == nullptr || model.inputs->fields() != record.fields) {
    model.inputs = std::make_shared<const wire::FieldIndex>(record.fields);
  }
  model.is_held = is_held;
  model.quarantined = record.quarantined;
  set_overlays(open(key), record.overlays);
}

/// A tag stands on what the record says, and on its own where that says nothing. One that nothing was said of yet is
/// made: what it stands on answers for it.
void TableEdit::set_overlays(OpenModel& model, const std::vector<wire::Overlay>& overlays) {
  std::vector<wire::Overlay> known = overlays_of(model.model);
  std::ranges::sort(known, {}, &wire::Overlay::tag);
  const auto same = [](const wire::Overlay& a, const wire::Overlay& b) { return a.tag == b.tag && a.on == b.on; };
  if (model.tags.empty() && std::ranges::equal(known, overlays, same)) return;
  for (const wire::Overlay& overlay : known) open(model, overlay.tag);
  for (auto& [name, open_tag] : model.tags) open_tag.tag.below.clear();
  for (const wire::Overlay& overlay : overlays) open(model, overlay.tag).tag.below = overlay.on;
}

/// All nodes of the model are about to go.
void TableEdit::uncount_nodes(std::string_view model_key) {
  const auto remove = [&](const auto& node) { counts_.remove(*node); };
  const Model* model = models_.find(model_key);
  const auto it = open_.find(model_key);
  if (it != open_.end()) {
    for (const auto& [name, tag] : it->second.tags) tag.nodes.for_each(remove);
    model = &it->second.model;
  }
  if (model == nullptr) return;
  for (const auto& tag : model->tags) {
    if (it == open_.end() || !it->second.tags.contains(tag->name)) tag->nodes.for_each(remove);
  }
}

void TableEdit::erase_model(std::string_view model_key) {
  uncount_nodes(model_key);
  if (const auto it = open_.find(model_key); it != open_.end()) open_.erase(it);
  models_.erase(model_key);
}

void TableEdit::set_quarantined(std::string_view model_key, std::vector<Uuid> versions) {
  open(model_key).model.quarantined = std::move(versions);
}

void TableEdit::clear_nodes(std::string_view model_key) {
  uncount_nodes(model_key);
  OpenModel& model = open(model_key);
  model.tags.clear();
  model.model.tags.clear();
}

void TableEdit::apply(std::string_view model_key, std::string_view tag, const wire::TagEntry& entry,
                      const Admitted& admitted) {
  OpenTag& open_tag = open(open(model_key), tag);
  const std::string key = node_key_of(entry.partition);
  const Node* current = open_tag.nodes.find(key);
  if (entry.kind == EntryKind::unset) {
    if (current == nullptr || current->wanted.release_epoch > entry.epoch) return;
    counts_.remove(*current);
    open_tag.nodes.erase(key);
    return;
  }
  if (current != nullptr && current->wanted.release_epoch > entry.epoch) return;
  set(open_tag, std::make_shared<const Node>(next_node(current, entry, admitted)));
}

void TableEdit::set_node(std::string_view model_key, std::string_view tag, std::shared_ptr<const Node> node) {
  set(open(open(model_key), tag), std::move(node));
}

void TableEdit::set(OpenTag& tag, std::shared_ptr<const Node> node) {
  if (const Node* before = tag.nodes.find(node->key)) counts_.remove(*before);
  counts_.add(*node);
  tag.nodes.set(std::move(node));
}

void TableEdit::set_release(std::string_view model_key, std::string_view tag, const Uuid& release,
                            std::uint64_t epoch) {
  Tag& open_tag = open(open(model_key), tag).tag;
  if (epoch < open_tag.release_epoch) return;
  open_tag.release = release;
  open_tag.release_epoch = epoch;
}

void TableEdit::set_epoch(std::string_view model_key, std::uint64_t epoch) { open(model_key).model.epoch = epoch; }

bool TableEdit::has_model(std::string_view model_key) const {
  return open_.find(model_key) != open_.end() || models_.find(model_key) != nullptr;
}

const Node* TableEdit::find_node(std::string_view model_key, std::string_view tag, std::string_view node_key) const {
  const Model* model = models_.find(model_key);
  if (const auto it = open_.find(model_key); it != open_.end()) {
    if (const auto open_tag = it->second.tags.find(tag); open_tag != it->second.tags.end()) {
      return open_tag->second.nodes.find(node_key);
    }
    model = &it->second.model;
  }
  const Tag* found = model == nullptr ? nullptr : model->find_tag(tag);
  return found == nullptr ? nullptr : found->nodes.find(node_key);
}

std::unique_ptr<ModelTable> TableEdit::finish(std::uint64_t generation, std::uint64_t epoch) {
  for (auto& [key, open_model] : open_) {
    for (auto& [name, open_tag] : open_model.tags) {
      open_tag.tag.nodes = open_tag.nodes.finish();
      std::erase_if(open_model.model.tags, [&](const auto& tag) { return tag->name == open_tag.tag.name; });
      open_model.model.tags.push_back(std::make_shared<const Tag>(std::move(open_tag.tag)));
    }
    models_.set(std::make_shared<const Model>(std::move(open_model.model)));
  }
  auto table = std::make_unique<ModelTable>();
  table->generation = generation;
  table->epoch = epoch;
  table->models = models_.finish();
  table->counts = counts_;
  table->is_starting = is_starting_;
  return table;
}

}  // namespace espalier::shard
