#include "registry/search/search.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/bytes.h"
#include "common/hash.h"
#include "common/scheduling.h"
#include "registry/keys.h"
#include "registry/operations.h"
#include "registry/reading.h"
#include "registry/search/candidates.h"
#include "registry/search/kinds.h"
#include "registry/search/version_item.h"

namespace espalier::registry::search {
namespace {

/// Steps that a record is worth which a table gave in passing.
constexpr std::size_t kDecodeCost = 4;

/// All that the pages of one search share.
std::uint64_t hash_of(const Principal& principal, const wire::SearchRequest& request) {
  std::string bytes;
  for (const std::string* text :
       {&principal.name(), &request.kind, &request.tenant, &request.model, &request.where, &request.order}) {
    append(bytes, static_cast<std::uint64_t>(text->size()));
    bytes.append(*text);
  }
  return xxh3_64(bytes);
}

class Search {
 public:
  Search(Records& records, const Principal& principal, const wire::SearchRequest& request, std::size_t most_work)
      : principal_(principal), request_(request), most_work_(most_work), context_(records) {}

  Result<wire::SearchReply> run() {
    RETURN_IF_ERROR(prepare());
    if (context_.epoch == 0) return std::move(reply_);
    ASSIGN_OR_RETURN(Candidates candidates, Candidates::open(context_, query_, plan_, cursor_));
    if (plan_.streams) {
      RETURN_IF_ERROR(stream(candidates));
    } else {
      RETURN_IF_ERROR(keep_best(candidates));
    }
    return std::move(reply_);
  }

  /// REQUIRES: the query has no order, so that all candidates are looked at in turn.
  Status each(const std::function<Status(const Item& item)>& take) {
    RETURN_IF_ERROR(prepare());
    if (context_.epoch == 0) return {};
    if (!plan_.streams) return Status(Code::internal, "search: an order was asked for");
    ASSIGN_OR_RETURN(Candidates candidates, Candidates::open(context_, query_, plan_, cursor_));
    Candidate candidate;
    for (;;) {
      give_way();
      ASSIGN_OR_RETURN(const bool more, candidates.next(candidate));
      if (!more) return {};
      ASSIGN_OR_RETURN(const auto item, passing(candidate, candidates.phase()));
      if (item) RETURN_IF_ERROR(take(*item));
    }
  }

 private:
  /// Up to the plan; nothing to plan where nothing was committed yet.
  Status prepare() {
    RETURN_IF_ERROR(parse());
    RETURN_IF_ERROR(take_cursor());
    reply_.generation = context_.records.store.generation();
    reply_.epoch = context_.epoch;
    if (context_.epoch == 0) return {};
    RETURN_IF_ERROR(query_.kind->find_scope(context_, principal_, request_.tenant, request_.model));
    std::optional<std::uint8_t> way;
    if (!request_.cursor.empty()) way = cursor_.way;
    ASSIGN_OR_RETURN(plan_, make_plan(context_, query_, way));
    cursor_.way = plan_.way;
    context_.steps = 0;  // each page finds all models: what it may cost is counted from here on
    return {};
  }

  Status parse() {
    RETURN_IF_ERROR(check_allowed(principal_, request_));
    ASSIGN_OR_RETURN(query_.kind, find_kind(request_.kind));
    ASSIGN_OR_RETURN(query_.filter, Filter::parse(request_.where, query_.kind->fields()));
    ASSIGN_OR_RETURN(query_.order, parse_order(request_.order, query_.kind->fields()));
    if (request_.model.empty()) return {};
    if (request_.tenant.empty()) return invalid_argument("model: needs its tenant");
    return model::check_name("model", request_.model);
  }

  /// Generation and epoch: those of the cursor, or of the request.
  Status take_cursor() {
    Store& store = context_.records.store;
    cursor_.query = hash_of(principal_, request_);
    cursor_.generation = store.generation();
    if (!request_.cursor.empty()) {
      const std::uint64_t query = cursor_.query;
      ASSIGN_OR_RETURN(cursor_, SearchCursor::parse(request_.cursor));
      if (cursor_.query != query) {
        return invalid_argument("cursor: of another search (kind, tenant, model, where and order stay the same)");
      }
      if (cursor_.generation != store.generation()) {
        return failed_precondition("cursor: of generation " + std::to_string(cursor_.generation) +
                                   ", this is generation " + std::to_string(store.generation()) + ": search anew");
      }
      context_.epoch = cursor_.epoch;
    } else {
      const bool is_of_commits = query_.kind->is_of_commits();
      ASSIGN_OR_RETURN(context_.epoch, is_of_commits ? commit_as_of_request() : as_of_request());
    }
    if (query_.kind->is_of_commits()) {
      RETURN_IF_ERROR(context_.records.feed.commit_as_of(context_.epoch, 0).status());
    } else {
      RETURN_IF_ERROR(context_.records.feed.check_kept(context_.epoch));
    }
    cursor_.epoch = context_.epoch;
    return {};
  }

