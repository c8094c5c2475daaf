#include "shard/fallback_watch.h"

#include <algorithm>

#include "common/log.h"

namespace espalier::shard {
namespace {

/// What one reason is judged by.
struct Share {
  std::uint64_t unexpected = 0, answered = 0;
};

/// Faults add up, and the most frequent one stands for all of them. What somebody decided on is counted on its own, and
/// among faults not at all: however often it is the reason, it hides none.
Share share_of(std::size_t i, const Reasons& reasons) {
  const auto is_fault = [](std::size_t j) {
    const auto reason = static_cast<wire::Reason>(j);
    return is_unexpected(reason) && !is_deliberate(reason);
  };
  if (!is_fault(i)) return {reasons[i], count_of(reasons)};
  Share share{reasons[i], 0};
  std::uint64_t faults = 0;
  bool is_most = true;
  for (std::size_t j = 0; j < reasons.size(); ++j) {
    if (!is_deliberate(static_cast<wire::Reason>(j))) share.answered += reasons[j];
    if (!is_fault(j)) continue;
    faults += reasons[j];
    is_most = is_most && (j <= i ? reasons[j] <= reasons[i] : reasons[j] < reasons[i]);
  }
  if (is_most) share.unexpected = faults;
  return share;
}

}  // namespace

ModelReasons sum_of(const std::vector<const AnswerCounts*>& counts) {
  ModelReasons sums;
  for (const AnswerCounts* of : counts) {
    of->for_each([&](const std::string& tenant, const std::string& model, const Reasons& reasons) {
      Reasons& sum = sums[{tenant, model}];
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += reasons[i];
    });
  }
  return sums;
}

void FallbackWatch::step(const ModelReasons& now) {
  const std::int64_t now_us = clock_.monotonic_us();
  std::vector<wire::FallbackAlert> alerts;
  for (const auto& [model, reasons] : now) {
    const auto [it, is_new] = watched_.try_emplace(model);
    Watched& watched = it->second;
    if (is_new) watched.samples.push_back({now_us, {}});  // it began with nothing since the last look
    watched.samples.push_back({now_us, reasons});
    while (watched.samples.size() > 2 && watched.samples[1].at_us <= now_us - options_.window_us) {
      watched.samples.pop_front();
    }
    look(model, watched, now_us, alerts);
  }
  std::ranges::sort(alerts, std::ranges::greater{}, &wire::FallbackAlert::unexpected);
  const std::lock_guard lock(mutex_);
  alerts_ = std::move(alerts);
}

void FallbackWatch::look(const std::pair<std::string, std::string>& model, Watched& watched, std::int64_t now_us,
                         std::vector<wire::FallbackAlert>& alerts) const {
  Reasons window = watched.samples.back().reasons;
  for (std::size_t i = 0; i < window.size(); ++i) window[i] -= watched.samples.front().reasons[i];
  for (std::size_t i = 0; i < window.size(); ++i) {
    const auto reason = static_cast<wire::Reason>(i);
    if (!is_unexpected(reason)) continue;
    const auto [unexpected, answered] = share_of(i, window);
    const double share = answered == 0 ? 0 : static_cast<double>(unexpected) / static_cast<double>(answered);
    std::int64_t& raised_at_us = watched.raised_at_us[i];
    if (raised_at_us < 0 && share > options_.raised_above && unexpected > options_.and_above) {
      raised_at_us = now_us;
      log::warn("shard", "alert: other nodes or versions answer than should",
                {{"tenant", model.first},  // both empty: models that are not counted one by one
                 {"model", model.second},
                 {"reason", wire::reason_name(reason)},
                 {"unexpected", unexpected},
                 {"answered", answered}});
    } else if (raised_at_us >= 0 && share < options_.ended_below) {
      log::warn("shard", "alert is over",
                {{"tenant", model.first},  // both empty: models that are not counted one by one
                 {"model", model.second},
                 {"reason", wire::reason_name(reason)},
                 {"seconds", (now_us - raised_at_us) / 1'000'000}});
      raised_at_us = -1;
    }
    if (raised_at_us >= 0) {
      alerts.push_back({model.first, model.second, reason, answered, unexpected, now_us - raised_at_us});
    }
  }
}

std::vector<wire::FallbackAlert> FallbackWatch::alerts() const {
  const std::lock_guard lock(mutex_);
  return alerts_;
}

}  // namespace espalier::shard
