// The collections and erasures that are to be done, one after the other, and the last plan of a dry run. One that can't
// go on lets those of other tenants pass: what is wrong with one tenant's records keeps nobody else's.
//
// Thread safety: the registry's control thread. Ownership: borrows records and clock.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "registry/records.h"
#include "registry/space/collection.h"
#include "registry/space/work.h"

namespace espalier::registry {

class Jobs {
 public:
  static constexpr std::size_t kMostWaiting = 64;
  static constexpr std::int64_t kRetryUs = 1'000'000;
  static constexpr std::int64_t kLookAgainUs = 10'000;

  Jobs(Records& records, const Clock& clock, std::size_t work) : records_(records), clock_(clock), work_(work) {}

  /// Takes up what is not finished and not known: of when the process ended.
  Status load();
  /// overloaded: too many are waiting.
  Status check_room() const;
  /// The receipt has been committed, or is a dry run's. An erasure takes the place of all else that is to be done for
  /// its tenant.
  void add(const wire::Receipt& receipt);

  /// A slice of the first one's work. True: something has ended, or can't go on, so that who waits may be told.
  bool step();
  /// When step() has something to do: 0 at once, -1 nothing, else in so many microseconds.
  std::int64_t next_us() const;

  /// One that is not finished, or the last dry run; nothing otherwise.
  const wire::Receipt* find(const std::string& tenant, const Uuid& receipt) const;
  /// A page of the last dry run's plan. REQUIRES: is_plan()
  Result<wire::ReceiptItemsReply> plan(std::string_view cursor) const;
  /// Collections and erasures that are under way or wait for that; why the first one doesn't go on, empty where it
  /// does.
  std::size_t size() const { return jobs_.size(); }
  std::string waits_for() const { return jobs_.empty() ? "" : jobs_.front().waits_for; }
  /// Whether that is the last dry run's, of this tenant.
  bool is_plan(std::string_view tenant, const Uuid& receipt) const {
    return last_plan_ && last_plan_->receipt().tenant == tenant && last_plan_->receipt().receipt == receipt;
  }

 private:
  Records& records_;
  const Clock& clock_;
  const std::size_t work_;
  /// Nothing: of a kind that asks for no work.
  std::unique_ptr<BackgroundWork> work_of(const wire::Receipt& receipt);
  /// Drops the first one if its receipt was never written: the change that asked for it has failed. What it had taken
  /// the place of is taken up again.
  Status check_first();

  struct Job {
    std::unique_ptr<BackgroundWork> work;
    std::string waits_for;  ///< why it doesn't go on
    std::int64_t retry_at_us = 0;
  };
  /// The first one has failed.
  bool put_back(const Status& why);

  std::deque<Job> jobs_;  ///< of one tenant in the order that they were asked for
  bool is_first_checked_ = false;
  std::unique_ptr<BackgroundWork> last_plan_;
  mutable wire::Receipt waiting_;  ///< the last one that was found, with why it doesn't go on
};

}  // namespace espalier::registry
