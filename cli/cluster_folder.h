// The folder of a cluster on this machine: who runs there and where it answers. `espalier up` makes it, every other
// command finds the cluster through it.
//
//   D/cluster.json   endpoints and processes; there while the cluster is up
//   D/metrics.json   where its processes tell Prometheus, in the form of its file_sd_configs; with `up --metrics`
//   D/lock           held by the `espalier up` that runs there
//   D/keys/NAME.key, D/registry, D/shards/NAME, D/routers/NAME, D/run/*.sock, D/log/*.log
//
// Thread safety: values and pure functions. Errors: Status naming the path.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/status.h"

namespace espalier::cli {

struct ClusterProcess {
  std::string role;  ///< "registry", "shard", "router"
  std::string name;
  pid_t pid = 0;
  std::vector<std::string> endpoints;
  std::string metrics;  ///< HOST:PORT that it tells Prometheus at; empty: nowhere
};

struct ClusterFile {
  std::vector<std::string> registry;  ///< endpoints
  std::vector<std::string> router;
  bool insecure = false;  ///< whoever asks may connect where others could listen: whoever runs it has said so
  pid_t up = 0;           ///< of `espalier up`; 0: written by hand, for a cluster that others keep running
  std::vector<ClusterProcess> processes;

  std::string json() const;
  /// Of metrics.json.
  std::string metrics_targets() const;
  static Result<ClusterFile> parse(std::string_view text);
};

/// Reads D/cluster.json. failed_precondition: no cluster runs there, or no folder was named (the message says what to
/// do).
Result<ClusterFile> read_cluster(const std::string& dir);

/// The same for a cluster that runs: waits for one that is starting. failed_precondition, too, when what stands in the
/// file was killed; unavailable: still starting after half a minute.
Result<ClusterFile> running_cluster(const std::string& dir);

/// A path as an absolute one, without asking whether it exists.
Result<std::string> absolute_path(const std::string& path);

}  // namespace espalier::cli
