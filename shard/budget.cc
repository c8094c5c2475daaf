#include "shard/budget.h"

#include <algorithm>

namespace espalier::shard {
namespace {

constexpr std::uint32_t kAskedToExchange = 2;
constexpr std::uint64_t kExchangedShare = 8;

constexpr std::uint64_t kSegmentsOfBudget = 32;
constexpr std::uint64_t kLargestSegment = 64u << 20;
constexpr std::uint64_t kPage = 4096;

}  // namespace

DiskShares disk_shares(std::uint64_t budget) {
  DiskShares shares;
  shares.segment = std::min(budget / kSegmentsOfBudget / kPage * kPage, kLargestSegment);
  shares.added = budget - shares.segment;
  shares.live = budget - budget / 4;
  return shares;
}

BudgetChoice choose_for_budget(std::span<const BudgetItem> items, std::uint64_t budget) {
  BudgetChoice choice;
  std::vector<std::size_t> inside, outside;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].is_in) choice.bytes += items[i].bytes;
    if (items[i].is_in && items[i].may_go) inside.push_back(i);
    if (!items[i].is_in && items[i].may_go && (items[i].asked > 0 || items[i].is_new)) outside.push_back(i);
    if (!items[i].is_in && !items[i].may_go) {
      choice.in.push_back(i);
      choice.bytes += items[i].bytes;
    }
  }
  const auto earlier = [&](std::size_t a, std::size_t b) { return items[a].used < items[b].used; };
  std::ranges::sort(inside, earlier);
  std::ranges::sort(outside, [&](std::size_t a, std::size_t b) { return earlier(b, a); });
  auto next = inside.begin();
  for (; choice.bytes > budget && next != inside.end(); ++next) {
    choice.bytes -= items[*next].bytes;
    choice.out.push_back(*next);
  }
  std::uint64_t exchanged = 0;
  for (const std::size_t i : outside) {
    const BudgetItem& wish = items[i];
    auto end = next;
    std::uint64_t bytes = choice.bytes + wish.bytes;
    for (; bytes > budget && end != inside.end() && items[*end].used < wish.used; ++end) bytes -= items[*end].bytes;
    if (bytes > budget) continue;
    if (end != next) {
      if (!wish.is_new && (wish.asked < kAskedToExchange || exchanged >= budget / kExchangedShare)) continue;
      if (!wish.is_new) exchanged += wish.bytes;
    }
    choice.out.insert(choice.out.end(), next, end);
    choice.in.push_back(i);
    choice.bytes = bytes;
    next = end;
  }
  return choice;
}

}  // namespace espalier::shard
