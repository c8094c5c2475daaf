#include "registry/feed.h"

#include <algorithm>

#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

constexpr std::uint32_t kMaxCredit = 4096;

}  // namespace

Result<std::uint64_t> Feed::newest() const {
  const std::string table = keys::table(keys::Table::feed);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek_before(keys::behind(table));
  RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(table)) return std::uint64_t{0};
  return keys::ascending_epoch(cursor->key());
}

Result<wire::Change> Feed::get(std::uint64_t epoch) const {
  ASSIGN_OR_RETURN(const auto value, store_.get(keys::feed(epoch)));
  if (!value) return not_found("change of epoch " + std::to_string(epoch));
  auto change = wire::decode<wire::Change>(*value);
  if (!change.ok()) return bad_record("F", change.status());
  return change;
}

Result<wire::FeedReply> Feed::after(const wire::FeedRequest& request) const {
  wire::FeedReply reply;
  reply.generation = store_.generation();
  ASSIGN_OR_RETURN(reply.newest, newest());
  if (request.generation != reply.generation || request.after > reply.newest) {
    reply.snapshot_required = true;
    return reply;
  }
  const std::string table = keys::table(keys::Table::feed);
  const std::size_t credit = std::clamp<std::uint32_t>(request.credit, 1, kMaxCredit);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  for (cursor->seek(keys::feed(request.after + 1));
       cursor->valid() && cursor->key().starts_with(table) && reply.changes.size() < credit; cursor->next()) {
    auto change = wire::decode<wire::Change>(cursor->value());
    if (!change.ok()) return bad_record("F", change.status());
    if (reply.changes.empty() && change->previous > request.after) {
      reply.snapshot_required = true;
      return reply;
    }
    reply.changes.push_back(*std::move(change));
  }
  RETURN_IF_ERROR(cursor->status());
  return reply;
}

Status Feed::put(Batch& batch, wire::Change change) const {
  change.epoch = batch.epoch();
  change.time_us = batch.time_us();
  ASSIGN_OR_RETURN(change.previous, newest());
  batch.put(keys::feed(batch.epoch()), wire::encode(change));
  return {};
}

}  // namespace espalier::registry