  /// Of one model: of a time before its import, as its history has it.
  Result<std::uint64_t> as_of_request() const {
    const Records& records = context_.records;
    if (request_.model.empty()) return records.feed.as_of(request_.epoch, request_.time_us);
    return records.imports.as_of(records.feed, request_.tenant, request_.model, request_.epoch, request_.time_us);
  }

  Result<std::uint64_t> commit_as_of_request() const {
    const Records& records = context_.records;
    return records.imports.commit_as_of(records.feed, request_.tenant, request_.model, request_.epoch,
                                        request_.time_us);
  }

  /// Each request gets on by one candidate at least.
  bool may_go_on(const Candidates& candidates) const {
    return seen_ == 0 || (candidates.steps() + context_.steps < most_work_ && page_bytes_ < kMaxPageBytes);
  }

  /// What reading the thing's fields has cost since this was asked last.
  void count_steps_of(const Item& item) { context_.steps += std::exchange(item.steps, 0); }

  /// The thing, if it is there and passes.
  Result<std::unique_ptr<Item>> passing(const Candidate& candidate, std::uint8_t phase) {
    ++seen_;
    if (candidate.is_later || !candidate.place.starts_with(plan_.path.inside)) return std::unique_ptr<Item>();
    context_.steps += candidate.record ? kDecodeCost : kReadCost;
    ASSIGN_OR_RETURN(auto item, query_.kind->load(context_, candidate));
    if (!item) return item;
    if (phase > 0) {
      // The index has given those that have a value.
      ASSIGN_OR_RETURN(const Value value, query_.order.front().field.read(*item));
      if (!is_missing(value)) return std::unique_ptr<Item>();
    }
    ASSIGN_OR_RETURN(const bool passes, query_.filter.matches(*item));
    count_steps_of(*item);
    if (!passes) item.reset();
    return item;
  }

  Status add_row(std::size_t scope, const Item& item) {
    const ModelName& model = context_.scope[scope];
    wire::SearchRow row;
    row.tenant = model.tenant;
    row.model = model.model;
    ASSIGN_OR_RETURN(row.record, query_.kind->record_of(context_, item));
    page_bytes_ += row.record.size();
    reply_.rows.push_back(std::move(row));
    return {};
  }

  void go_on_behind(const Candidate& candidate, std::uint8_t phase) {
    cursor_.phase = phase;
    cursor_.tenant = context_.scope[candidate.scope].tenant;
    cursor_.model = context_.scope[candidate.scope].model;
    cursor_.order_key = candidate.order_key;
    cursor_.tail = candidate.tail;
  }

  Status stream(Candidates& candidates) {
    const std::size_t limit = std::clamp<std::uint32_t>(request_.limit, 1, kMaxRows);
    Candidate candidate;
    while (reply_.rows.size() < limit && may_go_on(candidates)) {
      ASSIGN_OR_RETURN(const bool more, candidates.next(candidate));
      if (!more) return {};
      const std::uint8_t phase = candidates.phase();
      ASSIGN_OR_RETURN(const auto item, passing(candidate, phase));
      if (item) RETURN_IF_ERROR(add_row(candidate.scope, *item));
      go_on_behind(candidate, phase);
    }
    reply_.cursor = cursor_.text();
    return {};
  }

  Result<std::string> order_of(const Candidate& candidate, const Item& item) {
    std::string order;
    for (const OrderTerm& term : query_.order) {
      ASSIGN_OR_RETURN(const Value value, term.field.read(item));
      append_sortable(order, value, term.descending);
    }
    const ModelName& model = context_.scope[candidate.scope];
    model::append_component(order, model.tenant);
    model::append_component(order, model.model);
    return order.append(candidate.place);
  }

  /// Whether nothing behind the candidate can come before what is kept.
  bool is_enough(const Candidate& candidate, std::uint8_t phase, std::size_t limit) const {
    if (!plan_.ordered || cursor_.kept.size() < limit) return false;
    const std::string& last = cursor_.kept.rbegin()->second.order_key;
    if (last.empty()) return false;  // it lacks the field, and so will the others
    if (phase > 0) return true;
    return plan_.path.descending ? candidate.order_key < last : candidate.order_key > last;
  }

