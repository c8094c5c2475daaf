#include "shard/fallback_watch.h"

#include <algorithm>

#include "common/log.h"

namespace espalier::shard {
namespace {

std::string name_of(const std::pair<std::string, std::string>& model) {
  return model.first.empty() ? "other models" : model.first + "/" + model.second;
}

wire::Reason most_unexpected(const Reasons& reasons) {
  std::size_t most = 0;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (!is_unexpected(static_cast<wire::Reason>(i))) continue;
    if (!is_unexpected(static_cast<wire::Reason>(most)) || reasons[i] > reasons[most]) most = i;
  }
  return static_cast<wire::Reason>(most);
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
  const std::uint64_t answered = count_of(window);
  const std::uint64_t unexpected = unexpected_of(window);
  const double share = answered == 0 ? 0 : static_cast<double>(unexpected) / static_cast<double>(answered);
  const wire::Reason reason = most_unexpected(window);
  const bool was_raised = watched.raised_at_us >= 0;
  if (!was_raised && share > options_.raised_above && unexpected > options_.and_above) {
    watched.raised_at_us = now_us;
    log::warn("shard", "alert: other nodes or versions answer than should",
              {{"model", name_of(model)},
               {"reason", wire::reason_name(reason)},
               {"unexpected", unexpected},
               {"answered", answered}});
  } else if (was_raised && share < options_.ended_below) {
    log::warn("shard", "alert is over",
              {{"model", name_of(model)}, {"seconds", (now_us - watched.raised_at_us) / 1'000'000}});
    watched.raised_at_us = -1;
  }
  if (watched.raised_at_us < 0) return;
  alerts.push_back({model.first, model.second, reason, answered, unexpected, now_us - watched.raised_at_us});
}

std::vector<wire::FallbackAlert> FallbackWatch::alerts() const {
  const std::lock_guard lock(mutex_);
  return alerts_;
}

}  // namespace espalier::shard
