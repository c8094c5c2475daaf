#include "registry/space/marks.h"

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "common/scheduling.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

/// For so long an artefact may lie unnamed: it is about to be published.
constexpr std::int64_t kUnnamedUs = 24ll * 3600 * 1'000'000;
constexpr std::uint32_t kEntriesInPage = 1024;

}  // namespace

Marks::Marks(Records& records, std::string tenant, std::string model, std::int64_t now_us)
    : records_(records), tenant_(std::move(tenant)), only_model_(std::move(model)), now_us_(now_us) {}

Marks::~Marks() { records_.artefacts.unwatch(tenant_); }

Result<bool> Marks::walk(std::size_t& work, const std::string& range, const Take& take) {
  ASSIGN_OR_RETURN(const auto cursor, records_.store.scan());
  for (cursor->seek(at_); cursor->valid() && cursor->key().starts_with(range); cursor->next()) {
    if (work == 0) {
      at_ = cursor->key();
      return false;
    }
    --work;
    give_way();
    RETURN_IF_ERROR(take(cursor->key(), cursor->value()));
  }
  RETURN_IF_ERROR(cursor->status());
  return true;
}

void Marks::enter(Phase phase, std::string range) {
  phase_ = phase;
  at_ = range;
  range_ = std::move(range);
  node_.clear();
  tag_prefix_.clear();
}

Result<bool> Marks::mark_some(std::size_t work) {
  while (work > 0 && phase_ != Phase::done) RETURN_IF_ERROR(mark_phase(work));
  return phase_ != Phase::done;
}

Status Marks::mark_phase(std::size_t& work) {
  const auto go_through = [&](Status (Marks::*take)(std::string_view, std::string_view), auto then) -> Status {
    ASSIGN_OR_RETURN(const bool is_over,
                     walk(work, range_, [&](auto key, auto value) { return (this->*take)(key, value); }));
    if (is_over) return then();
    return {};
  };
  switch (phase_) {
    case Phase::begin: {
      ASSIGN_OR_RETURN(seen_, records_.feed.newest());
      records_.artefacts.watch(tenant_);
      enter(Phase::collected, keys::of_tenant(keys::Table::collected, tenant_));
      return {};
    }
    case Phase::collected: {
      ASSIGN_OR_RETURN(const bool is_over, walk(work, range_, [&](std::string_view key, std::string_view) -> Status {
                         ASSIGN_OR_RETURN(const Uuid version, keys::uuid_at_end(key));
                         gone_.insert(version);
                         return {};
                       }));
      if (is_over) enter(Phase::next_model, keys::of_tenant(keys::Table::model, tenant_));
      return {};
    }
    case Phase::next_model: --work; return next_model();
    case Phase::tags:
      return go_through(&Marks::mark_tag_entry, [&]() -> Status {
        enter(Phase::versions, keys::versions_prefix(tenant_, models_.back()));
        return {};
      });
    case Phase::versions:
      return go_through(&Marks::mark_version, [&]() -> Status {
        const std::string last = keys::model_prefix(tenant_, models_.back());
        enter(Phase::next_model, keys::of_tenant(keys::Table::model, tenant_));
        at_ = keys::behind(last);
        return {};
      });
    case Phase::artefacts:
      return go_through(&Marks::mark_artefact, [&]() -> Status {
        phase_ = Phase::bases;
        return {};
      });
    case Phase::bases: {
      RETURN_IF_ERROR(keep_bases(work));
      if (new_kept_.empty()) phase_ = Phase::done;
      return {};
    }
    case Phase::done: return {};
  }
  return {};
}

Status Marks::next_model() {
  std::string found;
  std::size_t one = 1;
  ASSIGN_OR_RETURN(const bool is_over, walk(one, range_, [&](std::string_view key, std::string_view) {
                     found = key;
                     return Status();
                   }));
  static_cast<void>(is_over);
  if (found.empty()) {
    enter(Phase::artefacts, keys::of_tenant(keys::Table::artefact, tenant_));
    return {};
  }
  ASSIGN_OR_RETURN(const keys::Names names, keys::parse_names(found, 2));
  models_.push_back(names.names[1]);
  rule_ = {};
  if (only_model_.empty() || only_model_ == models_.back()) {
    ASSIGN_OR_RETURN(rule_, records_.retention.rule(tenant_, models_.back()));
  }
  if (rule_.keep_all) {
    enter(Phase::versions, keys::versions_prefix(tenant_, models_.back()));
  } else {
    enter(Phase::tags, keys::of_model(keys::Table::tag, tenant_, models_.back()));
  }
  return {};
}

