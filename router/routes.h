// What a router knows of the cluster: the view with its placement, and how deep each model's tree is. A snapshot,
// replaced whole.
//
// Thread safety: immutable once published (LivePointer<Routes>); the control thread builds and destroys, the router's
// thread reads under a lease.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/placement.h"
#include "cluster/view.h"
#include "common/live_pointer.h"
#include "common/snapshot_map.h"

namespace espalier::router {

/// A model as far as a router has to know it.
struct ModelShape {
  std::string key;           ///< model::model_key
  std::uint32_t levels = 0;  ///< below the root
};

struct Routes {
  explicit Routes(cluster::View of) : view(std::move(of)), placement(view) {}

  std::uint64_t number = 0;  ///< of this snapshot, ascending; 0: nothing is known yet
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;
  cluster::View view;
  cluster::Placement placement;
  SnapshotMap<ModelShape> models;
};

using LiveRoutes = LivePointer<Routes>;

}  // namespace espalier::router
