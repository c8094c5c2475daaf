#include "registry/search/sources.h"

#include <algorithm>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/search/index.h"

namespace espalier::registry::search {

Result<Range> Range::open(Store& store, std::string begin, std::string end, bool backwards) {
  Range range;
  ASSIGN_OR_RETURN(range.cursor_, store.scan());
  range.begin_ = std::move(begin);
  range.end_ = std::move(end);
  range.backwards_ = backwards;
  if (backwards) {
    range.cursor_->seek_before(range.end_);
  } else {
    range.cursor_->seek(range.begin_);
  }
  return range;
}

bool Range::valid() const {
  return cursor_->valid() && cursor_->key() >= std::string_view(begin_) && cursor_->key() < std::string_view(end_);
}

void begin_at(const Start& start, std::string_view prefix, bool backwards, std::string& begin, std::string& end) {
  const std::string key = std::string(prefix).append(start.bytes);
  switch (start.at) {
    case Start::At::beginning: return;
    case Start::At::behind_tail:
      if (backwards) {
        end = std::min(end, key);
      } else {
        begin = std::max(begin, key + '\0');
      }
      return;
    case Start::At::at_order_key:
      if (backwards) {
        end = std::min(end, keys::behind(key));
      } else {
        begin = std::max(begin, key);
      }
      return;
    case Start::At::behind_order_key:
      if (backwards) {
        end = std::min(end, key);
      } else {
        begin = std::max(begin, keys::behind(key));
      }
      return;
  }
}

namespace {

constexpr std::size_t kOrderKeyBytes = 8;
constexpr std::size_t kLookUpCost = 8;  ///< steps that looking up a UUID is worth

class ByPartition final : public Source {
 public:
  ByPartition(Range range, std::size_t prefix_bytes, std::uint64_t epoch)
      : range_(std::move(range)), prefix_bytes_(prefix_bytes), epoch_(epoch) {}

  Result<bool> next(Candidate& to) override {
    if (!range_.valid()) {
      RETURN_IF_ERROR(range_.status());
      return false;
    }
    ++steps_;
    ASSIGN_OR_RETURN(const keys::VersionKey key, keys::parse_version(range_.key(), prefix_bytes_));
    to.is_later = key.epoch > epoch_;
    to.place = range_.key().substr(prefix_bytes_);
    to.tail = to.place;
    to.order_key.clear();
    to.record = range_.value();
    range_.next();
    return true;
  }

 private:
  Range range_;
  const std::size_t prefix_bytes_;
  const std::uint64_t epoch_;
};

class ByNumber final : public Source {
 public:
  ByNumber(Range range, std::size_t prefix_bytes, std::uint64_t epoch)
      : range_(std::move(range)), prefix_bytes_(prefix_bytes), epoch_(epoch) {}

  Result<bool> next(Candidate& to) override {
    if (!range_.valid()) {
      RETURN_IF_ERROR(range_.status());
      return false;
    }
    ++steps_;
    const std::string_view tail = range_.key().substr(prefix_bytes_);
    if (tail.size() != kOrderKeyBytes + sizeof(std::uint64_t) + sizeof(Uuid)) {
      return corrupt("a key of table X is cut short");
    }
    const std::uint64_t epoch = load_u64_be(tail.data() + kOrderKeyBytes);
    ASSIGN_OR_RETURN(const Uuid version, Uuid::from_bytes(tail.substr(tail.size() - sizeof(Uuid))));
    to.is_later = epoch > epoch_;
    to.place = keys::version_at({}, range_.value(), epoch, version);
    to.tail = tail;
    to.order_key = tail.substr(0, kOrderKeyBytes);
    to.record.reset();
    range_.next();
    return true;
  }

 private:
  Range range_;
  const std::size_t prefix_bytes_;
  const std::uint64_t epoch_;
};

/// Versions by commit. Tails are epoch, block, place in the block (4 bytes each but the epoch).
class ByCommit final : public Source {
 public:
  ByCommit(Store& store, std::string prefix, const Path& path, std::uint64_t epoch)
      : store_(store), prefix_(std::move(prefix)), path_(path), epoch_(epoch) {}

