// The checks of `espalier doctor`, each of which adds what it finds. None of them changes anything, but for a small
// file that check_disk() makes and takes away again in each folder.
//
// Thread safety: one thread. Errors: none; what can't be looked at is a finding.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/cluster_folder.h"
#include "cli/commands.h"
#include "cli/doctor/findings.h"
#include "cli/inside/processes.h"
#include "wire/process_status.h"

namespace espalier::cli {

/// What is to be looked at, gathered from the cluster's folder, configuration files and the command line.
struct Patient {
  std::vector<std::string> folders;  ///< of data
  std::vector<std::string> key_files;
  std::vector<std::string> packs;               ///< folders of shards' packs
  std::vector<ClusterProcess> local_processes;  ///< of this host, by their ids
  std::vector<Process> processes;               ///< that there should be
};

/// What a process said of itself; not ok: it doesn't answer, or is older than the question.
struct Heard {
  Result<wire::ProcessReply> reply = unavailable("not asked");
  bool answers = false;       ///< something, be it a refusal
  std::int64_t asked_us = 0;  ///< clock of this host on the wall, when it was asked
  std::int64_t heard_us = 0;  ///< and when it had answered
};

/// Open files, core files, memory maps, of this host and of its processes as far as they may be looked into.
void check_limits(const Patient& patient, const std::vector<Heard>& heard, Findings& findings);
/// This host's clock, and the others' against it.
void check_clock(const Patient& patient, const std::vector<Heard>& heard, Findings& findings);
/// Space, inodes, whether a file can be made, and how long it takes to bring one to the disk.
void check_disk(const Patient& patient, Findings& findings);
void check_versions(const Patient& patient, const std::vector<Heard>& heard, Findings& findings);
/// Each key's file, and what the registry knows of it.
void check_keys(const Patient& patient, const ClusterFile* cluster, const Shared& shared, Findings& findings);
/// Whether somebody answers at each endpoint, and where Prometheus is told.
void check_ports(const Patient& patient, const Shared& shared, const std::vector<Heard>& heard, Findings& findings);

/// From /proc/PID/limits: the soft limit called so, such as "Max open files"; nothing: it isn't there. The largest
/// number stands for unlimited.
std::optional<std::uint64_t> soft_limit(const std::string& text, const std::string& name);

}  // namespace espalier::cli
