// The search over the registry's records: tenants, models, nodes, versions, releases, runs, datasets. docs/search.md
// has the language. As messages.h: twin of docs/wire-protocol.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/messages.h"

namespace espalier::wire {

/// One page of what passes `where`, in `order`, as of `epoch`, or as of the last change at or before `time_us` (both 0:
/// now). The next page carries the cursor, and the same kind, tenant, model, where and order.
struct SearchRequest {
  std::string kind;           ///< "versions", "releases", "nodes", "models", "tenants", "runs", "datasets"
  std::string tenant, model;  ///< empty: all; a model needs its tenant
  std::string where, order;
  std::uint64_t epoch = 0;
  std::int64_t time_us = 0;
  std::string cursor;
  std::uint32_t limit = 256;
  static constexpr std::string_view op = "search";
};
struct SearchRow {
  std::string tenant, model;
  std::string record;  ///< msgpack of the kind's record: VersionRecord, ReleaseRecord, NodeRecord, ModelRecord,
                       ///< TenantRecord, RunRecord, DatasetRecord
};
/// A page with few rows, or none, isn't the end: an empty cursor is.
struct SearchReply {
  std::uint64_t generation = 0, epoch = 0;
  std::vector<SearchRow> rows;
  std::string cursor;
};

/// A partition that has versions.
struct NodeRecord {
  std::vector<std::string> partition;
  std::string level;
  std::uint64_t versions = 0;
  Uuid version;  ///< the newest
  std::int64_t created_us = 0;
  std::uint64_t epoch = 0;  ///< of the newest
};
struct TenantRecord {
  std::string tenant;
  std::uint64_t models = 0;
};

}  // namespace espalier::wire
