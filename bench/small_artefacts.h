// Artefacts of a regression on one number, `age`, for measurements that need many that differ.
//
// Thread safety: one thread. Errors: what can't be built ends the process.
#pragma once

#include <string>

#include "model/artefact.h"

namespace espalier {

class SmallArtefacts {
 public:
  SmallArtefacts();
  /// About 0.7 KB; each bias gives other bytes.
  std::string with_bias(float bias);

 private:
  model::ArtefactContents contents_;
};

}  // namespace espalier
