// Candidates of runs and datasets from table Y. A run's place is ~epoch of its start and UUID: the newest first. A
// dataset's is its fingerprint.
#include <algorithm>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/search/sources.h"

namespace espalier::registry::search {
namespace {

constexpr std::size_t kPlaceBytes = keys::kEpochBytes + sizeof(Uuid);
constexpr std::size_t kMostLookedAt = 512;  ///< marks, to tell which run: each may cost a look into the store

std::string complement_of(std::uint64_t epoch) {
  std::string bytes;
  append_u64_be(bytes, ~epoch);
  return bytes;
}

/// Calls with the place of each run that runs as of the epoch, and counts steps; stops behind `most` of them.
template <class Take>
Status each_running(const Context& context, const ModelName& model, std::size_t most, std::size_t& steps,
                    const Take& take) {
  const auto walk = [&](const std::string& prefix, const std::string& end) -> Status {
    ASSIGN_OR_RETURN(Range range, Range::open(context.records.store, prefix, end, false));
    for (; range.valid() && steps < most; range.next()) {
      ++steps;
      const std::string_view key = range.key();
      if (key.size() < kPlaceBytes) return corrupt("a key of table Y is cut short");
      const std::string_view place = key.substr(key.size() - kPlaceBytes);
      if (~load_u64_be(place.data()) <= context.epoch) take(place);
    }
    return range.status();
  };
  const std::string open = keys::record_index(model.tenant, model.model, keys::RecordIndex::open);
  RETURN_IF_ERROR(walk(open, keys::behind(open)));
  // Ended since: newest first.
  const std::string ended = keys::record_index(model.tenant, model.model, keys::RecordIndex::ended);
  return walk(ended, ended + complement_of(context.epoch));
}

/// Whether a tail lies where `start` begins.
bool is_behind(const Start& start, std::string_view tail, bool descending) {
  const std::string_view head = tail.substr(0, start.bytes.size());
  switch (start.at) {
    case Start::At::beginning: return true;
    case Start::At::behind_tail: return descending ? tail < start.bytes : tail > start.bytes;
    case Start::At::at_order_key: return descending ? head <= start.bytes : head >= start.bytes;
    case Start::At::behind_order_key: return descending ? head < start.bytes : head > start.bytes;
  }
  return true;
}

/// Entries of an index whose keys end in an order key of `order_bytes` and a place, merged with the tails of those that
/// are running.
class ByEntry final : public Source {
 public:
  ByEntry(std::optional<Range> range, std::size_t prefix_bytes, std::size_t order_bytes, std::uint64_t epoch,
          bool descending, std::size_t place_bytes = kPlaceBytes)
      : range_(std::move(range)),
        prefix_bytes_(prefix_bytes),
        order_bytes_(order_bytes),
        place_bytes_(place_bytes),
        epoch_(epoch),
        descending_(descending) {}

  /// REQUIRES: nothing was read yet.
  void merge(std::vector<std::string> running, std::size_t steps) {
    running_ = std::move(running);
    std::ranges::sort(running_);
    if (descending_) std::ranges::reverse(running_);
    steps_ += steps;
  }

  Result<bool> next(Candidate& to) override {
    const bool has_entry = range_ && range_->valid();
    if (range_ && !has_entry) RETURN_IF_ERROR(range_->status());
    const std::string_view entry = has_entry ? range_->key().substr(prefix_bytes_) : std::string_view();
    if (has_entry && entry.size() != order_bytes_ + place_bytes_) return corrupt("a key of table Y is cut short");
    if (at_ < running_.size() && (!has_entry || (descending_ ? running_[at_] > entry : running_[at_] < entry))) {
      give(running_[at_++], to);
      return true;
    }
    if (!has_entry) return false;
    give(entry, to);
    if (range_->value().size() != sizeof(std::uint64_t)) return corrupt("table Y: 8 bytes expected");
    to.is_later = load<std::uint64_t>(range_->value().data()) > epoch_;
    range_->next();
    return true;
  }

 private:
  void give(std::string_view tail, Candidate& to) {
    ++steps_;
    to.is_later = false;
    to.tail = tail;
    to.order_key = tail.substr(0, order_bytes_);
    to.place = tail.substr(order_bytes_);
    to.record.reset();
  }

  std::optional<Range> range_;
  const std::size_t prefix_bytes_, order_bytes_, place_bytes_;
  const std::uint64_t epoch_;
  const bool descending_;
  std::vector<std::string> running_;  ///< tails, in order
  std::size_t at_ = 0;                ///< in running_
};

/// Table N: of each fingerprint the newest record as of the epoch comes with it.
class ByFingerprint final : public Source {
 public:
  ByFingerprint(Range range, std::string prefix, std::uint64_t epoch)
      : range_(std::move(range)), prefix_(std::move(prefix)), epoch_(epoch) {}

  Result<bool> next(Candidate& to) override {
    while (range_.valid()) {
      ++steps_;
      const std::string_view tail = range_.key().substr(prefix_.size());
      if (tail.size() != sizeof(Hash256) + keys::kEpochBytes) return corrupt("a key of table N is cut short");
      const std::string place(tail.substr(0, sizeof(Hash256)));
      if (~load_u64_be(tail.data() + sizeof(Hash256)) > epoch_) {
        // Over those that came later; where nothing is left of it, this is the next one's.
        range_.skip_to(prefix_ + place + complement_of(epoch_));
        continue;
      }
      to.place = place;
      to.tail = place;
      to.order_key.clear();
      to.record = range_.value();
      steps_ += to.record->size() / kBytesInStep;
      to.is_later = false;
      range_.skip_to(keys::behind(prefix_ + place));
      return true;
    }
    RETURN_IF_ERROR(range_.status());
    return false;
  }

