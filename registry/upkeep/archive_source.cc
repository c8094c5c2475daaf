#include "registry/upkeep/archive_source.h"

#include "common/bytes.h"
#include "common/scheduling.h"
#include "registry/keys.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry::upkeep {
namespace {

constexpr std::size_t kBlockBytes = 1u << 20;  ///< a block takes no more once it has so many

std::string& payload_for(BlockKind kind, std::vector<Block>& blocks) {
  if (blocks.empty() || blocks.back().kind != kind || blocks.back().payload.size() >= kBlockBytes) {
    blocks.push_back({kind, {}});
  }
  return blocks.back().payload;
}

}  // namespace

Status BlockSource::fill_head() {
  ASSIGN_OR_RETURN(const auto generation, records_.store.get(keys::generation()));
  if (!generation || generation->size() != 12) return corrupt("table G: 12 bytes expected; repair first");
  head_ = {records_.store.generation(), records_.store.epoch(), clock_.wall_us(),
           load<std::uint32_t>(generation->data())};
  return {};
}

Result<std::vector<Block>> BlockSource::step(std::int64_t slice_us) {
  const std::int64_t end = clock_.monotonic_us() + slice_us;
  std::vector<Block> blocks;
  std::size_t bytes = 0;
  do {
    RETURN_IF_ERROR(take_one(blocks));
    give_way();
    bytes = 0;
    for (const Block& block : blocks) bytes += block.payload.size();
  } while (!is_done() && bytes < kStepBytes && clock_.monotonic_us() < end);
  return blocks;
}

void BlockSource::add_record(std::vector<Block>& blocks, std::string_view key, std::string_view value) {
  ++counts_.records;
  append_record(payload_for(BlockKind::records, blocks), key, value);
}

Status BlockSource::add_artefact(std::vector<Block>& blocks, const std::string& tenant, const Hash256& hash) {
  const auto bytes = records_.artefacts.held(tenant, hash);
  if (!bytes.ok()) {
    const std::string name = "artefact " + hash.hex() + " of tenant " + tenant;
    ASSIGN_OR_RETURN(const auto still, records_.artefacts.find(tenant, hash));
    if (!still) return failed_precondition(name + " was collected since the archive was begun: begin anew");
    return bytes.status().at(name);
  }
  ++counts_.artefacts;
  counts_.artefact_bytes += bytes->size();
  append_artefact(payload_for(BlockKind::artefacts, blocks), tenant, hash, *bytes);
  return {};
}

Result<std::unique_ptr<ArchiveSource>> ArchiveSource::start(Records& records, const Clock& clock) {
  std::unique_ptr<ArchiveSource> source(new ArchiveSource(records, clock));
  RETURN_IF_ERROR(source->fill_head());
  ASSIGN_OR_RETURN(source->cursor_, records.store.scan_verified());
  source->cursor_->seek("");
  return source;
}

Status ArchiveSource::take_one(std::vector<Block>& blocks) {
  if (stage_ == Stage::artefacts) return take_artefact(blocks);
  RETURN_IF_ERROR(cursor_->status());
  if (!cursor_->valid()) {
    stage_ = Stage::artefacts;
    cursor_->seek(keys::table(keys::Table::artefact));
    return {};
  }
  if (cursor_->key() != keys::generation()) add_record(blocks, cursor_->key(), cursor_->value());
  cursor_->next();
  return {};
}

Status ArchiveSource::take_artefact(std::vector<Block>& blocks) {
  RETURN_IF_ERROR(cursor_->status());
  if (!cursor_->valid() || !cursor_->key().starts_with(keys::table(keys::Table::artefact))) {
    stage_ = Stage::done;
    cursor_.reset();
    return {};
  }
  ASSIGN_OR_RETURN(const HashParts parts, hash_parts(cursor_->key()));
  RETURN_IF_ERROR(add_artefact(blocks, parts.tenant, parts.hash));
  cursor_->next();
  return {};
}

}  // namespace espalier::registry::upkeep
