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
#include "wire/membership_messages.h"

namespace espalier::registry {

class Leases {
 public:
  struct Lease {
    std::int64_t until_us = 0;
    wire::RenewRequest said;
  };

  explicit Leases(std::int64_t lease_us) : lease_us_(lease_us) {}

  std::int64_t lease_us() const { return lease_us_; }
  /// A full lease from now on.
  void renew(const std::string& shard, std::int64_t now_us) { leases_[shard].until_us = now_us + lease_us_; }
  void renew(const wire::RenewRequest& request, std::int64_t now_us) {
    leases_[request.shard] = {now_us + lease_us_, request};
  }
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
};

}  // namespace espalier::registry
