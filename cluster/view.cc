#include "cluster/view.h"

namespace espalier::cluster {

std::string_view shard_state_name(ShardState state) {
  switch (state) {
    case ShardState::serving: return "serving";
    case ShardState::joining: return "joining";
    case ShardState::draining: return "draining";
    case ShardState::gone: return "gone";
  }
  return "?";
}

}  // namespace espalier::cluster
