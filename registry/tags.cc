#include "registry/tags.h"

#include <cstring>

#include "common/bytes.h"
#include "common/scheduling.h"
#include "registry/keys.h"
#include "registry/space/receipts.h"
#include "registry/tag_nodes.h"

namespace espalier::registry {
namespace {

constexpr std::uint32_t kEntriesInChunk = 512;

Status bad_entry() { return corrupt("an entry of a tag is cut short"); }

/// Takes bytes from the front of a record.
class Front {
 public:
  explicit Front(std::string_view bytes) : left_(bytes) {}
  bool take(void* to, std::size_t size) {
    if (left_.size() < size) return false;
    std::memcpy(to, left_.data(), size);
    left_.remove_prefix(size);
    return true;
  }
  bool take(std::string_view& to, std::size_t size) {
    if (left_.size() < size) return false;
    to = left_.substr(0, size);
    left_.remove_prefix(size);
    return true;
  }
  std::string_view left() const { return left_; }

 private:
  std::string_view left_;
};

bool take_entry(Front& front, wire::TagEntry& entry) {
  std::uint8_t kind = 0;
  if (!front.take(&kind, 1) || kind > static_cast<std::uint8_t>(wire::EntryKind::unset)) return false;
  entry.kind = static_cast<wire::EntryKind>(kind);
  if (entry.kind == wire::EntryKind::version &&
      !(front.take(entry.version.bytes.data(), entry.version.bytes.size()) &&
        front.take(entry.artefact.bytes.data(), entry.artefact.bytes.size()) &&
        front.take(&entry.artefact_bytes, sizeof entry.artefact_bytes))) {
    return false;
  }
  return front.take(entry.release.bytes.data(), entry.release.bytes.size());
}

/// Whose the entry at that place in the change's list is; empty: the change's own tag's.
std::string tag_of(const wire::Change& change, std::uint64_t place) {
  if (place < change.count || change.more.empty()) return {};
  place -= change.count;
  for (const wire::TagMoved& moved : change.more) {
    if (place < moved.count) return moved.tag;
    place -= moved.count;
  }
  return {};
}

}  // namespace

std::string encode_entry(const wire::TagEntry& entry) {
  std::string bytes;
  bytes.reserve(1 + sizeof entry.version + sizeof entry.artefact + sizeof entry.artefact_bytes + sizeof entry.release);
  append(bytes, static_cast<std::uint8_t>(entry.kind));
  if (entry.kind == wire::EntryKind::version) {
    bytes.append(entry.version.view()).append(entry.artefact.view());
    append(bytes, entry.artefact_bytes);
  }
  return bytes.append(entry.release.view());
}

Result<wire::TagEntry> decode_entry(std::string_view bytes) {
  wire::TagEntry entry;
  Front front(bytes);
  if (!take_entry(front, entry) || !front.left().empty()) return bad_entry();
  return entry;
}

Result<std::vector<MovedEntry>> moved_entries(std::string_view chunk) {
  std::vector<MovedEntry> moved;
  Front front(chunk);
  while (!front.left().empty()) {
    std::uint32_t size = 0;
    MovedEntry& entry = moved.emplace_back();
    if (!front.take(&size, sizeof size) || !front.take(entry.components, size) || !take_entry(front, entry.entry)) {
      return bad_entry();
    }
  }
  return moved;
}

TagMovements::TagMovements(Batch& batch, const std::string& tenant, const std::string& model, const std::string& tag)
    : batch_(batch), tenant_(tenant), model_(model) {
  begin(tag);
}

void TagMovements::begin(const std::string& tag) {
  prefix_ = keys::tag_prefix(tenant_, model_, tag);
  counts_.push_back(0);
}

Status TagMovements::refuse_collected(Collected& collected) {
  ASSIGN_OR_RETURN(const bool any, collected.has_any(tenant_));
  if (any) collected_ = &collected;
  return {};
}

Status TagMovements::check_there(std::string_view components, const Uuid& version) const {
  const Status there = collected_->check(tenant_, version);
  if (there.ok()) return {};
  ASSIGN_OR_RETURN(const auto values, model::split_components(components));
  ASSIGN_OR_RETURN(const auto partition, model::Partition::from_values(values));
  return there.at(model::NodeName{tenant_, model_, partition}.text());
}

void TagMovements::add(std::string_view components, const wire::TagEntry& entry) {
  give_way();
  if (collected_ != nullptr && entry.kind == wire::EntryKind::version && refused_.ok()) {
    refused_ = check_there(components, entry.version);
  }
  const std::string value = encode_entry(entry);
  batch_.put(keys::node_at(prefix_, components, batch_.epoch()), value);
  append(chunk_, static_cast<std::uint32_t>(components.size()));
  chunk_.append(components).append(value);
  ++counts_.back();
  if (++in_chunk_ == kEntriesInChunk) write_chunk();
}

void TagMovements::write_chunk() {
  batch_.put(keys::changed(batch_.epoch(), chunks_++), chunk_);
  chunk_.clear();  // and keeps its room
  in_chunk_ = 0;
}

void TagMovements::finish() {
  if (in_chunk_ > 0) write_chunk();
}

Status Tags::each(std::string_view tag_prefix, std::uint64_t epoch, std::string_view under,
                  const std::optional<std::string>& after, const Take& take) {
  ASSIGN_OR_RETURN(TagNodes nodes, TagNodes::open(store_, tag_prefix, under, after));
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, nodes.find(epoch));
    if (!found) return {};
    ASSIGN_OR_RETURN(wire::TagEntry entry, nodes.entry());
    if (entry.kind != wire::EntryKind::unset && !take(nodes.components(), std::move(entry))) return {};
    nodes.pass_over();
  }
}