  Status keep_best(Candidates& candidates) {
    // What a smaller limit let go while this page was being made is gone.
    cursor_.limit = std::min(cursor_.limit, std::clamp<std::uint32_t>(request_.limit, 1, kMaxKept));
    const std::size_t limit = cursor_.limit;
    Candidate candidate;
    for (;;) {
      if (!may_go_on(candidates)) {
        reply_.cursor = cursor_.text();
        return {};
      }
      ASSIGN_OR_RETURN(const bool more, candidates.next(candidate));
      if (!more || is_enough(candidate, candidates.phase(), limit)) break;
      const std::uint8_t phase = candidates.phase();
      go_on_behind(candidate, phase);
      ASSIGN_OR_RETURN(const auto item, passing(candidate, phase));
      if (!item) continue;
      ASSIGN_OR_RETURN(std::string order, order_of(candidate, *item));
      count_steps_of(*item);
      if (!cursor_.bound.empty() && order <= cursor_.bound) continue;
      const ModelName& model = context_.scope[candidate.scope];
      cursor_.kept.emplace(std::move(order), Kept{model.tenant, model.model, candidate.place, candidate.order_key});
      if (cursor_.kept.size() > limit) cursor_.kept.erase(std::prev(cursor_.kept.end()));
    }
    return give_kept(limit);
  }

  Status give_kept(std::size_t limit) {
    auto next_kept = cursor_.kept.begin();
    for (; next_kept != cursor_.kept.end() && page_bytes_ < kMaxPageBytes; ++next_kept) {
      const Kept& kept = next_kept->second;
      const auto at = std::ranges::lower_bound(context_.scope, ModelName{kept.tenant, kept.model});
      if (at == context_.scope.end() || *at != ModelName{kept.tenant, kept.model}) continue;
      Candidate candidate;
      candidate.scope = static_cast<std::size_t>(at - context_.scope.begin());
      candidate.place = kept.place;
      ASSIGN_OR_RETURN(const auto item, query_.kind->load(context_, candidate));
      if (item) RETURN_IF_ERROR(add_row(candidate.scope, *item));
    }
    if (next_kept == cursor_.kept.end() && cursor_.kept.size() < limit) return {};
    const auto& [last_order, last] = *std::prev(next_kept);
    SearchCursor next;
    next.query = cursor_.query;
    next.generation = cursor_.generation;
    next.epoch = cursor_.epoch;
    next.way = cursor_.way;
    next.bound = last_order;
    next.bound_order_key = last.order_key;
    // What lacks the order's field comes last: where the page ended with it, the rest has begun.
    next.phase = plan_.rest && next.bound_order_key.empty() ? 1 : 0;
    reply_.cursor = next.text();
    return {};
  }

  const Principal& principal_;
  const wire::SearchRequest& request_;
  const std::size_t most_work_;
  Context context_;
  Query query_;
  SearchCursor cursor_;
  Plan plan_;
  std::size_t seen_ = 0;  ///< candidates
  std::size_t page_bytes_ = 0;
  wire::SearchReply reply_;
};

}  // namespace

Result<bool> Kind::is_whole(const Context&, std::size_t, const Path&) const { return true; }

Status Kind::find_scope(Context& context, const Principal& principal, const std::string& tenant,
                        const std::string& model) const {
  Records& records = context.records;
  if (!model.empty()) {
    RETURN_IF_ERROR(records.models.get(tenant, model, context.epoch).status());
    context.scope.push_back({tenant, model});
    return {};
  }
  std::string range = keys::table(keys::Table::model);
  if (!tenant.empty()) model::append_component(range, tenant);
  ASSIGN_OR_RETURN(const auto cursor, records.store.scan());
  cursor->seek(range);
  while (cursor->valid() && cursor->key().starts_with(range)) {
    ASSIGN_OR_RETURN(const std::uint64_t epoch, keys::newest_first_epoch(cursor->key()));
    const std::string prefix(cursor->key().substr(0, cursor->key().size() - sizeof(std::uint64_t)));
    if (epoch > context.epoch) {
      std::string as_of = prefix;
      append_u64_be(as_of, ~context.epoch);
      cursor->seek(as_of);
      continue;
    }
    ASSIGN_OR_RETURN(auto names, model::split_components(std::string_view(prefix).substr(1)));
    if (names.size() != 2) return corrupt("a key of table M does not name tenant and model");
    context.steps += kReadCost;
    // Empty: as of then the model isn't there (docs/moving.md).
    const bool is_there = !cursor->value().empty();
    if (is_there && principal.may_read(names[0])) context.scope.push_back({std::move(names[0]), std::move(names[1])});
    cursor->seek(keys::behind(prefix));
  }
  RETURN_IF_ERROR(cursor->status());
  if (context.scope.empty() && !tenant.empty()) return not_found("tenant " + tenant);
  return {};
}

Result<wire::SearchReply> search(Records& records, const Principal& principal, const wire::SearchRequest& request,
                                 std::size_t most_work) {
  return Search(records, principal, request, most_work).run();
}

Status each_version(Records& records, const Principal& principal, const wire::SearchRequest& request,
                    const std::function<Status(const VersionItem& version)>& take) {
  Search search(records, principal, request, std::numeric_limits<std::size_t>::max());
  return search.each([&](const Item& item) { return take(static_cast<const VersionItem&>(item)); });
}

}  // namespace espalier::registry::search