  /// Of the commits of an attribute only.
  Status open_attribute(const std::string& prefix, const Start& start) {
    std::string begin = prefix + path_.low;
    std::string end = keys::behind(prefix + std::min(path_.high, as_key(epoch_)));
    Start outer = start;
    if (start.at == Start::At::behind_tail) {
      outer = {Start::At::at_order_key, start.bytes.substr(0, kOrderKeyBytes)};
      inner_start_ = start;
    }
    begin_at(outer, prefix, path_.descending, begin, end);
    attribute_bytes_ = prefix.size();
    ASSIGN_OR_RETURN(auto range, Range::open(store_, std::move(begin), std::move(end), path_.descending));
    attributes_.emplace(std::move(range));
    return {};
  }

  /// Of the commits from `low` to `high`, 8 bytes each.
  Status open_blocks(const std::string& low, const std::string& high, const Start& start) {
    std::string begin = prefix_ + low;
    std::string end = keys::behind(prefix_ + std::min(high, as_key(epoch_)));
    Start at = start;
    if (start.at == Start::At::behind_tail && start.bytes.size() == 16) {
      // The block itself may have more: what was given of it is passed over.
      at = {Start::At::at_order_key, start.bytes.substr(0, 12)};
      passed_ = start.bytes;
    }
    begin_at(at, prefix_, path_.descending, begin, end);
    ASSIGN_OR_RETURN(auto range, Range::open(store_, std::move(begin), std::move(end), path_.descending));
    blocks_.emplace(std::move(range));
    return {};
  }

  Result<bool> next(Candidate& to) override {
    for (;;) {
      while (at_ < listed_.size()) {
        ++steps_;
        const std::size_t i = path_.descending ? listed_.size() - 1 - at_ : at_;
        ++at_;
        std::string tail = block_tail_;
        append_u32_be(tail, static_cast<std::uint32_t>(i));
        if (!passed_.empty() && (path_.descending ? tail >= passed_ : tail <= passed_)) continue;
        to.place = keys::version_at({}, listed_[i].components, load_u64_be(tail.data()), listed_[i].version);
        to.order_key = tail.substr(0, kOrderKeyBytes);
        to.tail = std::move(tail);
        to.record.reset();
        return true;
      }
      ASSIGN_OR_RETURN(const bool more, next_block());
      if (!more) return false;
    }
  }

 private:
  Result<bool> next_block() {
    for (;;) {
      if (blocks_ && blocks_->valid()) break;
      if (blocks_) RETURN_IF_ERROR(blocks_->status());
      if (!attributes_ || !attributes_->valid()) {
        if (attributes_) RETURN_IF_ERROR(attributes_->status());
        return false;
      }
      ++steps_;
      const std::string epoch(attributes_->key().substr(attribute_bytes_));
      attributes_->next();
      Start start;
      if (inner_start_ && inner_start_->bytes.starts_with(epoch)) start = *inner_start_;
      inner_start_.reset();
      RETURN_IF_ERROR(open_blocks(epoch, epoch, start));
    }
    ++steps_;
    block_ = blocks_->value();
    block_tail_ = blocks_->key().substr(prefix_.size());
    if (block_tail_.size() != 12) return corrupt("a key of table X is cut short");
    ASSIGN_OR_RETURN(listed_, versions_of_block(block_));
    at_ = 0;
    blocks_->next();
    return true;
  }

