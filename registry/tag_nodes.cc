#include "registry/tag_nodes.h"

#include "common/scheduling.h"
#include "registry/keys.h"
#include "registry/reading.h"
#include "registry/tags.h"

namespace espalier::registry {

Result<TagNodes> TagNodes::open(Store& store, std::string_view prefix, std::string_view under,
                                const std::optional<std::string>& after) {
  std::string range = std::string(prefix).append(under);
  ASSIGN_OR_RETURN(auto cursor, store.scan());
  cursor->seek(after ? keys::behind(keys::node(prefix, *after)) : range);
  return TagNodes(std::move(cursor), std::string(prefix), std::move(range));
}

Result<bool> TagNodes::find(std::uint64_t epoch) {
  while (cursor_->valid() && cursor_->key().starts_with(range_)) {
    give_way();
    ASSIGN_OR_RETURN(const keys::TagKey key, keys::parse_tag(cursor_->key(), prefix_.size()));
    if (key.epoch <= epoch) {
      components_ = key.components;
      node_ = keys::node(prefix_, components_);
      epoch_ = key.epoch;
      return true;
    }
    cursor_->seek(keys::node_at(prefix_, key.components, epoch));
  }
  RETURN_IF_ERROR(cursor_->status());
  return false;
}

Result<wire::TagEntry> TagNodes::entry() const {
  auto entry = decode_entry(cursor_->value());
  if (!entry.ok()) return bad_record(cursor_->key(), entry.status());
  entry->epoch = epoch_;
  return entry;
}

Result<bool> TagNodes::go_back(std::uint64_t epoch) {
  cursor_->seek(keys::node_at(prefix_, components_, epoch));
  RETURN_IF_ERROR(cursor_->status());
  if (!cursor_->valid() || !cursor_->key().starts_with(node_)) return false;
  ASSIGN_OR_RETURN(epoch_, keys::newest_first_epoch(cursor_->key()));
  return true;
}

// A node that was moved a few times is left by steps, which are cheap; one with a long history by a search.
void TagNodes::pass_over() {
  constexpr int kSteps = 4;
  for (int i = 0; i < kSteps; ++i) {
    if (!cursor_->valid() || !cursor_->key().starts_with(node_)) return;
    cursor_->next();
  }
  if (cursor_->valid() && cursor_->key().starts_with(node_)) cursor_->seek(keys::behind(node_));
}

wire::TagEntry unset_entry() {
  wire::TagEntry entry;
  entry.kind = wire::EntryKind::unset;
  return entry;
}

bool is_same(const wire::TagEntry& a, const wire::TagEntry& b) { return a.kind == b.kind && a.version == b.version; }

}  // namespace espalier::registry
