// Until when each shard is held to be there, and what it said of itself last. In memory: a registry that starts gives
// every shard one full lease, and so does one that was itself held up for more than half a lease, so that nobody is
// declared gone because the registry was away (docs/membership.md).
//
// Thread safety: one thread owns it. Times are the monotonic clock's.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cluster/view.h"
#include "common/status.h"
#include "wire/membership_messages.h"

namespace espalier::registry {

class Leases {
 public:
  struct Lease {
    std::int64_t until_us = 0;
    wire::RenewRequest said;
    Uuid process;           ///< whose it is: the last that joined or renewed; nil: nobody said
    bool is_new = false;    ///< it came into the view after the registry's start, and has not renewed yet
    bool is_empty = false;  ///< its process took the place of another, and held nothing then
  };

  explicit Leases(std::int64_t lease_us) : lease_us_(lease_us) {}

  std::int64_t lease_us() const { return lease_us_; }
  /// A full lease from now on, of one that joins; `is_new`: it wasn't in the view.
  void join(const std::string& shard, const Uuid& process, bool is_new, std::int64_t now_us);
  /// failed_precondition: a newer process of the name has the lease.
  Status check_newest(const std::string& shard, const Uuid& process, std::int64_t now_us) const;
  /// Whether the lease is that process's; where either isn't known, it may be.
  bool may_be_of(const std::string& shard, const Uuid& process) const;
  /// True: another process than the one before renews, so what that one acknowledged doesn't count any more.
  /// failed_precondition: a newer process of the name has the lease.
  Result<bool> renew(const wire::RenewRequest& request, std::int64_t now_us);
  /// The present process began with nothing in the place of another.
  bool is_empty(const std::string& shard) const;
  /// The process of a draining shard that leaves the view, until one of its name joins.
  void note_drained(const std::string& shard);
  bool was_drained(const wire::RenewRequest& request) const;
  /// One of which nothing is known yet has it from now on.
  bool holds(const std::string& shard, std::int64_t now_us) {
    return leases_.try_emplace(shard, Lease{now_us + lease_us_, {}}).first->second.until_us > now_us;
  }
  /// What it said when it renewed last; nothing yet: null.
  const wire::RenewRequest* said(const std::string& shard) const;
  /// Only the view's shards are kept in mind.
  void keep(const cluster::View& view);

  /// The thread runs. Where it did not for more than half a lease, everybody has a full one anew.
  void tick(std::int64_t now_us);
  /// When tick() should be called again, or a lease ends: microseconds from now.
  std::int64_t next_us(std::int64_t now_us) const;

 private:
  const std::int64_t lease_us_;
  std::int64_t ticked_us_ = 0;
  bool has_ticked_ = false;
  std::map<std::string, Lease> leases_;
  std::map<std::string, Uuid> drained_;  ///< processes, by name of the shard
};

}  // namespace espalier::registry