/// Of each tag and node the newest entry comes first: each of the others was replaced by the one before it.
Status Marks::mark_tag_entry(std::string_view key, std::string_view value) {
  if (tag_prefix_.empty() || !key.starts_with(tag_prefix_)) {
    ASSIGN_OR_RETURN(const keys::Names names, keys::parse_names(key, 3));
    tag_ = names.names[2];
    tag_prefix_ = key.substr(0, names.bytes);
  }
  ASSIGN_OR_RETURN(const keys::TagKey parsed, keys::parse_tag(key, tag_prefix_.size()));
  const std::string_view node = key.substr(0, key.size() - sizeof(std::uint64_t));
  if (node != node_) {
    node_ = node;
    replaced_us_ = 0;
  }
  auto entry = decode_entry(value);
  if (!entry.ok()) return bad_record(key, entry.status());
  if (entry->kind == wire::EntryKind::version && keeps_entry(rule_, now_us_, tag_, replaced_us_)) {
    named_.insert(entry->version);
  }
  replaced_us_ = 1;  // long ago
  if (rule_.keep_days == 0) return {};
  ASSIGN_OR_RETURN(const auto time, records_.store.get(keys::epoch(parsed.epoch)));
  if (!time || time->size() != sizeof replaced_us_) {
    return corrupt("epoch " + std::to_string(parsed.epoch) + " has no time");
  }
  replaced_us_ = load<std::int64_t>(time->data());
  return {};
}

Status Marks::mark_version(std::string_view key, std::string_view value) {
  ASSIGN_OR_RETURN(const keys::VersionKey parsed, keys::parse_version(key, range_.size()));
  auto version = wire::decode<wire::VersionRecord>(value);
  if (!version.ok()) return bad_record(key, version.status());
  const std::string node = keys::node(range_, parsed.components);
  if (node != node_) {
    node_ = node;
    newer_ = 0;
  }
  const auto note_naming = [&] {
    std::int64_t& last = last_named_us_[version->artefact];
    last = std::max(last, version->created_us);
  };
  if (gone_.contains(version->version)) {
    note_naming();
    return {};
  }
  const Candidate candidate{newer_++, version->created_us, named_.contains(version->version)};
  if (keeps(rule_, now_us_, candidate)) {
    keep(version->artefact);
    if (!version->base.is_none()) keep(version->base);
    return {};
  }
  note_naming();
  versions_.push_back({static_cast<std::uint32_t>(models_.size() - 1), std::string(parsed.components), version->version,
                       version->artefact, version->artefact_bytes});
  return {};
}

Status Marks::mark_artefact(std::string_view key, std::string_view value) {
  ASSIGN_OR_RETURN(const Hash256 hash, Hash256::from_bytes(key.substr(key.size() - sizeof(Hash256))));
  if (kept_.contains(hash)) return {};
  auto record = decode_artefact(value);
  if (!record.ok()) return bad_record(key, record.status());
  const auto named = last_named_us_.find(hash);
  const bool was_named_since = named != last_named_us_.end() && record->uploaded_us <= named->second;
  if (!was_named_since && record->uploaded_us > now_us_ - kUnnamedUs) {
    keep(hash);
  } else {
    artefacts_.push_back({hash, record->bytes, record->uploaded_us});
  }
  return {};
}

void Marks::keep(const Hash256& artefact) {
  if (kept_.insert(artefact).second) new_kept_.push_back(artefact);
}

Status Marks::keep_bases(std::size_t& work) {
  for (; !new_kept_.empty() && work > 0; --work) {
    give_way();
    ASSIGN_OR_RETURN(const auto record, records_.artefacts.find(tenant_, new_kept_.back()));
    new_kept_.pop_back();
    if (record && !record->base.is_none()) keep(record->base);
  }
  return {};
}

// Of a change that is behind the horizon the entries that were not read yet are gone.
Result<bool> Marks::is_overtaken() const {
  ASSIGN_OR_RETURN(const std::uint64_t collected, records_.feed.collected());
  return seen_ < collected || (catching_up_ && seen_ <= collected);
}

Result<bool> Marks::catch_up(std::size_t work) {
  ASSIGN_OR_RETURN(const std::uint64_t newest, records_.feed.newest());
  while (work > 0 && (seen_ < newest || catching_up_)) {
    if (!catching_up_) {
      wire::FeedRequest next;
      next.generation = records_.store.generation();
      next.after = seen_;
      next.credit = 1;
      ASSIGN_OR_RETURN(const wire::FeedReply reply, records_.feed.after(next));
      if (reply.changes.empty()) return corrupt("the change after epoch " + std::to_string(seen_) + " is missing");
      --work;
      change_ = reply.changes.front();
      seen_ = change_.epoch;
      if (change_.tenant != tenant_ || change_.kind != wire::ChangeKind::release) continue;
      catching_up_.emplace();
      catching_up_->epoch = seen_;
      catching_up_->limit = kEntriesInPage;
    }
    ASSIGN_OR_RETURN(const PageCursor cursor, PageCursor::parse(catching_up_->cursor));
    ASSIGN_OR_RETURN(wire::EntriesReply page, records_.tags.changed(*catching_up_, change_, cursor));
    for (const wire::TagEntry& entry : page.entries) {
      if (entry.kind != wire::EntryKind::version) continue;
      named_.insert(entry.version);
      keep(entry.artefact);
    }
    work -= std::min<std::size_t>(work, page.entries.size() + 1);
    catching_up_->cursor = std::move(page.cursor);
    if (catching_up_->cursor.empty()) catching_up_.reset();
  }
  // With their bases, which may have been nobody's when the marking came by.
  for (const Hash256& hash : records_.artefacts.uploaded(tenant_)) keep(hash);
  RETURN_IF_ERROR(keep_bases(work));
  return seen_ < newest || catching_up_ || !new_kept_.empty();
}

}  // namespace espalier::registry
