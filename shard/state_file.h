// What a shard knew when it last saved: the view, the models, and what their tags said of each node. With its pack,
// enough to answer after a restart while the registry is away.
//
//   "ESPSHRD2"  then pieces, each u64 length + bytes, then u64 XXH3 of everything before; all little-endian
//   pieces      wire::ViewReply, wire::ModelsReply, then for each tag wire::TagEntriesRequest and two
//   wire::EntriesReply, as msgpack
//
// A tag's request names tenant, model and tag; its `epoch` is the tag's last release epoch. The first reply has what
// the tag says, and its cursor spells that release's UUID; the second has what answers where that isn't ready. Thread
// safety: control thread. Ownership: borrows the Files.
#pragma once

#include <string>
#include <vector>

#include "cluster/view.h"
#include "common/files.h"
#include "common/status.h"
#include "shard/model_table.h"
#include "wire/messages.h"

namespace espalier::shard {

struct SavedTag {
  std::string tenant, model, tag;
  Uuid release;
  std::uint64_t release_epoch = 0;
  std::vector<wire::TagEntry> entries;
  std::vector<wire::TagEntry> previous;  ///< what answers for nodes whose wanted version isn't ready
};

struct SavedState {
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;
  cluster::View view;
  std::vector<wire::ModelRecord> models;  ///< without spec_json
  std::vector<SavedTag> tags;
};

/// What is to be saved of a table.
SavedState state_of(const ModelTable& table, const cluster::View& view);

std::string encode_state(const SavedState& state);
/// corrupt: damaged, or made by a newer Espalier.
Result<SavedState> decode_state(std::string_view bytes);

class StateFile {
 public:
  StateFile(Files& files, std::string path) : files_(files), path_(std::move(path)) {}

  /// not_found: none was saved. corrupt: it is damaged and was renamed, so that the next start has none.
  Result<SavedState> load();
  Status save(const SavedState& state) { return files_.replace(path_, encode_state(state)); }
  /// What load() has set aside for people to look at goes.
  Status remove_damaged();

 private:
  std::string damaged_path() const { return path_ + ".damaged"; }

  Files& files_;
  const std::string path_;
};

}  // namespace espalier::shard
