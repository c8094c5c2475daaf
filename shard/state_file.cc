#include "shard/state_file.h"

#include <filesystem>
#include <utility>

#include "common/bytes.h"
#include "common/hash.h"
#include "shard/table_edit.h"

namespace espalier::shard {
namespace {

constexpr std::string_view kMagic = "ESPSHRD2";

void append_piece(std::string& to, std::string_view piece) {
  append<std::uint64_t>(to, piece.size());
  to.append(piece);
}

/// Takes the next piece off the front of `rest`.
Result<std::string_view> take_piece(std::string_view& rest) {
  if (rest.size() < 8) return corrupt("state: a piece's length is missing");
  const auto size = load<std::uint64_t>(rest.data());
  rest.remove_prefix(8);
  if (size > rest.size()) return corrupt("state: a piece is longer than the file");
  const std::string_view piece = rest.substr(0, size);
  rest.remove_prefix(size);
  return piece;
}

template <class T>
Status read_piece(std::string_view& rest, T& to) {
  ASSIGN_OR_RETURN(const std::string_view piece, take_piece(rest));
  Result<T> decoded = wire::decode<T>(piece);
  if (!decoded.ok()) return corrupt("state: " + decoded.status().message());
  to = *std::move(decoded);
  return {};
}

}  // namespace

SavedState state_of(const ModelTable& table, const cluster::View& view) {
  SavedState state;
  state.generation = table.generation;
  state.epoch = table.epoch;
  state.view = view;
  table.models.for_each([&](const auto& model) {
    wire::ModelRecord record;
    record.tenant = model->tenant;
    record.model = model->model;
    record.task = model->task;
    record.levels = model->levels;
    record.schema = model->schema;
    record.fields = model->inputs->fields();
    record.overlays = overlays_of(*model);
    record.quarantined = model->quarantined;
    for (const auto& tag : model->tags) {
      record.tags.push_back(tag->name);
      SavedTag saved{model->tenant, model->model, tag->name, tag->release, tag->release_epoch, {}, {}};
      saved.entries.reserve(tag->nodes.size());
      tag->nodes.for_each([&](const auto& node) {
        saved.entries.push_back(entry_of(*node));
        if (node->previous.is_ready()) saved.previous.push_back(previous_entry_of(*node));
      });
      state.tags.push_back(std::move(saved));
    }
    state.models.push_back(std::move(record));
  });
  return state;
}

std::string encode_state(const SavedState& state) {
  std::string bytes(kMagic);
  append_piece(bytes, wire::encode(wire::ViewReply{state.generation, state.epoch, state.view}));
  append_piece(bytes, wire::encode(wire::ModelsReply{state.generation, state.epoch, state.models, {}}));
  for (const SavedTag& tag : state.tags) {
    wire::TagEntriesRequest name;
    name.tenant = tag.tenant;
    name.model = tag.model;
    name.tag = tag.tag;
    name.epoch = tag.release_epoch;
    append_piece(bytes, wire::encode(name));
    append_piece(bytes, wire::encode(wire::EntriesReply{tag.release_epoch, tag.entries, tag.release.text()}));
    append_piece(bytes, wire::encode(wire::EntriesReply{0, tag.previous, {}}));
  }
  append<std::uint64_t>(bytes, xxh3_64(bytes));
  return bytes;
}

Result<SavedState> decode_state(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + 8 || !bytes.starts_with(kMagic)) return corrupt("state: not a shard's state");
  const std::string_view checked = bytes.substr(0, bytes.size() - 8);
  if (load<std::uint64_t>(bytes.data() + checked.size()) != xxh3_64(checked)) return corrupt("state: checksum");
  std::string_view rest = checked.substr(kMagic.size());
  wire::ViewReply view;
  wire::ModelsReply models;
  RETURN_IF_ERROR(read_piece(rest, view));
  RETURN_IF_ERROR(read_piece(rest, models));
  SavedState state{models.generation, models.epoch, std::move(view.view), std::move(models.models), {}};
  while (!rest.empty()) {
    wire::TagEntriesRequest name;
    wire::EntriesReply entries, previous;
    RETURN_IF_ERROR(read_piece(rest, name));
    RETURN_IF_ERROR(read_piece(rest, entries));
    RETURN_IF_ERROR(read_piece(rest, previous));
    const Result<Uuid> release = Uuid::parse(entries.cursor);
    if (!release.ok()) return corrupt("state: release of tag " + name.tag);
    state.tags.push_back({std::move(name.tenant), std::move(name.model), std::move(name.tag), *release, name.epoch,
                          std::move(entries.entries), std::move(previous.entries)});
  }
  return state;
}

Result<SavedState> StateFile::load() {
  if (!files_.exists(path_)) return not_found(path_ + ": no saved state");
  ASSIGN_OR_RETURN(const std::string bytes, files_.read(path_));
  Result<SavedState> state = decode_state(bytes);
  if (!state.ok()) {
    RETURN_IF_ERROR(files_.rename(path_, damaged_path()));
    return state.status().at(path_);
  }
  return state;
}

Status StateFile::remove_damaged() {
  if (!files_.exists(damaged_path())) return {};
  RETURN_IF_ERROR(files_.remove(damaged_path()));
  return files_.sync_directory(std::filesystem::path(path_).parent_path());
}

}  // namespace espalier::shard