  Store& store_;
  const std::string prefix_;
  const Path path_;
  const std::uint64_t epoch_;
  std::optional<Range> attributes_;
  std::size_t attribute_bytes_ = 0;
  std::optional<Start> inner_start_;
  std::optional<Range> blocks_;
  std::string passed_;  ///< tail of the last candidate that an earlier page had
  std::string block_, block_tail_;
  std::vector<ListedVersion> listed_;  ///< of block_
  std::size_t at_ = 0;
};

/// Versions or releases by UUID: `by_uuid` gives the key of the index, whose value is the record's key.
class ByUuid final : public Source {
 public:
  using IndexKey = std::string (*)(std::string_view tenant, const Uuid& uuid);
  ByUuid(const Context& context, const ModelName& model, std::string prefix, const Path& path, const Start& start,
         IndexKey index_key)
      : context_(context), tenant_(model.tenant), prefix_(std::move(prefix)), uuids_(path.uuids), key_of_(index_key) {
    if (start.at == Start::At::beginning) return;
    while (at_ < uuids_.size() && uuids_[at_].view() <= start.bytes) ++at_;
  }

  Result<bool> next(Candidate& to) override {
    while (at_ < uuids_.size()) {
      steps_ += kLookUpCost;
      const Uuid& uuid = uuids_[at_++];
      ASSIGN_OR_RETURN(const auto key, context_.records.store.get(key_of_(tenant_, uuid)));
      if (!key || !key->starts_with(prefix_)) continue;
      ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::epoch_before_uuid(*key));
      if (epoch > context_.epoch) continue;
      to.place = key->substr(prefix_.size());
      to.tail = uuid.view();
      to.order_key.clear();
      to.record.reset();
      return true;
    }
    return false;
  }

 private:
  const Context& context_;
  const std::string tenant_, prefix_;
  const std::vector<Uuid> uuids_;
  const IndexKey key_of_;
  std::size_t at_ = 0;
};

/// The versions that a tag points at. Tails: "." and the node's components.
class ByTag final : public Source {
 public:
  ByTag(const Context& context, const ModelName& model, const Path& path, const Start& start)
      : context_(context),
        tenant_(model.tenant),
        tag_(path.text),
        prefix_(keys::tag_prefix(model.tenant, model.model, path.text)),
        inside_(path.inside),
        versions_(keys::versions_prefix(model.tenant, model.model)) {
    if (start.at != Start::At::beginning && !start.bytes.empty()) after_ = start.bytes.substr(1);
  }

  Result<bool> next(Candidate& to) override {
    for (;;) {
      while (at_ < entries_.size()) {
        steps_ += kLookUpCost;
        const Pointed& pointed = entries_[at_++];
        // Mostly the commit that made the version moved the tag too: then the record is where that says.
        std::string key = keys::version_at(versions_, pointed.components, pointed.epoch, pointed.version);
        ASSIGN_OR_RETURN(to.record, context_.records.store.get(key));
        if (!to.record) {
          ASSIGN_OR_RETURN(auto known, context_.records.store.get(keys::version_by_uuid(tenant_, pointed.version)));
          if (!known || !known->starts_with(versions_)) continue;
          key = *std::move(known);
        }
        to.place = key.substr(versions_.size());
        to.tail = "." + pointed.components;
        to.order_key.clear();
        to.tag = tag_;
        return true;
      }
      if (ended_) return false;
      RETURN_IF_ERROR(read_more());
    }
  }

 private:
  struct Pointed {
    std::string components;
    Uuid version;
    std::uint64_t epoch;  ///< of the tag's entry
  };

  Status read_more() {
    constexpr std::size_t kAtOnce = 256;
    entries_.clear();
    at_ = 0;
    ended_ = true;
    std::size_t seen = 0;
    return context_.records.tags.each(prefix_, context_.epoch, inside_, after_,
                                      [&](std::string_view components, const wire::TagEntry& entry) {
                                        if (++seen > kAtOnce) {
                                          ended_ = false;
                                          return false;
                                        }
                                        after_ = components;
                                        if (entry.kind == wire::EntryKind::version) {
                                          entries_.push_back({std::string(components), entry.version, entry.epoch});
                                        }
                                        return true;
                                      });
  }

