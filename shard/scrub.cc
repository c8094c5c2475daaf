#include "shard/scrub.h"

#include <algorithm>
#include <unordered_set>

#include "common/scheduling.h"

namespace espalier::shard {
namespace {

/// Takes a millisecond.
constexpr std::uint64_t kMostAtOnce = 4u << 20;

}  // namespace

void Scrub::step(const ModelTable& table) {
  if (round_us_ <= 0) return;
  const std::int64_t now = clock_.monotonic_us();
  if (began_us_ < 0 || (to_do_.empty() && now - began_us_ >= round_us_)) {
    began_us_ = now;
    begin_round(table);
  }
  const double share = std::min(1.0, static_cast<double>(now - began_us_) / static_cast<double>(round_us_));
  const auto due = bytes_before_ + static_cast<std::uint64_t>(share * static_cast<double>(round_bytes_));
  const std::uint64_t end = std::min(due, bytes_ + kMostAtOnce);
  while (!to_do_.empty() && bytes_ < end) {
    give_way();
    const std::shared_ptr<const Servable> servable = to_do_.back().lock();
    to_do_.pop_back();
    if (!servable || servable->is_damaged()) continue;
    bytes_ += servable->bytes().size();
    if (!servable->is_intact()) damage_.report(*servable);
  }
}

void Scrub::begin_round(const ModelTable& table) {
  bytes_before_ = bytes_;
  round_bytes_ = 0;
  to_do_.clear();
  std::unordered_set<const Servable*> seen;
  each_node(table, [&](const Model&, const Tag&, const Node& node) {
    give_way();
    for (const Answer* answer : {&node.wanted, &node.previous}) {
      if (!answer->is_ready() || !seen.insert(answer->servable.get()).second) continue;
      to_do_.emplace_back(answer->servable);
      round_bytes_ += answer->servable->bytes().size();
    }
  });
}

}  // namespace espalier::shard
