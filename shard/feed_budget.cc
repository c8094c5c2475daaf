#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "shard/feed.h"

namespace espalier::shard {

using wire::EntryKind;
using wire::Reason;

namespace {

constexpr std::int64_t kLookEveryUs = 1'000'000;
constexpr std::int64_t kLookShare = 20;  ///< so many times as long as a look takes, there is none

/// Nodes of the current table that name one artefact.
struct Sharing {
  struct Place {
    const Model* model;
    const Tag* tag;
    const Node* node;
  };
  Hash256 artefact;
  BudgetItem item;
  std::vector<Place> places;
};

/// Whether a node above answers where this one doesn't.
bool is_answered_above(const Tag& tag, const Node& node) {
  std::string above;
  for (const std::string& value : node.partition) {
    const Node* found = tag.nodes.find(above);
    if (found != nullptr && found->wanted.servable != nullptr) return true;
    model::append_component(above, value);
  }
  return false;
}

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

/// A leaf that had to make room, or would have to: it is not taken in unless it is asked for.
bool Feed::is_left_out(const NodeId& id) const {
  if (options_.memory_budget == 0 || failed_.contains(id)) return false;
  const Model* model = live_.current().models.find(id.model_key);
  const Tag* tag = model == nullptr ? nullptr : model->find_tag(id.tag);
  const Node* node = tag == nullptr ? nullptr : tag->nodes.find(id.node_key);
  return node != nullptr && node->kind == EntryKind::version && node->is_held && node->wanted.servable == nullptr &&
         node->not_ready == Reason::over_budget;
}

/// Counts what is in memory, and keeps it within the budget: some milliseconds, about once a second.
void Feed::keep_budget() {
  const std::int64_t began = clock_.monotonic_us();
  if (began < budget_.look_at_us || (options_.memory_budget == 0 && budget_.looked_at_swap == swaps_)) return;
  std::vector<Sharing> all;
  std::unordered_map<Hash256, std::size_t> by_artefact;
  const auto take = [&](const Answer& answer, const Sharing::Place& place, bool is_wanted) {
    const auto [it, is_new] = by_artefact.try_emplace(answer.artefact, all.size());
    if (is_new) all.push_back({answer.artefact, {answer.artefact_bytes, 0, 0, false, true}, {}});
    Sharing& sharing = all[it->second];
    const Node& node = *place.node;
    sharing.item.is_in |= answer.servable != nullptr;
    sharing.item.used = std::max(sharing.item.used, node.used.at());
    const bool is_leaf = is_wanted && node.partition.size() == place.model->levels.size();
    sharing.item.may_go = sharing.item.may_go && is_leaf && is_answered_above(*place.tag, node);
    sharing.places.push_back(place);
  };
  each_node(live_.current(), [&](const Model& model, const Tag& tag, const Node& node) {
    give_way();
    if (node.previous.servable != nullptr) take(node.previous, {&model, &tag, &node}, false);
    if (node.kind != EntryKind::version || !node.is_held) return;
    if (node.wanted.servable != nullptr || node.not_ready == Reason::over_budget) {
      take(node.wanted, {&model, &tag, &node}, true);
    }
  });
  std::unordered_map<Hash256, LeftOut> left_out;
  std::vector<BudgetItem> items;
  for (Sharing& sharing : all) {
    if (!sharing.item.is_in) {
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
  const BudgetChoice choice = choose_for_budget(items, budget);
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
  std::vector<std::shared_ptr<const Servable>> gone;
  TableEdit edit(live_.current());
  for (const std::size_t i : choice.out) {
    for (const Sharing::Place& place : all[i].places) {
      if (place.node->wanted.servable == nullptr) continue;
      auto next = std::make_shared<Node>(*place.node);
      gone.push_back(std::move(next->wanted.servable));
      next->wanted.servable = nullptr;
      next->not_ready = Reason::over_budget;
      edit.set_node(place.model->key, place.tag->name, std::move(next));
      ++budget_.evicted;
    }
    budget_.left_out[all[i].artefact] = {all[i].item.used, 0};
  }
  for (const std::size_t i : choice.in) {
    budget_.left_out.erase(all[i].artefact);
    for (const Sharing::Place& place : all[i].places) {
      backlog_.unseen.push_back({place.model->key, place.tag->name, place.node->key});
    }
  }
  if (!gone.empty()) {
    show(edit.finish(live_.current().generation, live_.current().epoch));
    give_pages_back(live_.current(), gone);
    log::info("shard", "leaves made room",
              {{"artefacts", choice.out.size()}, {"bytes", choice.bytes}, {"coming_back", choice.in.size()}});
  }
  budget_.looked_at_swap = swaps_;
  const std::int64_t now = clock_.monotonic_us();
  budget_.look_at_us = now + std::max(kLookEveryUs, kLookShare * (now - began));
}

}  // namespace espalier::shard
