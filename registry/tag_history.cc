#include "registry/tag_history.h"

#include <algorithm>
#include <unordered_map>

#include "common/hash.h"
#include "common/scheduling.h"
#include "registry/keys.h"
#include "registry/query_cursor.h"

namespace espalier::registry {
namespace {

/// The releases that a page's entries name, each read once.
class ReleasesOfPage {
 public:
  ReleasesOfPage(Records& records, const wire::TagHistoryRequest& request) : records_(records), request_(request) {}
  Status fill_in(wire::TagMovement& movement) {
    auto known = known_.find(movement.release);
    if (known == known_.end()) {
      ASSIGN_OR_RETURN(auto record, records_.releases.get(request_.tenant, request_.model, movement.release));
      known = known_.emplace(movement.release, std::move(record)).first;
    }
    movement.time_us = known->second.time_us;
    movement.principal = known->second.principal;
    movement.note = known->second.note;
    return {};
  }

 private:
  Records& records_;
  const wire::TagHistoryRequest& request_;
  std::unordered_map<Uuid, wire::ReleaseRecord> known_;
};

Result<wire::TagMovement> movement_of(const keys::TagKey& key, const Cursor& cursor) {
  const auto entry = decode_entry(cursor.value());
  if (!entry.ok()) return bad_record(cursor.key(), entry.status());
  wire::TagMovement movement;
  ASSIGN_OR_RETURN(movement.partition, model::split_components(key.components));
  movement.kind = entry->kind;
  movement.version = entry->version;
  movement.release = entry->release;
  movement.epoch = key.epoch;
  return movement;
}

}  // namespace

Result<wire::TagHistoryReply> tag_history(Records& records, const wire::TagHistoryRequest& request) {
  wire::TagHistoryRequest shared = request;
  shared.cursor.clear();
  shared.limit = 0;
  wire::TagHistoryReply reply;
  reply.generation = records.store.generation();
  ASSIGN_OR_RETURN(QueryCursor at, QueryCursor::parse(request.cursor, xxh3_64(wire::encode(shared)), reply.generation));
  if (at.epoch == 0) {
    ASSIGN_OR_RETURN(
        at.epoch, records.imports.as_of(records.feed, request.tenant, request.model, request.epoch, request.time_us));
  }
  reply.epoch = at.epoch;
  ASSIGN_OR_RETURN(const auto model, records.models.get(request.tenant, request.model, at.epoch));
  if (!std::ranges::binary_search(model.tags, request.tag)) {
    return not_found("tag " + request.tag + " of model " + request.tenant + "/" + request.model);
  }
  const std::string prefix = keys::tag_prefix(request.tenant, request.model, request.tag);
  const std::string components = keys::components(request.under);
  const std::string range = request.node_only ? keys::node(prefix, components) : prefix + components;
  const std::size_t limit = std::clamp<std::uint32_t>(request.limit, 1, kMaxMovements);
  ReleasesOfPage releases(records, request);
  ASSIGN_OR_RETURN(const auto cursor, records.store.scan());
  cursor->seek(at.position.empty() ? range : prefix + at.position + '\0');
  while (cursor->valid() && cursor->key().starts_with(range)) {
    give_way();
    ASSIGN_OR_RETURN(const keys::TagKey key, keys::parse_tag(cursor->key(), prefix.size()));
    if (key.epoch > at.epoch) {
      cursor->seek(keys::node_at(prefix, key.components, at.epoch));
      continue;
    }
    if (reply.movements.size() == limit) {
      reply.cursor = at.text();
      break;
    }
    ASSIGN_OR_RETURN(wire::TagMovement movement, movement_of(key, *cursor));
    RETURN_IF_ERROR(releases.fill_in(movement));
    reply.movements.push_back(std::move(movement));
    at.position = cursor->key().substr(prefix.size());
    cursor->next();
  }
  RETURN_IF_ERROR(cursor->status());
  return reply;
}

}  // namespace espalier::registry
