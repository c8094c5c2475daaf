// What the records of a release say of where it comes from (docs/records.md): data, parameters, times.
//
// Thread safety: pure functions.
#pragma once

#include <string>

#include "common/hash.h"
#include "common/uuid.h"
#include "model/spec.h"
#include "trainer/source.h"
#include "trainer/train.h"

namespace espalier::trainer {

struct Lineage {
  std::string version;  ///< each version's lineage_json: the same for all of a release
  std::string release;  ///< the release's run_json
};

/// What else the registry has of the training; nil and none: nothing.
struct Origin {
  Uuid run;
  Hash256 dataset;
};

/// `read_seconds`: what reading the file took.
Lineage lineage_of(const SourceOptions& options, const Source& source, const model::Spec& spec, const TrainedTree& tree,
                   double read_seconds, const Origin& origin = {});

/// Parameters, as a JSON object: those that the spec gives, and all of them once it is trained.
std::string spec_params_json(const model::Spec& spec);
std::string params_json(const model::Spec& spec, const TrainedTree& tree);
/// "global" for the root's.
std::string level_name(const model::Spec& spec, std::size_t depth);

/// How a tree came out, as a JSON object: rows, nodes, features, penalties, the root's metrics.
std::string tree_summary_json(const model::Spec& spec, const TrainedTree& tree);

/// Sums of the nodes' held-out metrics, for each depth.
std::vector<Metrics> metrics_by_depth(const TrainedTree& tree);

}  // namespace espalier::trainer
