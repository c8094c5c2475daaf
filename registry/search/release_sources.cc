// Candidates of releases and of nodes.
#include <algorithm>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/search/sources.h"

namespace espalier::registry::search {
namespace {

/// Tables R and U: newest first, so that the order of their keys is the order of ~epoch.
class RecordsByCommit final : public Source {
 public:
  RecordsByCommit(Range range, std::size_t prefix_bytes, bool ordered)
      : range_(std::move(range)), prefix_bytes_(prefix_bytes), ordered_(ordered) {}

  Result<bool> next(Candidate& to) override {
    if (!range_.valid()) {
      RETURN_IF_ERROR(range_.status());
      return false;
    }
    ++steps_;
    to.place = range_.key().substr(prefix_bytes_);
    to.tail = to.place;
    to.order_key = to.place.substr(0, ordered_ ? keys::kEpochBytes : 0);
    to.record = range_.value();
    to.is_later = false;
    range_.next();
    return true;
  }

 private:
  Range range_;
  const std::size_t prefix_bytes_;
  const bool ordered_;
};

/// Index `a`: the commits of an attribute, each with the releases that it made, one for each tag that it moved. Tails
/// are epoch and release.
class ByAttribute final : public Source {
 public:
  /// `given`: a tail; the commit's releases up to it are passed over.
  ByAttribute(Store& store, Range range, std::size_t prefix_bytes, std::string releases, std::string given)
      : store_(store),
        range_(std::move(range)),
        prefix_bytes_(prefix_bytes),
        releases_(std::move(releases)),
        given_(std::move(given)) {}

  Result<bool> next(Candidate& to) override {
    for (;;) {
      while (of_commit_ && of_commit_->valid()) {
        ++steps_;
        to.place = of_commit_->key().substr(releases_.size());
        to.order_key = commit_;
        to.tail = commit_ + to.place.substr(keys::kEpochBytes);
        to.record = of_commit_->value();
        of_commit_->next();
        if (!given_.starts_with(commit_) || to.tail > given_) return true;
      }
      if (of_commit_) RETURN_IF_ERROR(of_commit_->status());
      if (!range_.valid()) break;
      commit_ = range_.key().substr(prefix_bytes_);
      if (commit_.size() != keys::kEpochBytes) return corrupt("a key of table X is cut short");
      ++steps_;
      const std::string prefix = releases_ + complement(commit_);
      ASSIGN_OR_RETURN(of_commit_, Range::open(store_, prefix, keys::behind(prefix), false));
      range_.next();
    }
    RETURN_IF_ERROR(range_.status());
    return false;
  }

 private:
  Store& store_;
  Range range_;
  const std::size_t prefix_bytes_;
  const std::string releases_, given_;
  std::string commit_;  ///< 8 bytes
  std::optional<Range> of_commit_;
};

/// Of each partition of table V its newest version as of the epoch. Places are components, tails "." and these.
class ByNode final : public Source {
 public:
  ByNode(Range range, std::string prefix, std::uint64_t epoch)
      : range_(std::move(range)), prefix_(std::move(prefix)), epoch_(epoch) {}

  Result<bool> next(Candidate& to) override {
    while (range_.valid()) {
      ++steps_;
      ASSIGN_OR_RETURN(const keys::VersionKey key, keys::parse_version(range_.key(), prefix_.size()));
      if (key.epoch > epoch_) {
        range_.skip_to(keys::node_at(prefix_, key.components, epoch_));
        continue;
      }
      if (given_ && *given_ == key.components) {
        range_.next();
        if (!range_.valid() || !same_node(range_.key())) continue;
        range_.skip_to(keys::behind(keys::node(prefix_, *given_)));
        continue;
      }
      given_ = key.components;
      to.place = *given_;
      to.tail = "." + *given_;
      to.order_key.clear();
      to.record = range_.value();
      return true;
    }
    RETURN_IF_ERROR(range_.status());
    return false;
  }

 private:
  bool same_node(std::string_view key) const { return key.starts_with(keys::node(prefix_, *given_)); }

  Range range_;
  const std::string prefix_;
  const std::uint64_t epoch_;
  std::optional<std::string> given_;
};

class OnlyOne final : public Source {
 public:
  explicit OnlyOne(bool given) : given_(given) {}
  Result<bool> next(Candidate& to) override {
    if (std::exchange(given_, true)) return false;
    ++steps_;
    to = Candidate{to.scope, {}, {}, ".", std::nullopt};
    return true;
  }

 private:
  bool given_;
};

}  // namespace

Result<std::unique_ptr<Source>> records_by_commit(const Context& context, const std::string& prefix, const Path& path,
                                                  const Start& start) {
  std::string begin = prefix + complement(std::min(path.high, as_key(context.epoch)));
  std::string end = keys::behind(prefix + complement(path.low));
  begin_at(start, prefix, path.descending, begin, end);
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), std::move(end), path.descending));
  return std::unique_ptr<Source>(
      std::make_unique<RecordsByCommit>(std::move(range), prefix.size(), path.access != Access::none));
}

Result<std::unique_ptr<Source>> releases_by_commit(const Context& context, const ModelName& model, const Path& path,
                                                   const Start& start) {
  return records_by_commit(context, keys::releases_prefix(model.tenant, model.model), path, start);
}

Result<std::unique_ptr<Source>> releases_by_attribute(const Context& context, const ModelName& model, const Path& path,
                                                      const Start& start) {
  const std::string prefix = keys::index_attribute(
      keys::index_prefix(model.tenant, model.model, keys::Index::attributes), path.name, path.text);
  std::string begin = prefix;
  std::string end = keys::behind(prefix + as_key(context.epoch));
  Start at = start;
  std::string given;
  if (start.at == Start::At::behind_tail && start.bytes.size() > keys::kEpochBytes) {
    // The commit may have more releases behind this one.
    given = start.bytes;
    at = {Start::At::at_order_key, start.bytes.substr(0, keys::kEpochBytes)};
  }
  begin_at(at, prefix, path.descending, begin, end);
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), std::move(end), path.descending));
  return std::unique_ptr<Source>(std::make_unique<ByAttribute>(context.records.store, std::move(range), prefix.size(),
                                                               keys::releases_prefix(model.tenant, model.model),
                                                               std::move(given)));
}

Result<std::unique_ptr<Source>> nodes_by_partition(const Context& context, const ModelName& model, const Path& path,
                                                   const Start& start) {
  const std::string prefix = keys::versions_prefix(model.tenant, model.model);
  const std::string components = keys::components(path.partition);
  std::string begin = path.with_subtree ? prefix + components : keys::node(prefix, components);
  std::string end = keys::behind(begin);
  if (start.at != Start::At::beginning && !start.bytes.empty()) {
    begin = std::max(begin, keys::behind(keys::node(prefix, std::string_view(start.bytes).substr(1))));
  }
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), std::move(end), false));
  return std::unique_ptr<Source>(std::make_unique<ByNode>(std::move(range), prefix, context.epoch));
}

std::unique_ptr<Source> only_one(const Start& start) {
  return std::make_unique<OnlyOne>(start.at == Start::At::behind_tail || start.at == Start::At::behind_order_key);
}

}  // namespace espalier::registry::search
