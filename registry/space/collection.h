// One collection: what it gives up, in the order that makes a kill at any moment safe (docs/space.md, "How a collection
// goes").
//
// Thread safety: as BackgroundWork. Ownership: borrows the records.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "registry/space/marks.h"
#include "registry/space/work.h"

namespace espalier::registry {

class Collection final : public BackgroundWork {
 public:
  /// Begins, or takes up again, what the receipt says. `work`: records looked at in one slice.
  Collection(Records& records, wire::Receipt receipt, std::size_t work);

  Result<bool> step() override;
  const wire::Receipt& receipt() const override { return receipt_; }
  const std::vector<wire::ReceiptItem>& plan() const override { return plan_; }

 private:
  enum class Phase { mark, versions, artefacts, unrecorded, bytes, finish, done };

  Status step_phase();
  /// Takes it up as the next start would.
  void mark_anew();
  Status collect_versions();
  Status collect_artefacts();
  Status forget_unrecorded();
  Status finish();
  Status make_plan();
  Result<wire::ReceiptItem> item_of(const DoomedVersion& version) const;
  /// The next few of `doomed` from `place` on that nothing keeps.
  template <class Doomed>
  std::vector<const Doomed*> next_doomed(const std::vector<Doomed>& doomed, std::size_t& place) const;

  Records& records_;
  wire::Receipt receipt_;
  const std::size_t work_;
  Phase phase_ = Phase::mark;
  std::unique_ptr<Marks> marks_;  ///< until it is finished
  std::size_t place_ = 0;         ///< in marks_->versions() or artefacts()
  std::vector<Hash256> unrecorded_;
  std::vector<wire::ReceiptItem> plan_;
};

}  // namespace espalier::registry
