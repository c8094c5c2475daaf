#include "router/retry_policy.h"

#include <algorithm>

namespace espalier::router {

namespace {
constexpr std::int64_t kLeastPatienceUs = 2000;
}

std::optional<std::size_t> choose_candidate(std::span<const Candidate> candidates, bool spread) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.was_tried || candidate.is_full) continue;
    if (!best) {
      best = i;
      continue;
    }
    const Candidate& other = candidates[*best];
    bool is_better = spread && candidate.in_flight < other.in_flight;
    if (candidate.is_gone != other.is_gone) is_better = other.is_gone;
    if (candidate.is_suspect != other.is_suspect) is_better = other.is_suspect;
    if (is_better) best = i;
  }
  return best;
}

bool needs_stand_ins(std::span<const Candidate> placed) {
  return std::ranges::all_of(placed, [](const Candidate& each) { return each.was_tried || each.is_away; });
}

Sending may_send(std::int64_t remaining_us, Cause cause, bool may_retry) {
  if (remaining_us <= 0) return Sending::late;
  return cause == Cause::silence && !may_retry ? Sending::unfunded : Sending::sent;
}

Sending why_nobody(std::span<const Candidate> candidates) {
  const bool has_full =
      std::ranges::any_of(candidates, [](const Candidate& each) { return each.is_full && !each.was_tried; });
  return has_full ? Sending::full : Sending::exhausted;
}

Status failure_of(Sending sending) {
  switch (sending) {
    case Sending::late: return {Code::deadline_exceeded, "the time budget was over before a shard could be asked"};
    case Sending::full:
    case Sending::unfunded: return {Code::overloaded, "the shards that hold it have as much in flight as they may"};
    default: return unavailable("no shard can be reached");
  }
}

std::int64_t patience_us(std::int64_t remaining_us, std::size_t others_left) {
  if (others_left == 0) return remaining_us;
  const auto share = static_cast<std::int64_t>(std::min<std::size_t>(others_left, 3) + 1);
  return std::min(remaining_us, std::max(kLeastPatienceUs, remaining_us / share));
}

std::int64_t retry_after_us(Code code) { return code == Code::overloaded || code == Code::unavailable ? 20'000 : 0; }

bool may_ask_another(Code code) { return code == Code::unavailable || code == Code::overloaded; }

}  // namespace espalier::router
