// The processes of a cluster on this machine, started in order, watched, started again when one dies, ended together.
//
//   registry, then shards, then routers; ended the other way round, so that nothing asks what has gone already
//   a process that dies is reported and started again, at once first, then after ever longer waits (at most 5 s)
//   a shard that was drained has ended for good
//   a restarted process binds the endpoints it had, so that nobody has to be told
//
// Thread safety: one thread, which must live as long as the processes (they end with it). Ownership: they end with the
// Supervisor. Errors: unavailable or failed_precondition, naming the process or the folder, with the end of its log.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cluster/child.h"
#include "cli/cluster_folder.h"
#include "cli/commands.h"
#include "common/folder_lock.h"
#include "common/signals.h"
#include "common/status.h"

namespace espalier::cli {

class Supervisor {
 public:
  /// `say` is told, in one line each, what starts, dies and ends.
  Supervisor(const UpOptions& options, const StopSignals& stop, std::function<void(std::string_view)> say);
  ~Supervisor();

  /// Makes the folder, takes its lock, starts everything and waits until each has said that it is ready; writes
  /// cluster.json. On failure what had started has been ended.
  Status start();
  /// Returns when a stop was asked for; everything has ended then.
  void run();
  const ClusterFile& cluster() const { return cluster_; }

 private:
  struct Member {
    std::string role, name, program;
    std::vector<std::string> arguments;  ///< without the endpoints
    std::vector<std::string> binds;      ///< wanted first, from the first start on those it got
    std::string metrics;                 ///< HOST:PORT; empty: it tells nobody
    Child child;
    bool running = false;
    bool is_drained = false;          ///< a shard that ended by itself: it stays ended
    std::uint32_t deaths = 0;         ///< since it last ran for a minute
    std::int64_t started_us = 0;      ///< monotonic
    std::int64_t start_again_us = 0;  ///< monotonic
  };

  Status make_folder();
  Status wait_for_predecessor();
  void choose_socket_folder();
  std::vector<std::string> binds_for(const std::string& name, std::uint32_t count) const;
  void plan_registry();
  void add_key(std::vector<std::string>& arguments, const std::string& name) const;
  Status make_keys();
  static std::string shard_name(std::uint32_t number);
  std::string router_name(std::uint32_t number) const;
  void plan_shards(const std::string& registry);
  void plan_routers(const std::string& registry);
  Member& plan(std::string role, std::string name, std::vector<std::string> arguments, std::vector<std::string> binds);
  Status start_member(Member& member);
  Status start_planned(std::size_t from);
  Status write_cluster_file();
  void on_death(Member& member, const std::string& how);
  void start_due_members();
  std::int64_t next_start_us() const;
  void stop_all();
  std::string log_path(const Member& member) const;
  std::string log_tail(const Member& member) const;

  const UpOptions options_;
  const StopSignals& stop_;
  const std::function<void(std::string_view)> say_;
  std::string dir_, socket_folder_;
  bool socket_folder_is_ours_ = false;
  FolderLock lock_;
  std::vector<std::unique_ptr<Member>> members_;
  ClusterFile cluster_;
};

}  // namespace espalier::cli
