#include "tests/unit/shard/fake_registry.h"

#include <algorithm>
#include <utility>

#include "common/hash.h"
#include "tests/unit/shard/table_builder.h"

namespace espalier::shard {

using wire::Change;
using wire::ChangeKind;
using wire::EntryKind;

FakeRegistry::FakeRegistry() { view_.default_spread = 4; }

Status FakeRegistry::here() {
  if (is_away || calls_until_failure_-- == 0) return unavailable("the registry is away");
  return {};
}

std::uint64_t FakeRegistry::add_change(Change change) {
  change.previous = epoch_;
  change.epoch = ++epoch_;
  changes_.push_back(std::move(change));
  return epoch_;
}

std::uint64_t FakeRegistry::release(const std::vector<Entry>& entries, const std::string& tag,
                                    const std::string& tenant) {
  const Uuid release = uuid_of(next_release_++);
  Change change;
  change.kind = ChangeKind::release;
  change.levels = static_cast<std::uint32_t>(levels.size());
  change.tenant = tenant;
  change.model = "total";
  change.tag = tag;
  change.release = release;
  change.count = entries.size();
  add_change(change);
  tags_[tenant].insert(tag);
  for (const Entry& from : entries) entries_[epoch_].push_back({tenant, tag, entry_of(from, release)});
  return epoch_;
}

wire::TagEntry FakeRegistry::entry_of(const Entry& from, const Uuid& release) {
  wire::TagEntry entry;
  entry.partition = values_of(from.partition);
  entry.kind = from.kind;
  entry.release = release;
  entry.epoch = epoch_;
  if (from.kind == EntryKind::version) {
    const std::string bytes = artefact_of(from.bias);
    entry.version = uuid_of(from.version);
    entry.artefact = blake2b_256(bytes);
    entry.artefact_bytes = bytes.size();
    kept_.emplace(entry.artefact, bytes);
    artefacts_.emplace(entry.artefact, bytes);
  }
  return entry;
}

std::uint64_t FakeRegistry::overlay(const std::string& tag, const std::string& on) {
  std::erase_if(overlays_, [&](const wire::Overlay& overlay) { return overlay.tag == tag; });
  if (!on.empty()) overlays_.push_back({tag, on});
  std::ranges::sort(overlays_, {}, &wire::Overlay::tag);
  tags_["acme"].insert(tag);
  Change change;
  change.kind = ChangeKind::model;
  change.levels = static_cast<std::uint32_t>(levels.size());
  change.tenant = "acme";
  change.model = "total";
  change.tag = tag;
  return add_change(change);
}

std::uint64_t FakeRegistry::quarantine(unsigned version, bool lift) {
  if (lift) quarantined_.erase(uuid_of(version));
  if (!lift) quarantined_.insert(uuid_of(version));
  Change change;
  change.kind = ChangeKind::model;
  change.levels = static_cast<std::uint32_t>(levels.size());
  change.tenant = "acme";
  change.model = "total";
  return add_change(change);
}

void FakeRegistry::also(const std::vector<Entry>& entries, const std::string& tag) {
  Change& change = changes_.back();
  const Uuid release = uuid_of(next_release_++);
  change.more.push_back({tag, release, entries.size()});
  tags_[change.tenant].insert(tag);
  for (const Entry& from : entries) {
    entries_[epoch_].push_back({change.tenant, tag, entry_of(from, release)});
    entries_[epoch_].back().entry.tag = tag;
  }
}

std::uint64_t FakeRegistry::erase(const std::string& tenant) {
  for (Change& change : changes_) {
    if (change.tenant != tenant) continue;
    entries_.erase(change.epoch);
    Change blank;
    blank.epoch = change.epoch;
    blank.previous = change.previous;
    blank.kind = ChangeKind::erased;
    change = blank;
  }
  tags_.erase(tenant);
  Change change;
  change.kind = ChangeKind::erased;
  change.tenant = tenant;
  return add_change(change);
}

void FakeRegistry::set_shards(const std::vector<std::string>& names, cluster::ShardState of_last) {
  view_.shards.clear();
  for (const std::string& name : names) view_.shards.push_back({name, {}, 1});
  view_.shards.back().state = of_last;
  ++view_.number;
  add_change({});
}

void FakeRegistry::lose(double bias) { artefacts_.erase(blake2b_256(artefact_of(bias))); }

void FakeRegistry::damage(double bias) { artefacts_[blake2b_256(artefact_of(bias))][100] ^= 1; }

void FakeRegistry::mend(double bias) {
  const Hash256 hash = blake2b_256(artefact_of(bias));
  artefacts_[hash] = kept_.at(hash);
}

void FakeRegistry::begin_generation(std::uint64_t generation) {
  generation_ = generation;
  epoch_ = 0;
  changes_.clear();
  entries_.clear();
}

Result<wire::HelloReply> FakeRegistry::call(const wire::HelloRequest&) {
  RETURN_IF_ERROR(here());
  return wire::HelloReply{generation_, epoch_, "0"};
}

Result<wire::EpochReply> FakeRegistry::call(const wire::JoinRequest& request) {
  RETURN_IF_ERROR(here());
  ++joins;
  const Code code = std::exchange(join_code, Code::ok);
  if (code != Code::ok) return Status(code, "joining refused");
  const auto it = std::ranges::lower_bound(view_.shards, request.shard.name, {}, &cluster::ShardInfo::name);
  if (it == view_.shards.end() || it->name != request.shard.name) {
    view_.shards.insert(it, request.shard);
    ++view_.number;
    add_change({});
  }
  return wire::EpochReply{generation_, epoch_};
}

Result<wire::RenewReply> FakeRegistry::call(const wire::RenewRequest& request) {
  RETURN_IF_ERROR(here());
  wire::RenewReply reply{generation_, epoch_, 10'000'000, cluster::ShardState::draining};
  if (was_drained) return reply;
  const auto it = std::ranges::find(view_.shards, request.shard, &cluster::ShardInfo::name);
  if (it == view_.shards.end()) return not_found("shard " + request.shard);
  reply.state = it->state;
  return reply;
}

Result<wire::ViewReply> FakeRegistry::call(const wire::ViewRequest&) {
  RETURN_IF_ERROR(here());
  ++views;
  return wire::ViewReply{generation_, epoch_, view_};
}

Result<wire::FeedReply> FakeRegistry::call(const wire::FeedRequest& request) {
  RETURN_IF_ERROR(here());
  wire::FeedReply reply{generation_, epoch_, request.generation != generation_, {}};
  if (reply.snapshot_required) return reply;
  for (const Change& change : changes_) {
    if (change.epoch > request.after && !skipped_.contains(change.epoch)) reply.changes.push_back(change);
  }
  return reply;
}

Result<wire::ModelsReply> FakeRegistry::call(const wire::ModelsRequest& request) {
  RETURN_IF_ERROR(here());
  if (request.tenant.empty()) ++snapshots;
  wire::ModelsReply reply{generation_, epoch_, {}, {}};
  if (!request.model.empty() && !tags_.contains(request.tenant)) return not_found("model " + request.model);
  for (const auto& [tenant, tags] : tags_) {
    if (!request.tenant.empty() && request.tenant != tenant) continue;
    wire::ModelRecord record;
    record.tenant = tenant;
    record.model = "total";
    record.levels = levels;
    record.fields = {{"x", model::FieldType::number}};
    record.schema = 1;
    record.tags.assign(tags.begin(), tags.end());
    if (tenant == "acme") {
      record.overlays = overlays_;
      record.quarantined.assign(quarantined_.begin(), quarantined_.end());
    }
    reply.models.push_back(std::move(record));
  }
  return reply;
}

/// In pages of two, so that every reader has to follow cursors.
static wire::EntriesReply page_of(const std::vector<wire::TagEntry>& all, std::uint64_t epoch,
                                  const std::string& cursor) {
  wire::EntriesReply reply{epoch, {}, {}};
  const std::size_t from = cursor.empty() ? 0 : std::stoul(cursor);
  const std::size_t until = std::min(all.size(), from + 2);
  for (std::size_t i = from; i < until; ++i) reply.entries.push_back(all[i]);
  if (until < all.size()) reply.cursor = std::to_string(until);
  return reply;
}

Result<wire::EntriesReply> FakeRegistry::call(const wire::ChangedEntriesRequest& request) {
  RETURN_IF_ERROR(here());
  std::vector<wire::TagEntry> all;
  for (const Set& set : entries_[request.epoch]) all.push_back(set.entry);
  return page_of(all, request.epoch, request.cursor);
}

Result<wire::EntriesReply> FakeRegistry::call(const wire::TagEntriesRequest& request) {
  RETURN_IF_ERROR(here());
  std::map<std::vector<std::string>, wire::TagEntry> state;
  for (const auto& [epoch, sets] : entries_) {
    if (request.epoch != 0 && epoch > request.epoch) break;
    for (const Set& set : sets) {
      if (set.tenant == request.tenant && set.tag == request.tag) state[set.entry.partition] = set.entry;
    }
  }
  std::vector<wire::TagEntry> all;
  for (const auto& [partition, entry] : state) {
    if (entry.kind != EntryKind::unset) all.push_back(entry);
  }
  return page_of(all, epoch_, request.cursor);
}

Result<wire::AckReply> FakeRegistry::call(const wire::AckRequest& request) {
  RETURN_IF_ERROR(here());
  const Code code = std::exchange(ack_code, Code::ok);
  if (code != Code::ok) return Status(code, "acknowledgement refused");
  acks.push_back(request);
  return wire::AckReply{};
}

Result<wire::FetchReply> FakeRegistry::call(const wire::FetchRequest& request, std::vector<std::string>& bodies) {
  if (before_fetch) before_fetch();
  RETURN_IF_ERROR(here());
  ++fetches;
  bodies.clear();
  wire::FetchReply reply;
  for (const Hash256& hash : request.artefacts) {
    if (reply.answered == artefacts_per_fetch) break;
    ++reply.answered;
    const auto it = artefacts_.find(hash);
    if (it == artefacts_.end()) {
      reply.missing.push_back(hash);
      continue;
    }
    reply.found.push_back(hash);
    bodies.push_back(it->second);
  }
  return reply;
}

}  // namespace espalier::shard
