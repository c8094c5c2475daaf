// What a shard answers from: for each model and tag the nodes, what each wants, and what is ready to answer there.
// Here a publish's way (feed, admission, swap) meets a prediction's way (worker, fallback, predict).
//
// Thread safety: a ModelTable and everything reachable from it never changes after it was published. The control thread
// builds the next table (sharing with the current one all that stays as it is), publishes it through a LivePointer, and
// is the only one that copies or destroys tables, maps and shared_ptrs. A worker takes one lease for a request and
// follows plain pointers while it holds it: no lock, no reference count; whatever it reached stays valid until the
// lease ends, however many releases are swapped in meanwhile. Every part of the request is answered from that one
// table, so a part never mixes two releases. A replaced table is destroyed by the control thread once no lease names
// it. Ownership: tables share their artefacts with each other and with Admission, which keeps the latest; each
// holds the segment of the shard's pack that its bytes lie in, whatever becomes of the pack meanwhile.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/hash.h"
#include "common/live_pointer.h"
#include "common/lost_pages.h"
#include "common/snapshot_map.h"
#include "common/uuid.h"
#include "model/artefact.h"
#include "model/value.h"
#include "shard/budget.h"
#include "wire/messages.h"
#include "wire/row_codec.h"

namespace espalier {
class Mapping;
}

namespace espalier::shard {

/// An admitted artefact: hash verified, opened, probes replayed. Never changes, but for the mark that its bytes have
/// (docs/damage.md); that may be set by any thread.
class Servable {
 public:
  /// The artefact's bytes, of which `checksum` is the XXH3 and which were found to be right after it was taken.
  struct Bytes {
    std::string_view bytes;
    std::uint64_t checksum = 0;
    std::uint64_t lost_pages = 0;  ///< before it was taken
    explicit Bytes(std::string_view of) : bytes(of), lost_pages(espalier::lost_pages()) { checksum = xxh3_64(of); }
  };
  Servable(const Bytes& bytes, model::Artefact opened, std::vector<std::uint32_t> places,
           std::shared_ptr<const Mapping> held)
      : artefact(std::move(opened)),
        fields(std::move(places)),
        segment(std::move(held)),
        bytes_(bytes.bytes),
        checksum_(bytes.checksum),
        intact_at_loss_(bytes.lost_pages) {}

  const model::Artefact artefact;
  /// For each input of the artefact's program the place of its field in the model's input schema. Schemas only grow at
  /// the end, so the places hold for every later one.
  const std::vector<std::uint32_t> fields;
  const std::shared_ptr<const Mapping> segment;  ///< that the artefact's bytes lie in

  std::string_view bytes() const { return bytes_; }
  /// Whether the bytes are still what they were. Reads all of them.
  bool is_intact() const { return xxh3_64(bytes_) == checksum_; }
  /// The same, but reads them only where pages of mapped files were lost since they were looked at
  /// (common/lost_pages.h).
  bool has_lost_nothing() const {
    std::atomic_thread_fence(std::memory_order_acquire);  // what was read before came before
    const std::uint64_t lost = lost_pages();
    if (intact_at_loss_.load(std::memory_order_relaxed) == lost) return true;
    if (!is_intact()) return false;
    intact_at_loss_.store(lost, std::memory_order_relaxed);
    return true;
  }
  bool is_damaged() const { return is_damaged_.load(std::memory_order_relaxed); }
  /// False: it was marked before.
  bool mark_damaged() const { return !is_damaged_.exchange(true); }

 private:
  const std::string_view bytes_;
  const std::uint64_t checksum_;
  mutable std::atomic<std::uint64_t> intact_at_loss_;
  mutable std::atomic<bool> is_damaged_{false};
};

/// A version that a tag named for a node, with the artefact that answers for it.
struct Answer {
  std::shared_ptr<const Servable> servable;  ///< null: not ready; nor is a damaged one
  Uuid version;
  Uuid release;                     ///< that set the entry
  std::uint64_t release_epoch = 0;  ///< in which it was set
  Hash256 artefact;                 ///< of the version
  std::uint64_t artefact_bytes = 0;

