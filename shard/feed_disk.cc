// What a release, or what is taken in late, finds room for on the disk (docs/shard-memory.md, "Disk budget").
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "model/pack_format.h"
#include "shard/fallback.h"
#include "shard/feed.h"

namespace espalier::shard {

using wire::EntryKind;

std::uint64_t Feed::disk_room() const {
  if (options_.disk_budget == 0) return ~std::uint64_t{0};
  const std::uint64_t live = admission_.live_bytes();
  return options_.disk.live > live ? options_.disk.live - live : 0;
}

/// Artefacts of a batch under way are on the disk before the table names them.
std::unordered_set<Hash256> Feed::named_by_batch() const {
  std::unordered_set<Hash256> named;
  if (!batch_) return named;
  for (const auto& [id, wanted] : batch_->nodes) named.insert(wanted.entry.artefact);
  return named;
}

/// What the pack may hold of what the table names.
std::uint64_t Feed::disk_budget_of(const std::vector<Sharing>& all) const {
  if (options_.disk_budget == 0) return ~std::uint64_t{0};
  std::uint64_t counted = 0;
  for (const Sharing& sharing : all) counted += sharing.on_disk.is_in ? sharing.on_disk.bytes : 0;
  const std::uint64_t live = admission_.live_bytes();
  const std::uint64_t others = live > counted ? live - counted : 0;
  return options_.disk.live > others ? options_.disk.live - others : 0;
}

bool Feed::is_answered_above_now(const NodeId& id, const wire::TagEntry& entry) const {
  const Model* model = live_.current().models.find(id.model_key);
  const Tag* tag = model == nullptr ? nullptr : model->find_tag(id.tag);
  return tag != nullptr && is_answered_above(*model, *tag, entry.partition);
}

/// What is kept for a way back alone goes first.
void Feed::forget_for_room(const std::vector<Sharing>& all) {
  std::uint64_t needed = 0;
  for (const Sharing& sharing : all) {
    const bool may_come = sharing.on_disk.asked > 0 || !sharing.on_disk.may_go;
    if (!sharing.on_disk.is_in && may_come) needed += sharing.on_disk.bytes;
  }
  if (needed > disk_room() || admission_.live_bytes() > options_.disk.live) {
    space_.forget_unused(live_.current(), named_by_batch());
  }
}

/// What must stay and has found no room, beside these.
std::uint64_t Feed::without_room(const std::vector<Sharing>& beside) const {
  std::uint64_t bytes = 0;
  std::unordered_set<Hash256> seen;
  for (const Sharing& sharing : beside) seen.insert(sharing.artefact);
  for (const auto& [id, failed] : failed_) {
    const wire::TagEntry& entry = failed.wanted.entry;
    if (failed.has_no_room && seen.insert(entry.artefact).second) bytes += model::frame_bytes(entry.artefact_bytes);
  }
  return bytes;
}

/// Who goes from the disk, and who may come. What must stay and is out comes as far as there is room for it once all
/// the rest has gone: the disk takes no more, and nothing goes for what can't come.
BudgetChoice Feed::choose_for_disk(std::vector<Sharing>& all, bool may_fetch) {
  std::vector<BudgetItem> items;
  std::vector<std::size_t> places;
  const std::uint64_t budget = disk_budget_of(all);
  std::uint64_t must_stay = failed_.empty() ? 0 : without_room(all), staying = 0;
  for (const Sharing& sharing : all) {
    if (sharing.on_disk.may_go) continue;
    must_stay += sharing.on_disk.bytes;
    if (sharing.on_disk.is_in || sharing.is_coming) staying += sharing.on_disk.bytes;
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    BudgetItem& item = all[i].on_disk;
    if (!item.is_in && !may_fetch) continue;
    if (!item.is_in && !item.may_go && !all[i].is_coming) {
      if (staying + item.bytes > budget) continue;
      staying += item.bytes;
    }
    items.push_back(item);
    places.push_back(i);
    // Its place was made at an earlier look.
    if (all[i].is_coming && !item.is_in) items.back().is_in = item.is_in = true, items.back().may_go = false;
  }
  BudgetChoice choice = choose_for_budget(items, budget);
  for (std::size_t& i : choice.out) i = places[i];
  for (std::size_t& i : choice.in) i = places[i];
  for (const std::size_t i : choice.out) all[i].on_disk.is_in = false;
  for (const std::size_t i : choice.in) all[i].on_disk.is_in = true;
  note_exceeded(budget_.is_disk_exceeded, "disk", must_stay, budget);
  return choice;
}

/// Before a batch is fetched: as much of it as there can be room for stays in `missing`, and what was used earlier goes
/// for it. The rest is answered for by others (`over_budget`) until it is asked for.
void Feed::make_disk_room(Batch& batch, std::map<std::string, std::vector<Hash256>>& missing) {
  std::uint64_t bytes = 0;
  std::unordered_map<Hash256, Sharing> coming;
  const TableEdit table(live_.current());
  std::unordered_set<Hash256> hashes;
  for (const auto& [tenant, of_tenant] : missing) hashes.insert(of_tenant.begin(), of_tenant.end());
  for (const auto& [id, wanted] : batch.nodes) {
    give_way();
    const wire::TagEntry& entry = wanted.entry;
    if (entry.kind != EntryKind::version || wanted.is_put_off || !hashes.contains(entry.artefact)) continue;
    const auto record = record_of(id.model_key, batch);
    const bool is_leaf = record && entry.partition.size() == record->levels.size();
    const Node* node = table.has_model(id.model_key) ? table.find_node(id.model_key, id.tag, id.node_key) : nullptr;
    const std::uint32_t used = node == nullptr ? LastUse::time_of(clock_.monotonic_us()) : node->used.at();
    const std::uint64_t size = model::frame_bytes(entry.artefact_bytes);
    const auto [it, is_first] = coming.try_emplace(entry.artefact);
    if (is_first) {
      it->second.artefact = entry.artefact;
      it->second.on_disk = {size, used, 0, false, true, true};
      bytes += size;
    }
    it->second.on_disk.used = std::max(it->second.on_disk.used, used);
    const bool may_wait = is_leaf && (is_one_above(batch, id, entry, *record) || is_answered_above_now(id, entry));
    it->second.on_disk.may_go = it->second.on_disk.may_go && may_wait;
  }
  if (bytes <= disk_room()) return;
  space_.forget_unused(live_.current(), named_by_batch());
  if (bytes <= disk_room()) return;
  std::vector<Sharing> all = count_artefacts();
  std::erase_if(all, [&](const Sharing& sharing) { return coming.contains(sharing.artefact); });
  for (auto& [hash, sharing] : coming) all.push_back(std::move(sharing));
  const BudgetChoice choice = choose_for_disk(all, true);
  batch.no_room = hashes;
  for (const std::size_t i : choice.in) batch.no_room.erase(all[i].artefact);
  for (const Sharing& sharing : all) {
    if (sharing.on_disk.may_go || !batch.no_room.contains(sharing.artefact)) continue;
    batch.refused.emplace(sharing.artefact,
                          Status(Code::resource_exhausted, "what can't be left out is larger than the disk budget"));
  }
  for (auto& [tenant, of_tenant] : missing) {
    std::erase_if(of_tenant, [&](const Hash256& hash) { return batch.no_room.contains(hash); });
  }
  log::info("shard", "a release makes room on the disk",
            {{"artefacts", hashes.size()}, {"left_out", batch.no_room.size()}, {"made_room", choice.out.size()}});
  leave_disk(all, choice.out);
}

/// Those artefacts answer no more, and their bytes in the pack are given up.
void Feed::leave_disk(const std::vector<Sharing>& all, const std::vector<std::size_t>& out) {
  if (out.empty()) return;
  TableEdit edit(live_.current());
  std::vector<std::shared_ptr<const Servable>> gone;
  for (const std::size_t i : out) {
    budget_.in.erase(all[i].artefact);
    take_out(all[i], edit, gone);
  }
  show(edit.finish(live_.current().generation, live_.current().epoch));
  for (const std::size_t i : out) admission_.give_up(all[i].artefact);
  has_unsaved_ = true;  // what answered in another's place
}

/// Stores what was fetched; where the pack's files may not grow, what they hold is moved together first.
Status Feed::store(const Hash256& hash, std::string_view bytes) {
  for (;;) {
    Status stored = admission_.store(hash, bytes);
    if (options_.disk_budget == 0 || stored.code() != Code::resource_exhausted) return stored;
    const auto freed = space_.free_segment(live_);
    if (!freed.ok() || !*freed) return stored;
    upstream_.keep_lease();
  }
}

/// After a start with a smaller budget the files are larger than they may be, together and each.
void Feed::fit_disk() {
  if (options_.disk_budget == 0) return;
  while (space_.disk_bytes() > options_.disk_budget || space_.has_oversized()) {
    const auto freed = space_.free_segment(live_);
    note_space(freed.status());
    if (!freed.ok() || !*freed) return;
  }
}

}  // namespace espalier::shard
