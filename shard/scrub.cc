#include "shard/scrub.h"

#include <algorithm>
#include <unordered_set>

#include "common/log.h"
#include "common/scheduling.h"

namespace espalier::shard {
namespace {

constexpr std::int64_t kLongestStepUs = 200'000;
constexpr std::int64_t kUsualShare = 20;
constexpr std::int64_t kHurriedShare = 2;
/// So much of a round may be late before it hurries.
constexpr std::uint64_t kLatePart = 20;

}  // namespace

void Scrub::step(const ModelTable& table) {
  if (round_us_ <= 0) return;
  const std::int64_t now = clock_.monotonic_us();
  const std::int64_t passed = stepped_us_ < 0 ? 0 : now - stepped_us_;
  stepped_us_ = now;
  if (began_us_ < 0 || (to_do_.empty() && now - began_us_ >= round_us_)) {
    began_us_ = now;
    begin_round(table);
  }
  look_at_due(now, passed);
  note_lateness(now);
}

void Scrub::look_at_due(std::int64_t began_us, std::int64_t passed_us) {
  const double share = std::min(1.0, static_cast<double>(began_us - began_us_) / static_cast<double>(round_us_));
  const auto due = bytes_before_ + static_cast<std::uint64_t>(share * static_cast<double>(round_bytes_));
  const bool is_behind = due > bytes_ && due - bytes_ > round_bytes_ / kLatePart;
  const std::int64_t allowed_us = std::min(passed_us / (is_behind ? kHurriedShare : kUsualShare), kLongestStepUs);
  const std::uint64_t soon = bytes_ + bytes_at_once_;
  while (!to_do_.empty() && bytes_ < due && (bytes_ < soon || clock_.monotonic_us() - began_us < allowed_us)) {
    give_way();
    const std::shared_ptr<const Servable> servable = to_do_.back().lock();
    to_do_.pop_back();
    if (!servable || servable->is_damaged()) continue;
    bytes_ += servable->bytes().size();
    if (!servable->is_intact()) damage_.report(*servable);
  }
}

/// Two rounds are to fit the interval.
void Scrub::note_lateness(std::int64_t now_us) {
  const bool is_over = to_do_.empty();
  if (!is_over && !is_late_ && now_us - began_us_ > half_us_) {
    is_late_ = true;
    log::warn("shard", "the scrub is too slow for its interval",
              {{"interval_us", 2 * half_us_}, {"bytes", round_bytes_}, {"looked_at", bytes_ - bytes_before_}});
  } else if (is_over && is_late_ && now_us - began_us_ <= half_us_) {
    is_late_ = false;
    log::info("shard", "the scrub keeps its interval again", {{"interval_us", 2 * half_us_}, {"bytes", round_bytes_}});
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
