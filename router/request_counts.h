// What a router answered, for its metrics and status: requests by tenant and code, how long they took, parts by why and
// how far above the node asked for they were answered (docs/metrics.md). Every message of a client that is a
// prediction, or can't be read, is counted once, with the code of the reply that it got.
//
// Tenants that have models are counted one by one up to a limit, in the order in which they first ask, all others
// together: who makes names up takes no memory.
//
// Thread safety: the router's thread counts; the rest from any thread. Ownership: keeps the tenants' names.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "metrics/tally.h"
#include "wire/messages.h"
#include "wire/reply_peek.h"

namespace espalier::router {

inline constexpr std::size_t kCodes = static_cast<std::size_t>(Code::internal) + 1;
inline constexpr std::size_t kReasons = static_cast<std::size_t>(wire::Reason::removed) + 1;
/// From none to as many levels as a partition may have.
inline constexpr std::size_t kLevelsAbove = 9;

struct TenantCounts {
  std::string tenant;                             ///< empty: of all that have no place of their own
  std::array<metrics::Tally, kCodes> requests;    ///< by the reply's code
  std::array<metrics::Tally, kReasons> answered;  ///< parts
  metrics::Tally failed;                          ///< parts that have an error, of replies that are ok as a whole
  metrics::Durations took;                        ///< of requests that were taken in: until the reply was handed over
};

class RequestCounts {
 public:
  static constexpr std::size_t kTenants = 1024;

  RequestCounts() = default;
  ~RequestCounts();
  RequestCounts(const RequestCounts&) = delete;
  RequestCounts& operator=(const RequestCounts&) = delete;

  /// The tenant's; the rest's once there are too many. Stays where it is.
  TenantCounts& of(std::string_view tenant);
  TenantCounts& rest() { return rest_; }

  /// A request was answered with this reply. `began_us`, `now_us`: when it was taken in, and now; 0: it wasn't.
  void answered(TenantCounts& tenant, std::string_view reply, std::int64_t began_us, std::int64_t now_us);
  /// The same without any part.
  void failed(TenantCounts& tenant, Code code, std::int64_t began_us, std::int64_t now_us);

  /// A shard's reply that no client got: the request was over, or another shard answered better.
  void unused(std::string_view reply);

  /// visit(const TenantCounts&) for each, the rest's last.
  template <class Visit>
  void for_each(const Visit& visit) const {
    const std::size_t taken = taken_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < taken; ++i) visit(*places_[i]);
    visit(rest_);
  }
  /// Parts by levels above the node asked for and reason.
  std::uint64_t parts(std::size_t levels_above, std::size_t reason) const {
    return parts_[levels_above][reason].value();
  }
  /// The same of what no client got.
  std::uint64_t parts_unused(std::size_t levels_above, std::size_t reason) const {
    return parts_unused_[levels_above][reason].value();
  }
  /// Parts that had an error, by its code, of replies that are ok as a whole.
  std::uint64_t parts_failed(std::size_t code) const { return parts_failed_[code].value(); }
  std::uint64_t parts_unused_failed(std::size_t code) const { return parts_unused_failed_[code].value(); }

 private:
  std::array<std::unique_ptr<TenantCounts>, kTenants> places_;  ///< the first taken_ never change
  std::atomic<std::size_t> taken_{0};
  std::unordered_map<std::string_view, TenantCounts*> by_name_;  ///< the router's
  TenantCounts rest_;
  std::array<std::array<metrics::Tally, kReasons>, kLevelsAbove> parts_, parts_unused_;
  std::array<metrics::Tally, kCodes> parts_failed_, parts_unused_failed_;
  std::vector<wire::PartPeek> peeked_;  ///< reused
};

}  // namespace espalier::router
