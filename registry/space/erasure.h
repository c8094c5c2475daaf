// The erasure of a tenant: the replies kept for its changes, the feed's mention of it, its records, its packs, and the
// traces that the store's files keep of what was removed (docs/space.md, "Erasure").
//
// The commit that asks for it has already removed the tenant's models and marked its name: from then on it can't be
// reached. A dry run goes the same way and only counts. Thread safety: as BackgroundWork. Ownership: borrows the
// records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "registry/records.h"
#include "registry/space/work.h"

namespace espalier::registry {

/// Whether the tenant has any record beside receipts and the mark of its erasure.
Result<bool> has_anything(Store& store, const std::string& tenant);
/// Into the batch that begins an erasure: the mark, the removal of all models (counted in the receipt), the change that
/// tells of it.
Status prepare_erasure(Records& records, wire::Receipt& receipt, Batch& batch);
/// What is left of an erased tenant, a page.
Result<wire::VerifyErasureReply> look_for_remains(Records& records, const wire::Receipt& receipt,
                                                  std::string_view cursor, std::size_t work);

class Erasure final : public BackgroundWork {
 public:
  /// Begins, or takes up again, what the receipt says. `work`: records looked at in one slice.
  Erasure(Records& records, wire::Receipt receipt, std::size_t work);

  Result<bool> step() override;
  bool is_waiting() const override { return phase_ == Phase::traces; }
  const wire::Receipt& receipt() const override { return receipt_; }
  /// A dry run counts, and names nothing.
  const std::vector<wire::ReceiptItem>& plan() const override { return plan_; }

 private:
  enum class Phase { rules, replies, feed, audit, artefacts, records, packs, traces, finish, done };
  struct Slice;

  Status step_phase();
  Status note_rules();
  Status remove_replies();
  Status blank_feed();
  Status blank_audit();
  Status remove_artefacts();
  Status remove_records();
  Status finish();
  /// Whether the reply was to a change of the tenant, committed at that time.
  Result<bool> is_of_tenant(std::int64_t time_us, std::string_view reply);
  /// Whether a record whose key begins with the tenant stays.
  bool stays(std::string_view key) const;
  void enter(Phase phase, std::string at);
  Result<Slice> begin(std::size_t work);
  /// Commits what the slice changed with the receipt as it then is. In `to` next, where `prefix` has no more records.
  Status end(Slice& slice, const std::string& prefix, Phase to);

  Records& records_;
  wire::Receipt receipt_;
  const std::size_t work_;
  Phase phase_ = Phase::rules;
  std::string at_;         ///< the next key to be looked at
  std::size_t table_ = 0;  ///< of the tables that remove_records() goes through
  const std::vector<wire::ReceiptItem> plan_;
  std::set<std::uint64_t> rule_epochs_;  ///< in which the tenant's retention rules were set
};

}  // namespace espalier::registry
