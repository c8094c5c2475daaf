#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "shard/feed.h"

namespace espalier::shard {

/// Nodes whose artefact is damaged answer no more, and have it fetched anew (docs/damage.md).
void Feed::mend_damage() {
  if (!damage_.take()) return;
  const std::set<Hash256> damaged = discard_damaged();
  if (damaged.empty()) return;  // the table has let go of it meanwhile
  TableEdit edit(live_.current());
  const Batch nothing;
  each_node(live_.current(), [&](const Model& model, const Tag& tag, const Node& node) {
    give_way();
    const bool is_wanted = node.wanted.servable != nullptr && damaged.contains(node.wanted.artefact);
    const bool is_previous = node.previous.servable != nullptr && damaged.contains(node.previous.artefact);
    if (!is_wanted && !is_previous) return;
    auto next = std::make_shared<Node>(node);
    if (is_previous) next->previous = {};
    if (is_wanted) {
      next->wanted.servable = nullptr;
      next->not_ready = wire::Reason::corrupt;
      const NodeId id{model.key, tag.name, node.key};
      note_failure(
          id, {model.tenant, entry_of(node)}, *record_of(model.key, nothing),
          corrupt("artefact " + node.wanted.artefact.hex() + ": its bytes have changed since it was admitted"));
      failed_.at(id).retry_at_us = clock_.monotonic_us();
    }
    edit.set_node(model.key, tag.name, std::move(next));
  });
  publish(edit.finish(live_.current().generation, live_.current().epoch));
  set_acknowledgement();
}

/// The hashes of what is damaged; the nodes of every model that name them are concerned.
std::set<Hash256> Feed::discard_damaged() {
  std::set<Hash256> damaged;
  each_node(live_.current(), [&](const Model&, const Tag&, const Node& node) {
    give_way();
    for (const Answer* answer : {&node.wanted, &node.previous}) {
      if (answer->is_damaged()) damaged.insert(answer->artefact);
    }
  });
  if (damaged.empty()) return damaged;
  log::error("shard", "artefacts are damaged, fetching them anew", {{"artefacts", damaged.size()}});
  const Status discarded = admission_.discard(damaged);
  if (!discarded.ok()) log::warn("shard", "the damaged segment can't be closed", {{"why", discarded}});
  return damaged;
}

}  // namespace espalier::shard