Result<wire::EntriesReply> Tags::page(const wire::TagEntriesRequest& request, const PageCursor& page,
                                      std::uint64_t epoch) {
  wire::EntriesReply reply;
  reply.epoch = epoch;
  // The root's components are empty: the mark in front tells "behind the root" from "from the start".
  std::optional<std::string> after;
  if (!page.position.empty()) after = page.position.substr(1);
  std::string last;
  Status split;
  bool more = false;
  const Status read =
      each(keys::tag_prefix(request.tenant, request.model, request.tag), epoch, keys::components(request.under), after,
           [&](std::string_view components, wire::TagEntry entry) {
             more = reply.entries.size() == page_size(request.limit);
             if (more) return false;
             auto values = model::split_components(components);
             if (!values.ok()) {
               split = values.status();
               return false;
             }
             entry.partition = *std::move(values);
             last = components;
             reply.entries.push_back(std::move(entry));
             return true;
           });
  RETURN_IF_ERROR(read);
  RETURN_IF_ERROR(split);
  if (more) reply.cursor = PageCursor{epoch, "." + last}.text();
  return reply;
}

Result<wire::EntriesReply> Tags::changed(const wire::ChangedEntriesRequest& request, const wire::Change& change,
                                         const PageCursor& page) {
  wire::EntriesReply reply;
  reply.epoch = request.epoch;
  std::uint32_t chunk = 0, within = 0;
  if (!page.position.empty()) {
    if (page.position.size() != 8 || page.epoch != request.epoch) {
      return invalid_argument("cursor: not one that a reply for this epoch gave");
    }
    chunk = load_u32_be(page.position.data());
    within = load_u32_be(page.position.data() + 4);
  }
  for (;; ++chunk, within = 0) {
    ASSIGN_OR_RETURN(const auto bytes, store_.get(keys::changed(request.epoch, chunk)));
    if (!bytes) return reply;
    Front front(*bytes);
    for (std::uint32_t i = 0; !front.left().empty(); ++i) {
      give_way();
      std::uint32_t size = 0;
      std::string_view components;
      wire::TagEntry entry;
      if (!front.take(&size, sizeof size) || !front.take(components, size) || !take_entry(front, entry)) {
        return bad_record("C", bad_entry());
      }
      if (i < within) continue;
      if (reply.entries.size() == page_size(request.limit)) {
        std::string position;
        append_u32_be(position, chunk);
        append_u32_be(position, i);
        reply.cursor = PageCursor{request.epoch, position}.text();
        return reply;
      }
      ASSIGN_OR_RETURN(entry.partition, model::split_components(components));
      entry.epoch = request.epoch;
      entry.tag = tag_of(change, std::uint64_t{chunk} * kEntriesInChunk + i);
      reply.entries.push_back(std::move(entry));
    }
  }
}

}  // namespace espalier::registry
