// The next model table under construction, and the rule by which a node takes an entry.
//
// Thread safety: control thread. Ownership: the edit shares what stays as it is with its base.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "shard/model_table.h"

namespace espalier::shard {

/// What admission says of an entry's artefact.
struct Admitted {
  std::shared_ptr<const Servable> servable;     ///< null: not ready
  wire::Reason not_ready = wire::Reason::cold;  ///< why, when it is null
  bool is_held = true;                          ///< false: other shards hold the node
  bool is_left_out = false;                     ///< not ready by the memory budget
  LastUse taken_in;                             ///< of a node that was not there, until it is asked for
};

/// The node once its tag has taken `entry` (kind version or removed). A version that is not ready leaves the node its
/// last ready one as `previous`, unless the node was removed in between or is held elsewhere. An entry older than what
/// the node has changes nothing: the result is a copy of `current`. REQUIRES: entry.kind != unset.
Node next_node(const Node* current, const wire::TagEntry& entry, const Admitted& admitted);

/// The key that a node of these level values has in its tag.
std::string node_key_of(const std::vector<std::string>& partition);

/// Which of the model's tags stands on which.
std::vector<wire::Overlay> overlays_of(const Model& model);

/// What the tag says of the node, as the registry tells it.
wire::TagEntry entry_of(const Node& node);
/// The entry that answers instead. REQUIRES: node.previous.is_ready()
wire::TagEntry previous_entry_of(const Node& node);

class TableEdit {
 public:
  explicit TableEdit(const ModelTable& base);

  /// Adds the model or takes over its record: also which tag stands on which, by tag. Its tags and nodes stay.
  void set_model(const wire::ModelRecord& record, bool is_held);
  void erase_model(std::string_view model_key);
  /// The versions that may not answer from now on. REQUIRES: the model is there.
  void set_quarantined(std::string_view model_key, std::vector<Uuid> versions);
  /// Forgets every node of the model, before a snapshot of it is put in. REQUIRES: the model is there.
  void clear_nodes(std::string_view model_key);
  /// REQUIRES: the model is there.
  void apply(std::string_view model_key, std::string_view tag, const wire::TagEntry& entry, const Admitted& admitted);
  /// The node as it is given, with another artefact's place, say. REQUIRES: the model and the tag are there.
  void set_node(std::string_view model_key, std::string_view tag, std::shared_ptr<const Node> node);
  /// The release that the tag stands at from now on, unless it stands at a later one. REQUIRES: the model is there.
  void set_release(std::string_view model_key, std::string_view tag, const Uuid& release, std::uint64_t epoch);
  /// REQUIRES: the model is there.
  void set_epoch(std::string_view model_key, std::uint64_t epoch);

  bool has_model(std::string_view model_key) const;
  /// As edited so far; null: the tag says nothing of it.
  const Node* find_node(std::string_view model_key, std::string_view tag, std::string_view node_key) const;

  /// The table as of `epoch` of `generation`. The edit is used up.
  std::unique_ptr<ModelTable> finish(std::uint64_t generation, std::uint64_t epoch);

 private:
  struct OpenTag {
    Tag tag;
    SnapshotMap<Node>::Editor nodes;
    OpenTag(const Tag& from) : tag(from), nodes(from.nodes) {}
  };
  struct OpenModel {
    Model model;
    std::map<std::string, OpenTag, std::less<>> tags;
  };

  static void set_overlays(OpenModel& model, const std::vector<wire::Overlay>& overlays);
  OpenModel& open(std::string_view model_key);
  static OpenTag& open(OpenModel& model, std::string_view tag);
  void set(OpenTag& tag, std::shared_ptr<const Node> node);
  void uncount_nodes(std::string_view model_key);

  SnapshotMap<Model>::Editor models_;
  NodeCounts counts_;
  bool is_starting_;
  std::map<std::string, OpenModel, std::less<>> open_;
};

}  // namespace espalier::shard
