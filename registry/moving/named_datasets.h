// Which datasets the versions and runs of a model name: `data.dataset` of a version's lineage, `dataset` of a run.
//
// Thread safety: one thread.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "common/hash.h"

namespace espalier::registry {

class NamedDatasets {
 public:
  /// Text that says nothing of a dataset is passed over.
  void see_lineage(std::string_view lineage_json);
  void see(const Hash256& dataset) {
    if (!dataset.is_none()) all_.insert(dataset);
  }
  const std::set<Hash256>& all() const { return all_; }

 private:
  std::set<Hash256> all_;
  std::string last_;  ///< lineage seen last: that of a training's versions is often one
};

}  // namespace espalier::registry
