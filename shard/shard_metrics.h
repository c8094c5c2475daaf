// What a shard tells Prometheus (docs/metrics.md): the same counts as its status, by tenant instead of by worst model.
//
// Thread safety: fill() from any thread, one at a time. Ownership: borrows the status and the table.
#pragma once

#include "metrics/page.h"
#include "metrics/top_series.h"
#include "shard/model_table.h"
#include "shard/shard_status.h"

namespace espalier::shard {

class ShardMetrics {
 public:
  /// So many tenants have series of their own.
  static constexpr std::size_t kTenants = 50;

  ShardMetrics(const ShardStatus& status, LiveTable& live) : status_(status), reader_(live), tenants_(kTenants) {}

  void fill(metrics::Page& page);

 private:
  void add_answers(metrics::Page& page);

  const ShardStatus& status_;
  LiveTable::Reader reader_;
  metrics::TopSeries tenants_;
};

}  // namespace espalier::shard
