#include "cli/status/traffic.h"

#include <algorithm>
#include <tuple>

namespace espalier::cli {
namespace {

constexpr const char* kOthers = "(others)";

std::string name_of(const wire::TrafficReply& reply, const wire::TrafficRow& row, By by) {
  switch (by) {
    case By::tenant: return row.tenant.empty() ? kOthers : row.tenant;
    case By::model: return row.tenant.empty() ? kOthers : row.tenant + "/" + row.model;
    case By::shard: return reply.name;
    case By::version: return row.version.is_nil() ? kOthers : row.version.text() + " " + row.tenant + "/" + row.model;
  }
  return "";
}

/// Sums of what came in between.
struct Sum {
  double rate = 0;
  std::uint64_t requests = 0, failed = 0, answered = 0, unexpected = 0;
  metrics::DurationCounts took;
};

std::uint64_t growth(std::uint64_t now, std::uint64_t before) { return now - std::min(now, before); }

void add(Sum& sum, const wire::TrafficRow& row, const wire::TrafficRow& before, double seconds) {
  const std::uint64_t requests = growth(row.requests, before.requests);
  sum.requests += requests;
  sum.rate += static_cast<double>(requests) / seconds;
  sum.failed += growth(row.failed, before.failed);
  sum.answered += growth(row.answered, before.answered);
  sum.unexpected += growth(row.unexpected, before.unexpected);
  metrics::DurationCounts took, took_before;
  took.buckets = row.took;
  took_before.buckets = before.took;
  took.buckets.resize(std::min(took.buckets.size(), metrics::Durations::kBuckets));
  sum.took += took.since(took_before);
}

double share(std::uint64_t part, std::uint64_t all) {
  return all == 0 ? 0 : std::min(1.0, static_cast<double>(part) / static_cast<double>(all));
}

void order(std::vector<Traffic>& rows, Sort sort) {
  const auto key = [&](const Traffic& row) {
    switch (sort) {
      case Sort::rate: return row.rate;
      case Sort::p50: return static_cast<double>(row.p50_us);
      case Sort::p99: return static_cast<double>(row.p99_us);
      case Sort::fallback: return row.fallback;
      case Sort::errors: return row.failed;
      case Sort::name: return 0.0;
    }
    return 0.0;
  };
  std::ranges::sort(rows, [&](const Traffic& a, const Traffic& b) {
    return std::tuple(-key(a), -a.rate * (sort == Sort::name ? 0 : 1), a.name) <
           std::tuple(-key(b), -b.rate * (sort == Sort::name ? 0 : 1), b.name);
  });
}

}  // namespace

std::vector<Traffic> traffic_between(const Look& before, const Look& now, By by, Sort sort) {
  std::map<std::string, Sum> sums;
  for (const auto& [process, reply] : now) {
    const auto earlier = before.find(process);
    if (earlier == before.end() || reply.running_us <= earlier->second.running_us) continue;
    const double seconds = static_cast<double>(reply.running_us - earlier->second.running_us) / 1e6;
    std::map<std::tuple<std::string, std::string, Uuid>, const wire::TrafficRow*> known;
    for (const wire::TrafficRow& row : earlier->second.rows) known[{row.tenant, row.model, row.version}] = &row;
    for (const wire::TrafficRow& row : reply.rows) {
      const auto same = known.find({row.tenant, row.model, row.version});
      add(sums[name_of(reply, row, by)], row, same == known.end() ? wire::TrafficRow() : *same->second, seconds);
    }
  }
  std::vector<Traffic> rows;
  for (const auto& [name, sum] : sums) {
    if (sum.requests == 0) continue;
    rows.push_back({name, sum.rate, share(sum.failed, sum.requests), share(sum.unexpected, sum.answered),
                    sum.took.percentile(0.5), sum.took.percentile(0.99)});
  }
  order(rows, sort);
  return rows;
}

}  // namespace espalier::cli
