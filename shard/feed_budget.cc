#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "model/pack_format.h"
#include "shard/fallback.h"
#include "shard/feed.h"

namespace espalier::shard {

using wire::EntryKind;
using wire::Reason;

namespace {

constexpr std::int64_t kLookEveryUs = 1'000'000;
constexpr std::int64_t kLookShare = 20;  ///< so many times as long as a look takes, there is none

/// Whole pages that nothing in the table lies on are given back to the system; read again, they come from the file.
void give_pages_back(const ModelTable& table, const std::vector<std::shared_ptr<const Servable>>& gone) {
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto each_page = [](const Servable& servable, const auto& visit) {
    const auto begin = reinterpret_cast<std::uintptr_t>(servable.bytes().data());
    for (std::uintptr_t at = begin / page; at <= (begin + servable.bytes().size() - 1) / page; ++at) visit(at);
  };
  std::unordered_set<std::uintptr_t> pages;
  for (const auto& servable : gone) each_page(*servable, [&](std::uintptr_t at) { pages.insert(at); });
  each_node(table, [&](const Model&, const Tag&, const Node& node) {
    give_way();
    for (const Answer* answer : {&node.wanted, &node.previous}) {
      if (answer->servable != nullptr) each_page(*answer->servable, [&](std::uintptr_t at) { pages.erase(at); });
    }
  });
  for (const std::uintptr_t at : pages) madvise(reinterpret_cast<void*>(at * page), page, MADV_DONTNEED);
}

}  // namespace

/// A leaf that had to make room, or would have to: it is not taken in unless it is asked for, or its artefact is in for
/// another node.
bool Feed::is_left_out(const NodeId& id, const Hash256& artefact) const {
  if (!has_budget() || budget_.in.contains(artefact)) return false;
  const Model* model = live_.current().models.find(id.model_key);
  const Tag* tag = model == nullptr ? nullptr : model->find_tag(id.tag);
  const Node* node = tag == nullptr ? nullptr : tag->nodes.find(id.node_key);
  return node != nullptr && node->is_left_out && is_answered_above(*model, *tag, node->partition);
}

/// What is in memory, or was left out, by artefact; with a disk budget also what is on the disk. What could not be
/// taken in for another reason has its own retries.
std::vector<Feed::Sharing> Feed::count_artefacts() const {
  std::vector<Sharing> all;
  std::unordered_map<Hash256, std::size_t> by_artefact;
  const auto take = [&](const Answer& answer, const Model& model, const Tag& tag, const Node& node, bool is_wanted) {
    const auto [it, is_new] = by_artefact.try_emplace(answer.artefact, all.size());
    if (is_new) {
      Sharing& sharing = all.emplace_back();
      sharing.artefact = answer.artefact;
      sharing.is_coming = budget_.coming.contains(answer.artefact);
      sharing.item = {answer.artefact_bytes, 0, 0, false, true, false};
      const std::uint64_t framed = model::frame_bytes(answer.artefact_bytes);
      const bool is_on_disk = options_.disk_budget == 0 || admission_.has(answer.artefact);
      sharing.on_disk = {framed, 0, 0, is_on_disk, true, false};
    }
    Sharing& sharing = all[it->second];
    sharing.item.is_in |= answer.servable != nullptr;
    sharing.item.used = std::max(sharing.item.used, node.used.at());
    // What answers in a new version's place is the first to make room for it.
    if (is_wanted) sharing.on_disk.used = std::max(sharing.on_disk.used, node.used.at());
    const bool may_go = node.partition.size() == model.levels.size() && is_answered_above(model, tag, node.partition);
    sharing.item.may_go = sharing.item.may_go && is_wanted && may_go;
    sharing.on_disk.may_go = sharing.on_disk.may_go && may_go;
    sharing.is_in_question |= answer.servable != nullptr || node.is_left_out;
    sharing.places.push_back({&model, &tag, &node});
  };
  each_node(live_.current(), [&](const Model& model, const Tag& tag, const Node& node) {
    give_way();
    if (node.previous.servable != nullptr) take(node.previous, model, tag, node, false);
    if (node.kind != EntryKind::version || !node.is_held) return;
    const bool is_on_disk = options_.disk_budget != 0 && admission_.has(node.wanted.artefact);
    if (node.wanted.servable != nullptr || node.is_left_out || is_on_disk) take(node.wanted, model, tag, node, true);
  });
  return all;
}

/// How often what was left out has been asked for since.
void Feed::note_wishes(std::vector<Sharing>& all) {
  std::unordered_map<Hash256, LeftOut> left_out;
  for (Sharing& sharing : all) {
    if (!sharing.is_in_question || sharing.item.is_in || sharing.is_coming || !sharing.item.may_go) continue;
    LeftOut& out = left_out[sharing.artefact];
    const auto known = budget_.left_out.find(sharing.artefact);
    out = known == budget_.left_out.end() ? LeftOut{sharing.item.used, 0} : known->second;
    if (sharing.item.used != out.used) out = {sharing.item.used, out.asked + 1};
    sharing.item.asked = sharing.on_disk.asked = out.asked;
  }
  budget_.left_out = std::move(left_out);
}

/// Who goes and who comes, of what is on the disk or may come there. What is out by now, though nobody answers in its
/// place, comes in any case.
BudgetChoice Feed::choose_for_memory(std::vector<Sharing>& all) {
  std::vector<BudgetItem> items;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].is_in_question || !all[i].on_disk.is_in) continue;
    items.push_back(all[i].item);
    places.push_back(i);
    if (all[i].is_coming && !items.back().is_in) items.back().is_in = true, items.back().may_go = false;
  }
  const std::uint64_t budget = options_.memory_budget == 0 ? ~std::uint64_t{0} : options_.memory_budget;
  BudgetChoice choice = choose_for_budget(items, budget);
  for (std::size_t& i : choice.out) i = places[i];
  for (std::size_t& i : choice.in) i = places[i];
  budget_.bytes = choice.bytes;
  note_exceeded(budget_.is_exceeded, "memory", choice.bytes, budget);
  return choice;
}