 private:
  Range range_;
  const std::string prefix_;
  const std::uint64_t epoch_;
};

Result<std::optional<double>> last_value(const Context& context, const ModelName& model, std::string_view place,
                                         const std::string& metric) {
  ASSIGN_OR_RETURN(const Uuid run, Uuid::from_bytes(place.substr(keys::kEpochBytes)));
  const std::string prefix = keys::run_part(model.tenant, run, keys::RunPart::last);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(context.records.store, prefix, context.epoch));
  if (!dated) return std::optional<double>();
  const auto last = wire::decode<wire::RunLast>(dated->value);
  if (!last.ok()) return bad_record(prefix, last.status());
  const auto found = last->metrics.find(metric);
  return found == last->metrics.end() ? std::optional<double>() : found->second.value;
}

}  // namespace

Result<bool> are_few_running(const Context& context, const ModelName& model) {
  std::size_t steps = 0;
  RETURN_IF_ERROR(each_running(context, model, kMostLookedAt, steps, [](std::string_view) {}));
  context.steps += steps;
  return steps < kMostLookedAt;
}

Result<std::unique_ptr<Source>> runs_by_attribute(const Context& context, const ModelName& model, const Path& path,
                                                  const Start& start) {
  if (path.name == "status" && path.text == wire::run_status_name(wire::RunStatus::running)) {
    std::size_t steps = 0;
    std::vector<std::string> running;
    RETURN_IF_ERROR(each_running(context, model, SIZE_MAX, steps, [&](std::string_view place) {
      if (is_behind(start, place, false)) running.emplace_back(place);
    }));
    auto source = std::make_unique<ByEntry>(std::nullopt, 0, 0, context.epoch, false);
    source->merge(std::move(running), steps);
    return std::unique_ptr<Source>(std::move(source));
  }
  const std::string prefix = keys::index_attribute(
      keys::record_index(model.tenant, model.model, keys::RecordIndex::attributes), path.name, path.text);
  std::string begin = prefix, end = keys::behind(prefix);
  begin_at(start, prefix, false, begin, end);
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), std::move(end), false));
  return std::unique_ptr<Source>(std::make_unique<ByEntry>(std::move(range), prefix.size(), 0, context.epoch, false));
}

Result<std::unique_ptr<Source>> runs_by_number(const Context& context, const ModelName& model, const Path& path,
                                               const Start& start) {
  const std::string name = (path.text.empty() ? "metrics" : path.text) + "." + path.name;
  const std::string prefix =
      keys::index_number(keys::record_index(model.tenant, model.model, keys::RecordIndex::numbers), name);
  std::string begin = prefix + path.low, end = keys::behind(prefix + path.high);
  begin_at(start, prefix, path.descending, begin, end);
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), std::move(end), path.descending));
  auto source =
      std::make_unique<ByEntry>(std::move(range), prefix.size(), path.low.size(), context.epoch, path.descending);
  if (!path.text.empty()) return std::unique_ptr<Source>(std::move(source));
  std::size_t steps = 0;
  std::vector<std::string> places, running;
  RETURN_IF_ERROR(
      each_running(context, model, SIZE_MAX, steps, [&](std::string_view place) { places.emplace_back(place); }));
  for (const std::string& place : places) {
    steps += kReadCost;
    ASSIGN_OR_RETURN(const auto value, last_value(context, model, place, path.name));
    if (!value) continue;
    const std::string number = sortable(*value);
    const std::string tail = number + place;
    if (number >= path.low && number <= path.high && is_behind(start, tail, path.descending)) running.push_back(tail);
  }
  source->merge(std::move(running), steps);
  return std::unique_ptr<Source>(std::move(source));
}

Result<std::unique_ptr<Source>> datasets_by_fingerprint(const Context& context, const ModelName& tenant,
                                                        const Start& start) {
  const std::string prefix = keys::of_tenant(keys::Table::dataset, tenant.tenant);
  std::string begin = prefix;
  if (start.at != Start::At::beginning) begin = keys::behind(prefix + start.bytes);
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), keys::behind(prefix), false));
  return std::unique_ptr<Source>(std::make_unique<ByFingerprint>(std::move(range), prefix, context.epoch));
}

Result<std::unique_ptr<Source>> datasets_by_entry(const Context& context, const ModelName& tenant, const Path& path,
                                                  const Start& start) {
  const bool by_commit = path.access != Access::attribute;
  std::string prefix =
      keys::record_index(tenant.tenant, {}, by_commit ? keys::RecordIndex::made : keys::RecordIndex::attributes);
  if (!by_commit) prefix = keys::index_attribute(prefix, path.name, path.text);
  // Newest first.
  std::string begin = by_commit ? prefix + complement(path.high) : prefix;
  std::string end = keys::behind(by_commit ? prefix + complement(path.low) : prefix);
  begin_at(start, prefix, path.descending, begin, end);
  ASSIGN_OR_RETURN(auto range, Range::open(context.records.store, std::move(begin), std::move(end), path.descending));
  return std::unique_ptr<Source>(std::make_unique<ByEntry>(std::move(range), prefix.size(),
                                                           by_commit ? keys::kEpochBytes : 0, context.epoch,
                                                           path.descending, sizeof(Hash256)));
}

}  // namespace espalier::registry::search
