#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
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
  if (options_.memory_budget == 0 || budget_.in.contains(artefact)) return false;
  const Model* model = live_.current().models.find(id.model_key);
  const Tag* tag = model == nullptr ? nullptr : model->find_tag(id.tag);
  const Node* node = tag == nullptr ? nullptr : tag->nodes.find(id.node_key);
  return node != nullptr && node->is_left_out && is_answered_above(*model, *tag, node->partition);
}

/// What is in memory, or was left out, by artefact. What could not be taken in for another reason has its own retries.
std::vector<Feed::Sharing> Feed::count_artefacts() const {
  std::vector<Sharing> all;
  std::unordered_map<Hash256, std::size_t> by_artefact;
  const auto take = [&](const Answer& answer, const Model& model, const Tag& tag, const Node& node, bool is_wanted) {
    const auto [it, is_new] = by_artefact.try_emplace(answer.artefact, all.size());
    if (is_new) all.push_back({answer.artefact, {answer.artefact_bytes, 0, 0, false, true}, {}});
    Sharing& sharing = all[it->second];
    sharing.item.is_in |= answer.servable != nullptr;
    sharing.item.used = std::max(sharing.item.used, node.used.at());
    const bool is_leaf = is_wanted && node.partition.size() == model.levels.size();
    sharing.item.may_go = sharing.item.may_go && is_leaf && is_answered_above(model, tag, node.partition);
    sharing.places.push_back({&model, &tag, &node});
  };
  each_node(live_.current(), [&](const Model& model, const Tag& tag, const Node& node) {
    give_way();
    if (node.previous.servable != nullptr) take(node.previous, model, tag, node, false);
    if (node.kind != EntryKind::version || !node.is_held) return;
    if (node.wanted.servable != nullptr || node.is_left_out) take(node.wanted, model, tag, node, true);
  });
  return all;
}

/// Who goes and who comes. What is out by now, though nobody answers in its place, comes in any case.
BudgetChoice Feed::choose_artefacts(std::vector<Sharing>& all) {
  std::unordered_map<Hash256, LeftOut> left_out;
  std::vector<BudgetItem> items;
  for (Sharing& sharing : all) {
    if (!sharing.item.is_in && sharing.item.may_go) {
      LeftOut& out = left_out[sharing.artefact];
      const auto known = budget_.left_out.find(sharing.artefact);
      out = known == budget_.left_out.end() ? LeftOut{sharing.item.used, 0} : known->second;
      if (sharing.item.used != out.used) out = {sharing.item.used, out.asked + 1};
      sharing.item.asked = out.asked;
    }
    items.push_back(sharing.item);
  }
  budget_.left_out = std::move(left_out);
  const std::uint64_t budget = options_.memory_budget == 0 ? ~std::uint64_t{0} : options_.memory_budget;
  BudgetChoice choice = choose_for_budget(items, budget);
  budget_.bytes = choice.bytes;
  if (budget_.is_exceeded != (choice.bytes > budget)) {
    budget_.is_exceeded = choice.bytes > budget;
    if (budget_.is_exceeded) {
      log::error("shard", "alert: what can't be left out is larger than the memory budget",
                 {{"bytes", choice.bytes}, {"budget", budget}});
    } else {
      log::warn("shard", "alert is over: the memory budget suffices", {{"bytes", choice.bytes}, {"budget", budget}});
    }
  }
  return choice;
}

/// What goes is gone with the next table, what comes is taken in by steps.
void Feed::apply_choice(const std::vector<Sharing>& all, const BudgetChoice& choice) {
  budget_.in.clear();
  for (const Sharing& sharing : all) {
    if (sharing.item.is_in) budget_.in.insert(sharing.artefact);
  }
  std::vector<std::shared_ptr<const Servable>> gone;
  TableEdit edit(live_.current());
  for (const std::size_t i : choice.out) {
    budget_.in.erase(all[i].artefact);
    for (const Sharing::Place& place : all[i].places) {
      if (place.node->wanted.servable == nullptr) continue;
      auto next = std::make_shared<Node>(*place.node);
      gone.push_back(std::move(next->wanted.servable));
      next->wanted.servable = nullptr;
      next->not_ready = Reason::over_budget;
      next->is_left_out = true;
      edit.set_node(place.model->key, place.tag->name, std::move(next));
      ++budget_.evicted;
    }
    budget_.left_out[all[i].artefact] = {all[i].item.used, 0};
  }
  for (const std::size_t i : choice.in) {
    budget_.in.insert(all[i].artefact);
    budget_.left_out.erase(all[i].artefact);
  }
  std::vector<NodeId> coming;
  // Also the places that were left out while it was in for another.
  for (const Sharing& sharing : all) {
    if (!budget_.in.contains(sharing.artefact)) continue;
    for (const Sharing::Place& place : sharing.places) {
      if (place.node->is_left_out) coming.push_back({place.model->key, place.tag->name, place.node->key});
    }
  }
  if (!coming.empty()) {
    std::set<NodeId> waiting(backlog_.unseen.begin(), backlog_.unseen.end());
    waiting.insert(backlog_.to_fetch.begin(), backlog_.to_fetch.end());
    for (NodeId& id : coming) {
      if (!waiting.contains(id)) backlog_.unseen.push_front(std::move(id));
    }
  }
  if (gone.empty()) return;
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

/// Counts what is in memory, and keeps it within the budget: some milliseconds, about once a second.
void Feed::keep_budget() {
  const std::int64_t began = clock_.monotonic_us();
  if (began < budget_.look_at_us || (options_.memory_budget == 0 && budget_.looked_at_swap == swaps_)) return;
  std::vector<Sharing> all = count_artefacts();
  const BudgetChoice choice = choose_artefacts(all);
  apply_choice(all, choice);
  budget_.looked_at_swap = swaps_;
  const std::int64_t now = clock_.monotonic_us();
  budget_.look_at_us = now + std::max(kLookEveryUs, kLookShare * (now - began));
}

}  // namespace espalier::shard