  bool is_ready() const { return servable != nullptr && !servable->is_damaged(); }
  bool is_damaged() const { return servable != nullptr && servable->is_damaged(); }
};

/// What one tag says of one node, and what is ready there. A node that the tag says nothing of is not in the table.
struct Node {
  std::string key;                     ///< the level values as components of a canonical key; empty: the root
  std::vector<std::string> partition;  ///< level values, outermost first
  wire::EntryKind kind = wire::EntryKind::version;  ///< version, or removed
  Answer wanted;                                    ///< kind version: the version; kind removed: release and epoch only
  wire::Reason not_ready = wire::Reason::cold;      ///< kind version, wanted not ready: why
  Answer previous;           ///< kind version, wanted not ready: the tag's last ready version, if it has one
  bool is_held = true;       ///< false: placed on other shards, so never ready here
  bool is_left_out = false;  ///< wanted and not ready: by the memory budget; comes back when it is asked for
  LastUse used;              ///< when a request last asked for it

  /// REQUIRES: kind version, wanted not ready
  wire::Reason why_not_ready() const { return wanted.is_damaged() ? wire::Reason::corrupt : not_ready; }
};

struct Tag {
  std::string name;
  std::string below;  ///< overlay: the tag that decides where this one says nothing; empty: none
  Uuid release;       ///< the last one, whose state this is
  std::uint64_t release_epoch = 0;
  SnapshotMap<Node> nodes;
};

struct Model {
  std::string key;  ///< of the root (model::model_key)
  std::string tenant;
  std::string model;
  model::Task task = model::Task::regression;
  std::vector<std::string> levels;                 ///< below the root
  std::uint32_t schema = 0;                        ///< number of the input schema
  std::shared_ptr<const wire::FieldIndex> inputs;  ///< the input schema
  bool is_held = true;                             ///< false: the tenant's shards are others
  std::uint64_t epoch = 0;                         ///< newest epoch applied
  std::vector<std::shared_ptr<const Tag>> tags;
  std::vector<Uuid> quarantined;  ///< versions that may not answer, whatever names them; ascending

  bool is_quarantined(const Uuid& version) const {
    return !quarantined.empty() && std::binary_search(quarantined.begin(), quarantined.end(), version);
  }

  /// Null when the model has no such tag.
  const Tag* find_tag(std::string_view name) const {
    for (const auto& tag : tags) {
      if (tag->name == name) return tag.get();
    }
    return nullptr;
  }
  /// "global" for the root. REQUIRES: depth <= levels.size().
  std::string_view level_name(std::size_t depth) const {
    return depth == 0 ? "global" : std::string_view(levels[depth - 1]);
  }
};

/// Of the nodes that this shard holds and that want a version, in all tags.
struct NodeCounts {
  static constexpr std::size_t kReasons = 9;  ///< of wire::Reason

  std::uint64_t wanted = 0;
  std::uint64_t ready = 0;                          ///< the wanted version is
  std::array<std::uint64_t, kReasons> not_ready{};  ///< by reason

  void add(const Node& node) { count<true>(node); }
  void remove(const Node& node) { count<false>(node); }

 private:
  template <bool is_added>
  void count(const Node& node) {
    if (node.kind != wire::EntryKind::version || !node.is_held) return;
    auto& which = node.wanted.servable != nullptr ? ready : not_ready[static_cast<std::size_t>(node.not_ready)];
    is_added ? ++wanted : --wanted;
    is_added ? ++which : --which;
  }
};

struct ModelTable {
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;  ///< everything up to it is in the table
  SnapshotMap<Model> models;
  NodeCounts counts;         ///< kept by TableEdit
  bool is_starting = false;  ///< too little is here to answer from: another replica is to be asked
  bool is_filling = false;   ///< nodes are still taken in: another replica may answer better where one is cold
};

/// Calls `visit` with each model, tag and node of the table.
template <class Visit>
void each_node(const ModelTable& table, const Visit& visit) {
  table.models.for_each([&](const auto& model) {
    for (const auto& tag : model->tags) tag->nodes.for_each([&](const auto& node) { visit(*model, *tag, *node); });
  });
}

using LiveTable = LivePointer<ModelTable>;

}  // namespace espalier::shard
