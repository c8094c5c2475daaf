// Work of the registry beside its requests: what takes long is done in slices on the control thread, whenever that has
// nothing to answer (docs/space.md).
//
// Thread safety: the registry's control thread.
#pragma once

#include <vector>

#include "common/status.h"
#include "wire/space_messages.h"

namespace espalier::registry {

class BackgroundWork {
 public:
  virtual ~BackgroundWork() = default;
  /// One slice: at most about 20 ms, and at most one commit. False: it is finished. After a failure the next step tries
  /// the same slice again.
  virtual Result<bool> step() = 0;
  /// Whether the next step only looks whether something elsewhere is done.
  virtual bool is_waiting() const { return false; }
  /// How far it is.
  virtual const wire::Receipt& receipt() const = 0;
  /// Of a dry run that is finished: what would go, where it names that.
  virtual const std::vector<wire::ReceiptItem>& plan() const = 0;
};

}  // namespace espalier::registry
