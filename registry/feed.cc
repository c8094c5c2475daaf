#include "registry/feed.h"

#include <algorithm>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

constexpr std::uint32_t kMaxCredit = 4096;
constexpr int kCollectedAtOnce = 4;

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

Result<std::uint64_t> Feed::as_of(std::uint64_t epoch, std::int64_t time_us) const {
  if (epoch != 0 && time_us != 0) return invalid_argument("time_us: not together with epoch");
  if (time_us < 0) return invalid_argument("time_us: before 1970");
  if (time_us != 0) return of_time(time_us);
  if (epoch == 0) return newest();
  RETURN_IF_ERROR(check_kept(epoch));
  return epoch;
}

Result<std::uint64_t> Feed::commit_as_of(std::uint64_t epoch, std::int64_t time_us) const {
  if (epoch != 0 && time_us != 0) return invalid_argument("time_us: not together with epoch");
  if (time_us < 0) return invalid_argument("time_us: before 1970");
  if (time_us != 0) return commit_of_time(time_us);
  if (epoch <= store_.epoch()) return epoch == 0 ? store_.epoch() : epoch;
  return failed_precondition("epoch: " + std::to_string(epoch) + " is not committed, the newest is " +
                             std::to_string(store_.epoch()));
}

Status Feed::check_committed(std::uint64_t epoch) const {
  ASSIGN_OR_RETURN(const std::uint64_t newest_epoch, newest());
  if (epoch <= newest_epoch) return {};
  return failed_precondition("epoch: " + std::to_string(epoch) + " is not committed, the newest change is " +
                             std::to_string(newest_epoch));
}

Status Feed::check_kept(std::uint64_t epoch) const {
  RETURN_IF_ERROR(check_committed(epoch));
  ASSIGN_OR_RETURN(const std::uint64_t oldest, oldest_kept());
  if (epoch < oldest) {
    return failed_precondition("epoch: " + std::to_string(epoch) + " is collected, the oldest kept is " +
                               std::to_string(oldest) + ": read anew");
  }
  return {};
}

/// The oldest change whose state can still be read.
Result<std::uint64_t> Feed::oldest_kept() const {
  const std::string table = keys::table(keys::Table::feed);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek(table);
  RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(table)) return std::uint64_t{0};
  auto oldest = wire::decode<wire::Change>(cursor->value());
  if (!oldest.ok()) return bad_record(table, oldest.status());
  // The feed's horizon takes changes, not history.
  ASSIGN_OR_RETURN(const std::uint64_t collected_changes, collected());
  return oldest->previous <= collected_changes ? 0 : oldest->epoch;
}

Result<std::uint64_t> Feed::commit_of_time(std::int64_t time_us) const {
  const std::string times = keys::table(keys::Table::time);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek_before(keys::behind(keys::time(time_us)));
  RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(times)) return std::uint64_t{0};
  if (cursor->value().size() != sizeof(std::uint64_t)) return corrupt("table e: 8 bytes expected");
  return load<std::uint64_t>(cursor->value().data());
}

/// The change whose state was the newest at that time; 0: there was none yet.
Result<std::uint64_t> Feed::of_time(std::int64_t time_us) const {
  const std::string feed = keys::table(keys::Table::feed);
  ASSIGN_OR_RETURN(const std::uint64_t epoch, commit_of_time(time_us));
  if (epoch == 0) return epoch;
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  // Of what was collected the commit itself: the state is the same.
  ASSIGN_OR_RETURN(const std::uint64_t collected_changes, collected());
  if (epoch <= collected_changes) return epoch;
  cursor->seek_before(keys::feed(epoch + 1));
  RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(feed)) return collected_changes;
  return keys::ascending_epoch(cursor->key());
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
  return collect(batch);
}

Result<std::uint64_t> Feed::collected() const {
  ASSIGN_OR_RETURN(const auto value, store_.get(keys::feed_horizon()));
  if (!value) return std::uint64_t{0};
  if (value->size() != sizeof(std::uint64_t)) return corrupt("table f: 8 bytes expected");
  return load<std::uint64_t>(value->data());
}

Status Feed::collect(Batch& batch) const {
  if (kept_epochs_ == 0 || batch.epoch() <= kept_epochs_) return {};
  const std::uint64_t last = batch.epoch() - kept_epochs_;
  const std::string table = keys::table(keys::Table::feed);
  ASSIGN_OR_RETURN(const std::uint64_t before, collected());
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  std::uint64_t reached = before;
  for (int taken = 0; taken < kCollectedAtOnce; ++taken) {
    // Not from the table's start: what was removed there is still in LevelDB's way.
    cursor->seek(keys::feed(reached + 1));
    if (!cursor->valid() || !cursor->key().starts_with(table)) break;
    ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::ascending_epoch(cursor->key()));
    if (epoch > last) break;
    batch.remove(cursor->key());
    const std::string first_chunk = keys::changed(epoch, 0);
    const std::string chunks = first_chunk.substr(0, first_chunk.size() - sizeof(std::uint32_t));
    for (cursor->seek(first_chunk); cursor->valid() && cursor->key().starts_with(chunks); cursor->next()) {
      batch.remove(cursor->key());
    }
    reached = epoch;
  }
  RETURN_IF_ERROR(cursor->status());
  if (reached == before) return {};
  std::string value;
  append(value, reached);
  batch.put(keys::feed_horizon(), value);
  return {};
}

}  // namespace espalier::registry
