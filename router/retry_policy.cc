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
    if (candidate.was_tried) continue;
    if (!best) {
      best = i;
      continue;
    }
    const Candidate& other = candidates[*best];
    const bool is_better =
        candidate.is_suspect != other.is_suspect ? other.is_suspect : spread && candidate.in_flight < other.in_flight;
    if (is_better) best = i;
  }
  return best;
}

std::int64_t patience_us(std::int64_t remaining_us, std::size_t others_left) {
  if (others_left == 0) return remaining_us;
  const auto share = static_cast<std::int64_t>(std::min<std::size_t>(others_left, 3) + 1);
  return std::min(remaining_us, std::max(kLeastPatienceUs, remaining_us / share));
}

std::int64_t retry_after_us(Code code) { return code == Code::overloaded || code == Code::unavailable ? 20'000 : 0; }

bool may_ask_another(Code code) { return code == Code::unavailable || code == Code::overloaded; }

}  // namespace espalier::router
