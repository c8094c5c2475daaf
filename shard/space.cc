#include "shard/space.h"

#include <algorithm>
#include <memory>
#include <unordered_set>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "shard/table_edit.h"

namespace espalier::shard {
namespace {

/// Hashing and syncing it takes some milliseconds.
constexpr std::uint64_t kCompactedAtOnce = 1u << 20;
/// Opening one takes some ten microseconds; the new table's list of nodes a few milliseconds more in a large model.
constexpr std::size_t kReopenedAtOnce = 500;

}  // namespace

void Space::purge(const ModelTable& table) {
  look(table, 0);
  is_purging_ = model::has_dead(pack_.segments());
  // What was moved before is still to be opened where it is now.
  if (!is_purging_ && moved_.empty()) phase_ = Phase::look;
}

bool Space::is_due() const {
  return clock_.monotonic_us() >= look_at_us_ && (has_changed_ || !unused_since_us_.empty());
}

Result<bool> Space::step(LiveTable& live) {
  switch (phase_) {
    case Phase::look:
      if (!is_due()) return false;
      look(live.current(), options_.keep_unused_us);
      return true;
    case Phase::compact: RETURN_IF_ERROR(compact(live.current())); return true;
    case Phase::reopen:
      reopen_some(live);
      if (!moved_.empty()) return true;
      admission_.drop_stale();
      phase_ = Phase::compact;
      if (is_compacted_) finish();
      return !is_compacted_;
  }
  return false;
}

void Space::look(const ModelTable& table, std::int64_t keep_us) {
  has_changed_ = false;
  look_at_us_ = clock_.monotonic_us() + options_.look_every_us;
  bytes_before_ = pack_.disk_bytes();
  forget_unused(table, keep_us);
  phase_ = Phase::compact;
}

void Space::forget_unused(const ModelTable& table, const std::unordered_set<Hash256>& also) {
  forget_unused(table, 0, also);
}

void Space::forget_unused(const ModelTable& table, std::int64_t keep_us, std::unordered_set<Hash256> used) {
  each_node(table, [&](const Model&, const Tag&, const Node& node) {
    give_way();
    for (const Answer* answer : {&node.wanted, &node.previous}) {
      if (!answer->artefact.is_none()) used.insert(answer->artefact);
    }
  });
  const std::int64_t now = clock_.monotonic_us();
  std::unordered_map<Hash256, std::int64_t> since;
  for (const Hash256& hash : pack_.hashes()) {
    give_way();
    if (used.contains(hash)) continue;
    const auto known = unused_since_us_.find(hash);
    const std::int64_t from = known == unused_since_us_.end() ? now : known->second;
    if (now - from >= keep_us) {
      pack_.forget(hash);
    } else {
      since.emplace(hash, from);
    }
  }
  unused_since_us_ = std::move(since);
  admission_.drop_stale();
}

Status Space::compact(const ModelTable& table) {
  const auto how = is_purging_ ? model::Thoroughness::all : model::Thoroughness::worthwhile;
  const std::uint64_t before = pack_.disk_bytes();
  ASSIGN_OR_RETURN(const bool more, compaction_.step(kCompactedAtOnce, how));
  const std::uint64_t after = pack_.disk_bytes();
  bytes_removed_ += before > after ? before - after : 0;
  is_compacted_ = !more;
  if (compaction_.left_alone() > std::exchange(left_alone_, compaction_.left_alone())) report_damaged(table);
  if (more && bytes_removed_ < options_.most_held_back) return {};
  bytes_removed_ = 0;
  find_moved(table);
  phase_ = Phase::reopen;
  return {};
}

Result<bool> Space::free_segment(LiveTable& live) {
  if (pack_.live_bytes() >= vain_live_bytes_) return false;
  const std::uint64_t before = pack_.disk_bytes();
  const auto at_first = pack_.segments();
  // What was copied is not copied again: where artefacts are large, their files never get full.
  const std::uint32_t newest = at_first.empty() ? 0 : at_first.back().number;
  bool has_moved = false;
  while (pack_.disk_bytes() >= before) {
    const auto next = model::choose_segment(pack_.segments(), model::Thoroughness::tight, {});
    if (next && *next > newest) break;
    ASSIGN_OR_RETURN(const bool more, compaction_.step(kCompactedAtOnce, model::Thoroughness::tight));
    give_way();
    if (!more) break;
    has_moved = true;
  }
  vain_live_bytes_ = pack_.disk_bytes() < before ? ~std::uint64_t{0} : pack_.live_bytes();
  if (!has_moved) return false;
  find_moved(live.current());
  while (!moved_.empty()) reopen_some(live);
  admission_.drop_stale();
  live.collect();
  return pack_.disk_bytes() < before;
}

/// A segment holds damage that the compaction has met: it won't wait for the scrub.
void Space::report_damaged(const ModelTable& table) {
  each_node(table, [&](const Model&, const Tag&, const Node& node) {
    give_way();
    for (const Answer* answer : {&node.wanted, &node.previous}) {
      if (answer->is_ready() && !answer->servable->is_intact()) damage_.report(*answer->servable);
    }
  });
}

void Space::find_moved(const ModelTable& table) {
  moved_.clear();
  each_node(table, [&](const Model& model, const Tag& tag, const Node& node) {
    give_way();
    const auto has_moved = [&](const Answer& answer) {
      return answer.is_ready() && !admission_.is_current(answer.artefact, *answer.servable);
    };
    if (has_moved(node.wanted) || has_moved(node.previous)) moved_.push_back({model.key, tag.name, node.key});
  });
}

void Space::reopen_some(LiveTable& live) {
  TableEdit edit(live.current());
  bool has_edited = false;
  for (std::size_t i = 0; i < kReopenedAtOnce && !moved_.empty(); ++i, moved_.pop_back()) {
    give_way();
    const Moved& place = moved_.back();
    // The table may be another by now.
    const Model* const model = live.current().models.find(place.model_key);
    const Node* const node = model == nullptr ? nullptr : edit.find_node(place.model_key, place.tag, place.node_key);
    if (node == nullptr) continue;
    auto next = std::make_shared<Node>(*node);
    bool has_moved = false;
    for (Answer* answer : {&next->wanted, &next->previous}) {
      if (!answer->is_ready() || admission_.is_current(answer->artefact, *answer->servable)) continue;
      auto servable = admission_.admit(model->key, model->inputs->fields(), answer->artefact);
      if (!servable.ok()) {
        // Forgotten because it is damaged, or damaged where it was copied to: fetched anew.
        log::warn("shard", "a moved artefact can't be opened",
                  {{"artefact", answer->artefact.hex()}, {"why", servable.status()}});
        damage_.report(*answer->servable);
        continue;
      }
      answer->servable = *std::move(servable);
      has_moved = true;
    }
    if (!has_moved) continue;
    edit.set_node(model->key, place.tag, std::move(next));
    has_edited = true;
  }
  if (has_edited) live.publish(edit.finish(live.current().generation, live.current().epoch));
}

void Space::finish() {
  phase_ = Phase::look;
  const std::uint64_t after = pack_.disk_bytes();
  if (is_purging_ || after < bytes_before_) {
    log::info("shard", "space given back",
              {{"disk_before", bytes_before_}, {"disk_after", after}, {"thorough", is_purging_}});
  }
  is_purging_ = false;
}

}  // namespace espalier::shard
