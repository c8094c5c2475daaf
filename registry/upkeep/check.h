// Every invariant of a registry, looked at in slices over one snapshot. docs/upkeep.md says what has to hold.
//
// One pass a table, in an order in which what is named is looked at before what names it: so a missing record is found
// under its own key first. Each pass takes one record at a time.
//
// Thread safety: as the Store. Ownership: borrows the records and keeps two cursors: it must not outlive the Store.
// Memory: some 50 bytes for each epoch, each model's commit and each entry of table Y, and the findings. Errors: what a
// check finds is no error; unavailable: the store was opened anew meanwhile, and the snapshot is gone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/clock.h"
#include "registry/records.h"
#include "registry/upkeep/findings.h"

namespace espalier::registry::upkeep {

struct CheckCounts {
  std::uint64_t epoch = 0;        ///< the newest commit that is looked at
  std::uint64_t records = 0;      ///< looked at
  std::uint64_t artefacts = 0;    ///< whose bytes were hashed
  std::uint64_t passed_over = 0;  ///< entries of X whose record is gone, and artefacts without a record
};

struct CheckState;

class Check {
 public:
  /// The snapshot is the state now. `with_mends`: for a repair.
  static Result<std::unique_ptr<Check>> start(Records& records, bool with_mends = false);
  ~Check();

  /// Goes on for about `slice_us`; at least one record.
  Status step(const Clock& clock, std::int64_t slice_us);
  Status run_to_the_end(const Clock& clock);
  bool is_done() const { return pass_ == passes(); }
  const CheckCounts& counts() const;
  Findings& findings();

 private:
  explicit Check(std::unique_ptr<CheckState> state);
  static std::size_t passes();
  /// One record of the pass, or its end.
  void advance();

  std::unique_ptr<CheckState> state_;
  std::size_t pass_ = 0;
  bool begun_ = false;      ///< the pass
  bool is_ending_ = false;  ///< it has no more records
};

}  // namespace espalier::registry::upkeep
