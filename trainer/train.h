// From a tenant's rows to the artefacts of all nodes of its tree (docs/training.md).
//
// Thread safety: train_tree() from any thread, each with a pool of its own. The same rows, spec and seed give the same
// bytes, whatever the number of threads.
// Errors: invalid_argument naming file, line and column of a target or level that can't be used.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "common/thread_pool.h"
#include "model/ids.h"
#include "model/spec.h"
#include "trainer/metrics.h"
#include "trainer/source.h"

namespace espalier::trainer {

/// Metrics by column, then by value.
using Slices = std::map<std::string, std::map<std::string, Metrics>>;

struct TrainedNode {
  model::Partition partition;
  std::uint32_t parent = 0;  ///< index of the nearest ancestor among the nodes; the root's is 0
  std::uint64_t rows = 0;
  double l2 = 0;
  Metrics held_out;  ///< of the node, fitted without its held-out rows, on those
  Slices slices;     ///< the same by the values of the spec's slices; empty where it has none
  std::string artefact;
  Hash256 hash;
};

struct StageSeconds {
  double features = 0;
  double choose = 0;
  double fit = 0;
};

struct TrainedTree {
  std::string tenant;
  std::vector<model::Field> inputs;  ///< that the feature program reads
  std::vector<TrainedNode> nodes;    ///< the root first
  Metrics held_out;                  ///< of the whole tree: each held-out row answered by its deepest node
  std::vector<double> l2;            ///< chosen, for each depth
  double kept_share = 1;             ///< of the weights, where a model of many classes was made small
  std::uint64_t rows = 0;
  std::uint64_t features = 0;
  StageSeconds seconds;
};

/// The held-out metrics of a node as its record has them: those of Metrics::json(), and `slices`.
std::string metrics_json(const TrainedNode& node, model::Task task);

/// Called from any thread with the number of nodes done of all.
using NodeProgress = std::function<void(std::size_t done, std::size_t of)>;

Result<TrainedTree> train_tree(const model::Spec& spec, const model::FeatureSet& features, const Source& source,
                               const TenantRows& tenant, ThreadPool& pool, const NodeProgress& progress);

}  // namespace espalier::trainer