void Feed::note_exceeded(bool& was, const char* which, std::uint64_t bytes, std::uint64_t budget) {
  if (was == (bytes > budget)) return;
  was = bytes > budget;
  if (was) {
    log::error("shard", std::string("alert: what can't be left out is larger than the ") + which + " budget",
               {{"bytes", bytes}, {"budget", budget}});
  } else {
    log::warn("shard", std::string("alert is over: the ") + which + " budget suffices",
              {{"bytes", bytes}, {"budget", budget}});
  }
}

/// Nodes that name the artefact answer with it no more.
void Feed::take_out(const Sharing& sharing, TableEdit& edit, std::vector<std::shared_ptr<const Servable>>& gone) {
  for (const Sharing::Place& place : sharing.places) {
    const Node* current = edit.find_node(place.model->key, place.tag->name, place.node->key);
    auto next = std::make_shared<Node>(*current);
    if (next->previous.artefact == sharing.artefact && next->previous.servable != nullptr) {
      gone.push_back(next->previous.servable);
      next->previous = {};
    }
    if (next->wanted.artefact == sharing.artefact && !next->is_left_out) {
      if (next->wanted.servable != nullptr) gone.push_back(std::move(next->wanted.servable));
      next->wanted.servable = nullptr;
      next->not_ready = Reason::over_budget;
      next->is_left_out = true;
      ++budget_.evicted;
    }
    edit.set_node(place.model->key, place.tag->name, std::move(next));
  }
  budget_.left_out[sharing.artefact] = {sharing.item.used, 0};
}

/// What goes is gone with the next table, what comes is taken in by steps.
void Feed::apply_choice(const std::vector<Sharing>& all, const BudgetChoice& choice) {
  budget_.in.clear();
  for (const Sharing& sharing : all) {
    if ((sharing.item.is_in || sharing.is_coming) && sharing.on_disk.is_in) budget_.in.insert(sharing.artefact);
  }
  std::vector<std::shared_ptr<const Servable>> gone;
  TableEdit edit(live_.current());
  for (const std::size_t i : choice.out) {
    budget_.in.erase(all[i].artefact);
    take_out(all[i], edit, gone);
  }
  for (const std::size_t i : choice.in) {
    budget_.in.insert(all[i].artefact);
    budget_.coming.insert(all[i].artefact);
    budget_.left_out.erase(all[i].artefact);
  }
  std::vector<NodeId> coming;
  // Also the places that were left out while it was in for another.
  for (const Sharing& sharing : all) {
    if (!budget_.in.contains(sharing.artefact)) continue;
    for (const Sharing::Place& place : sharing.places) {
      if (place.node->is_left_out && place.node->wanted.artefact == sharing.artefact) {
        coming.push_back({place.model->key, place.tag->name, place.node->key});
      }
    }
  }
  if (!coming.empty()) {
    std::set<NodeId> waiting(backlog_.unseen.begin(), backlog_.unseen.end());
    waiting.insert(backlog_.to_fetch.begin(), backlog_.to_fetch.end());
    for (NodeId& id : coming) {
      if (!waiting.contains(id)) backlog_.unseen.push_front(std::move(id));
    }
  }
  if (choice.out.empty()) return;
  show(edit.finish(live_.current().generation, live_.current().epoch));
  give_pages_back(live_.current(), gone);
  log::info("shard", "leaves made room",
            {{"artefacts", choice.out.size()}, {"bytes", choice.bytes}, {"coming_back", choice.in.size()}});
}

/// Leaves that were left out and that nobody answers for any more are taken in at once, as far as they are here.
void Feed::bring_back() {
  if (live_.current().counts.not_ready[static_cast<std::size_t>(Reason::over_budget)] == 0) return;
  budget_.look_at_us = 0;
  const std::size_t others = backlog_.unseen.size();
  keep_budget();
  while (backlog_.unseen.size() > others) admit_some();
}

/// Counts what is in memory and on the disk, and keeps both within their budgets: some milliseconds, about once a
/// second.
void Feed::keep_budget() {
  const std::int64_t began = clock_.monotonic_us();
  if (began < budget_.look_at_us || (!has_budget() && budget_.looked_at_swap == swaps_)) return;
  std::vector<Sharing> all = count_artefacts();
  note_wishes(all);
  std::vector<std::size_t> gone_from_disk;
  if (options_.disk_budget != 0) {
    forget_for_room(all);
    gone_from_disk = choose_for_disk(all, !is_cut_off_).out;
  }
  BudgetChoice choice = choose_for_memory(all);
  choice.out.insert(choice.out.end(), gone_from_disk.begin(), gone_from_disk.end());
  apply_choice(all, choice);
  for (const std::size_t i : gone_from_disk) admission_.give_up(all[i].artefact);
  fit_disk();
  budget_.looked_at_swap = swaps_;
  const std::int64_t now = clock_.monotonic_us();
  budget_.look_at_us = now + std::max(kLookEveryUs, kLookShare * (now - began));
}

}  // namespace espalier::shard
