// The processes of the cluster that the command line names, and a question to each of them.
//
// Thread safety: one thread. Errors: failed_precondition where no cluster runs; of a process its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/cluster_folder.h"
#include "cli/commands.h"
#include "client/exchange.h"
#include "common/status.h"

namespace espalier::cli {

struct Process {
  std::string role;  ///< registry, router, shard
  std::string name;  ///< of a router that the cluster's file doesn't name: its endpoint
  std::vector<std::string> endpoints;
};

/// Registry, routers, shards. Shards are those of the view; where the registry doesn't answer, those that the cluster's
/// file names, and `why_not_all` says so.
Result<std::vector<Process>> processes_of(const Shared& shared, const ClusterFile& cluster, Status& why_not_all);

/// What the command line says, and the cluster's file of how its processes may be asked.
Shared asking(const Shared& shared, const ClusterFile& cluster);

/// Asks all at once; the answers in the same order.
Result<std::vector<client::Answer>> ask_all(const Shared& shared, const std::vector<Process>& processes,
                                            const std::string& header, std::int64_t patience_us);

}  // namespace espalier::cli
