#include "metrics/top_series.h"

#include <algorithm>
#include <numeric>

namespace espalier::metrics {
namespace {

using Counts = TopSeries::Counts;

std::uint64_t sum_of(const Counts& counts) { return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}); }

void add(Counts& to, const Counts& more) {
  to.resize(std::max(to.size(), more.size()));
  for (std::size_t i = 0; i < more.size(); ++i) to[i] += more[i];
}

Counts minus(Counts from, const Counts& less) {
  for (std::size_t i = 0; i < less.size(); ++i) from[i] -= less[i];
  return from;
}

}  // namespace

void TopSeries::choose(const std::map<std::string, Counts>& totals) {
  std::vector<std::pair<std::uint64_t, const std::string*>> fastest;  // of those without a series
  for (const auto& [name, counts] : totals) {
    const auto last = seen_.find(name);
    const std::uint64_t growth = sum_of(counts) - (last == seen_.end() ? 0 : sum_of(last->second));
    const auto named = named_.find(name);
    if (named != named_.end()) {
      named->second.growth = growth;
    } else if (growth > 0) {
      fastest.emplace_back(growth, &name);
    }
  }
  std::ranges::stable_sort(fastest, std::ranges::greater{}, [](const auto& entry) { return entry.first; });
  for (const auto& [growth, name] : fastest) {
    if (*name == kOthers) continue;
    if (named_.size() >= most_) {
      const auto slowest = std::ranges::min_element(named_, {}, [](const auto& entry) { return entry.second.growth; });
      if (slowest == named_.end() || growth <= 2 * slowest->second.growth) break;
      named_.erase(slowest);
    }
    // What it had counted before this look is among the others, and stays there.
    const auto last = seen_.find(*name);
    named_[*name] = {last == seen_.end() ? Counts() : last->second, growth};
  }
}

void TopSeries::update(const std::map<std::string, Counts>& totals,
                       const std::function<void(const std::string&, const Counts&)>& visit) {
  for (const auto& [name, counts] : seen_) {
    if (totals.contains(name)) continue;
    add(gone_, counts);
    named_.erase(name);
  }
  choose(totals);
  Counts others = gone_;
  for (const auto& [name, counts] : totals) {
    const auto named = named_.find(name);
    add(others, named == named_.end() ? counts : named->second.before);
    if (named != named_.end()) visit(name, minus(counts, named->second.before));
  }
  if (!others.empty()) visit(kOthers, others);
  seen_ = totals;
}

}  // namespace espalier::metrics