  const Context& context_;
  const std::string tenant_;
  const std::string_view tag_;  ///< the path's
  const std::string prefix_, inside_, versions_;
  std::optional<std::string> after_;
  std::vector<Pointed> entries_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

/// Where the versions of the path's partition stand.
void partition_range(const std::string& prefix, const Path& path, std::string& begin, std::string& end) {
  const std::string components = keys::components(path.partition);
  begin = path.with_subtree ? prefix + components : keys::node(prefix, components);
  end = keys::behind(begin);
}

}  // namespace

Result<std::unique_ptr<Source>> versions_by_partition(const Context& context, const ModelName& model, const Path& path,
                                                      const Start& start) {
  const std::string prefix = keys::versions_prefix(model.tenant, model.model);
  std::string begin, end;
  partition_range(prefix, path, begin, end);
  begin_at(start, prefix, false, begin, end);
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), std::move(end), false));
  return std::unique_ptr<Source>(std::make_unique<ByPartition>(std::move(range), prefix.size(), context.epoch));
}

Result<std::unique_ptr<Source>> versions_by_number(const Context& context, const ModelName& model, const Path& path,
                                                   const Start& start) {
  const std::string prefix =
      keys::index_number(keys::index_prefix(model.tenant, model.model, keys::Index::numbers), path.name);
  std::string begin = prefix + path.low, end = keys::behind(prefix + path.high);
  begin_at(start, prefix, path.descending, begin, end);
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), std::move(end), path.descending));
  return std::unique_ptr<Source>(std::make_unique<ByNumber>(std::move(range), prefix.size(), context.epoch));
}

Result<std::unique_ptr<Source>> versions_by_commit(const Context& context, const ModelName& model, const Path& path,
                                                   const Start& start) {
  Store& store = context.records.store;
  auto source = std::make_unique<ByCommit>(store, keys::index_prefix(model.tenant, model.model, keys::Index::commits),
                                           path, context.epoch);
  if (path.access == Access::attribute) {
    RETURN_IF_ERROR(source->open_attribute(
        keys::index_attribute(keys::index_prefix(model.tenant, model.model, keys::Index::attributes), path.name,
                              path.text),
        start));
  } else if (path.access == Access::release) {
    ASSIGN_OR_RETURN(const auto key, store.get(keys::release_by_uuid(model.tenant, path.uuids.front())));
    if (key && key->starts_with(keys::releases_prefix(model.tenant, model.model))) {
      ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::epoch_before_uuid(*key));
      RETURN_IF_ERROR(source->open_blocks(as_key(epoch), as_key(epoch), start));
    }
  } else {
    RETURN_IF_ERROR(source->open_blocks(path.low, path.high, start));
  }
  return std::unique_ptr<Source>(std::move(source));
}

Result<std::unique_ptr<Source>> versions_by_uuid(const Context& context, const ModelName& model, const Path& path,
                                                 const Start& start) {
  return std::unique_ptr<Source>(std::make_unique<ByUuid>(
      context, model, keys::versions_prefix(model.tenant, model.model), path, start, &keys::version_by_uuid));
}

Result<std::unique_ptr<Source>> versions_by_tag(const Context& context, const ModelName& model, const Path& path,
                                                const Start& start) {
  return std::unique_ptr<Source>(std::make_unique<ByTag>(context, model, path, start));
}

Result<std::unique_ptr<Source>> releases_by_uuid(const Context& context, const ModelName& model, const Path& path,
                                                 const Start& start) {
  return std::unique_ptr<Source>(std::make_unique<ByUuid>(
      context, model, keys::releases_prefix(model.tenant, model.model), path, start, &keys::release_by_uuid));
}

Result<std::unique_ptr<Source>> runs_by_uuid(const Context& context, const ModelName& model, const Path& path,
                                             const Start& start) {
  return std::unique_ptr<Source>(std::make_unique<ByUuid>(
      context, model, keys::of_model(keys::Table::run, model.tenant, model.model), path, start, &keys::run_by_uuid));
}

}  // namespace espalier::registry::search
