#include "registry/search/plan.h"

#include <algorithm>
#include <cmath>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/search/index.h"

namespace espalier::registry::search {
namespace {

/// What usually names few things first.
int rank(Access access) {
  switch (access) {
    case Access::own_uuid: return 0;
    case Access::release: return 1;
    case Access::tag: return 2;
    case Access::attribute: return 3;
    case Access::partition: return 4;
    case Access::number: return 5;
    case Access::commit: return 6;
    case Access::time: return 7;
    case Access::none: return 8;
  }
  return 9;
}

/// Epoch as which a number counts, at least 0.
std::uint64_t as_epoch(double number) {
  constexpr double kMost = 9.2e18;
  return static_cast<std::uint64_t>(std::clamp(number, 0.0, kMost));
}

/// First epoch at or after a time; the greatest number where there is none.
Result<std::uint64_t> first_epoch_from(Store& store, double time_us) {
  ASSIGN_OR_RETURN(const auto cursor, store.scan());
  cursor->seek(keys::time(static_cast<std::int64_t>(as_epoch(time_us))));
  RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(keys::table(keys::Table::time))) return ~std::uint64_t{0};
  if (cursor->value().size() != sizeof(std::uint64_t)) return corrupt("table e: 8 bytes expected");
  return load<std::uint64_t>(cursor->value().data());
}

/// Last epoch at or before a time; 0 where there is none.
Result<std::uint64_t> last_epoch_until(Store& store, double time_us) {
  ASSIGN_OR_RETURN(const std::uint64_t behind, first_epoch_from(store, std::floor(time_us) + 1));
  return behind == ~std::uint64_t{0} ? behind : behind - 1;
}

/// The record of the import where the search is in one model, and that came with a history.
Result<std::optional<wire::ImportRecord>> import_of(const Context& context) {
  if (context.scope.size() != 1) return std::optional<wire::ImportRecord>();
  ASSIGN_OR_RETURN(auto record, context.records.imports.find(context.scope[0].tenant, context.scope[0].model));
  if (record && record->epoch == 0) record.reset();
  return record;
}

/// The same within the scope: an imported model's first commits have the times that they had elsewhere, and its own
/// come after them.
Result<std::uint64_t> first_commit_from(const Context& context, double time_us) {
  ASSIGN_OR_RETURN(const std::uint64_t epoch, first_epoch_from(context.records.store, time_us));
  ASSIGN_OR_RETURN(const auto import, import_of(context));
  if (!import) return epoch;
  const auto from = static_cast<std::int64_t>(as_epoch(std::ceil(time_us)));
  const ModelName& model = context.scope[0];
  ASSIGN_OR_RETURN(const std::uint64_t imported, context.records.imports.first_from(model.tenant, model.model, from));
  return imported != 0 ? imported : std::max(epoch, import->epoch);
}

Result<std::uint64_t> last_commit_until(const Context& context, double time_us) {
  ASSIGN_OR_RETURN(const auto import, import_of(context));
  if (!import || time_us >= static_cast<double>(import->finished_us)) {
    return last_epoch_until(context.records.store, time_us);
  }
  const auto until = static_cast<std::int64_t>(as_epoch(std::floor(time_us)));
  return context.records.imports.last_until(context.scope[0].tenant, context.scope[0].model, until);
}

/// Whether the order of epochs is the order of times. Not across models of which one came with a history of other
/// times; what others imported doesn't matter. Datasets belong to no model: not where their tenant imported anything.
Result<bool> is_in_order_of_time(const Context& context) {
  if (context.scope.size() == 1 && !context.scope[0].model.empty()) return true;
  ASSIGN_OR_RETURN(const bool any, context.records.imports.has_any());
  if (!any) return true;
  for (const ModelName& model : context.scope) {
    if (model.model.empty()) {
      ASSIGN_OR_RETURN(const bool of_tenant, context.records.imports.has_any(model.tenant));
      if (of_tenant) return false;
      continue;
    }
    ASSIGN_OR_RETURN(const auto import, context.records.imports.find(model.tenant, model.model));
    if (import && import->epoch != 0) return false;
  }
  return true;
}

/// Narrows the path to what the test leaves. The whole filter is tested later: what is kept here may be too much.
Status narrow(const Context& context, const Test& test, Path& path) {
  double least = -HUGE_VAL, most = HUGE_VAL;
  const auto numbers = [&](const auto& choose) {
    return std::get<double>(*std::ranges::min_element(test.literals, [&](const Value& a, const Value& b) {
      return choose(std::get<double>(a), std::get<double>(b));
    }));
  };
  if (test.relation == Relation::equal || test.relation == Relation::greater ||
      test.relation == Relation::greater_equal) {
    least = numbers(std::less<>());
  }
  if (test.relation == Relation::equal || test.relation == Relation::less || test.relation == Relation::less_equal) {
    most = numbers(std::greater<>());
  }
  std::string low = path.low, high = path.high;
  if (path.access == Access::number) {
    if (std::isfinite(least)) low = sortable(least);
    if (std::isfinite(most)) high = sortable(most);
  } else if (path.access == Access::commit) {
    if (std::isfinite(least)) low = as_key(as_epoch(std::floor(least)));
    if (std::isfinite(most)) high = as_key(as_epoch(std::ceil(most)));
  } else {
    if (std::isfinite(least)) {
      ASSIGN_OR_RETURN(const std::uint64_t epoch, first_commit_from(context, least));
      low = as_key(epoch);
    }
    if (std::isfinite(most)) {
      ASSIGN_OR_RETURN(const std::uint64_t epoch, last_commit_until(context, most));
      high = as_key(epoch);
    }
  }
  path.low = std::max(path.low, low);
  path.high = std::min(path.high, high);
  return {};
}

bool has_range(Access access) { return access == Access::number || access == Access::commit || access == Access::time; }

/// What an index knows of the field that a test asks for. A scalar's numbers and its texts have an index each.
Access access_of(const Test& test) {
  const Field& field = *test.field.field;
  if (field.type != Type::scalar || field.access != Access::attribute) return field.access;
  const auto is_number = [](const Value& value) { return std::holds_alternative<double>(value); };
  if (test.literals.empty()) return Access::none;
  if (std::ranges::all_of(test.literals, is_number)) return Access::number;
  return std::ranges::none_of(test.literals, is_number) ? Access::attribute : Access::none;
}

/// Whether only things that have the field pass.
bool needs_value(const Test& test, const FieldRef& field) {
  return test.field == field && test.negated == (test.relation == Relation::missing);
}

class Planner {
 public:
  Planner(const Context& context, const Query& query)
      : context_(context), query_(query), conjuncts_(query.filter.conjuncts()) {}

  Result<Plan> make(std::optional<std::uint8_t> way) {
    ASSIGN_OR_RETURN(has_times_, is_in_order_of_time(context_));
    RETURN_IF_ERROR(add_ways());
    if (!way) {
      ASSIGN_OR_RETURN(way, choose());
    }
    if (*way >= ways_.size()) return invalid_argument("cursor: not one that a reply gave");
    Plan plan = std::move(ways_[*way]);
    plan.way = *way;
    plan.path.inside = keys::components(partition_path().partition);
    return plan;
  }

 private:
  /// The table comes first, so that it is always there; then what tests name, then the order.
  Status add_ways() {
    constexpr std::size_t kMostWays = 32;
    add_way({});
    for (const Test* test : conjuncts_) {
      if (ways_.size() == kMostWays) break;
      ASSIGN_OR_RETURN(const auto path, path_of(*test));
      if (path) add_way(*path);
    }
    if (query_.order.empty()) return {};
    const OrderTerm& term = query_.order.front();
    bool backwards = false;
    const Access access = term.field.field->access;
    if (access == Access::time && !has_times_) return {};
    if (!query_.kind->gives_order(access, backwards) || context_.scope.size() > kMostMerged) return {};
    Plan plan;
    ASSIGN_OR_RETURN(plan.path, range_of(term.field, access));
    plan.path.descending = term.descending != backwards;
    plan.ordered = true;
    plan.streams = query_.order.size() == 1;
    const auto guarantees = [&](const Test* test) { return needs_value(*test, term.field); };
    if (access == Access::number && std::ranges::none_of(conjuncts_, guarantees)) {
      plan.rest = partition_path();
    }
    ordered_ = ways_.size();
    ways_.push_back(std::move(plan));
    return {};
  }

  void add_way(Path path) {
    Plan plan;
    plan.path = std::move(path);
    plan.streams = query_.order.empty();
    ways_.push_back(std::move(plan));
  }

  /// All tests on a field with a range, together.
  Result<Path> range_of(const FieldRef& field, Access access) {
    Path path;
    path.access = access;
    path.name = field.member;
    if (field.field->type == Type::scalar) path.text = field.field->name;
    for (const Test* test : conjuncts_) {
      if (test->negated || test->relation == Relation::missing || !(test->field == field)) continue;
      if (access_of(*test) != access) continue;
      RETURN_IF_ERROR(narrow(context_, *test, path));
    }
    return path;
  }

  Path partition_path() const {
    Path path;
    for (const Test* test : conjuncts_) {
      if (test->field.field->access != Access::partition || test->negated || test->literals.size() != 1) continue;
      if (test->relation != Relation::equal && test->relation != Relation::under) continue;
      const auto partition = model::Partition::parse(std::get<std::string>(test->literals.front()));
      if (!partition.ok() || (path.access == Access::partition && !path.with_subtree)) continue;
      if (path.access == Access::partition && path.partition.size() >= partition->depth()) continue;
      path.access = Access::partition;
      path.partition = partition->values();
      path.with_subtree = test->relation == Relation::under;
    }
    return path;
  }

  /// The way that a test gives, if any.
  Result<std::optional<Path>> path_of(const Test& test) {
    const Access access = access_of(test);
    if (access == Access::time && !has_times_) return std::optional<Path>();
    if (access == Access::none || test.negated || test.relation == Relation::missing) return std::optional<Path>();
    if (has_range(access)) {
      ASSIGN_OR_RETURN(Path path, range_of(test.field, access));
      return std::optional<Path>(std::move(path));
    }
    if (access == Access::partition) {
      Path path = partition_path();
      return path.access == Access::partition ? std::optional<Path>(std::move(path)) : std::nullopt;
    }
    if (test.relation != Relation::equal) return std::optional<Path>();
    Path path;
    path.access = access;
    path.name = test.field.field->name;
    if (test.field.field->family) path.name.append(".").append(test.field.member);
    if (access == Access::own_uuid || access == Access::release) {
      for (const Value& literal : test.literals) {
        ASSIGN_OR_RETURN(const Uuid uuid, Uuid::parse(std::get<std::string>(literal)));
        path.uuids.push_back(uuid);
      }
      std::ranges::sort(path.uuids);
      path.uuids.erase(std::unique(path.uuids.begin(), path.uuids.end()), path.uuids.end());
      if (access == Access::release && path.uuids.size() != 1) return std::optional<Path>();
      return std::optional<Path>(std::move(path));
    }
    if (test.literals.size() != 1) return std::optional<Path>();
    path.text = std::get<std::string>(test.literals.front());
    if (path.text.empty() || path.text.size() > kMaxIndexedTextBytes) return std::optional<Path>();
    return std::optional<Path>(std::move(path));
  }

  Result<std::uint8_t> choose() {
    std::size_t best = 0, fewest = kMostCounted;
    for (std::size_t i = 1; i < ways_.size(); ++i) {
      if (i == ordered_) continue;
      ASSIGN_OR_RETURN(const bool whole, is_whole(ways_[i].path));
      if (!whole) continue;
      ASSIGN_OR_RETURN(const std::size_t count, count_of(ways_[i].path));
      const bool better =
          count < fewest || (count == fewest && rank(ways_[i].path.access) < rank(ways_[best].path.access));
      if (!better) continue;
      best = i;
      fewest = count;
    }
    if (ordered_ != 0 && fewest == kMostCounted) {
      ASSIGN_OR_RETURN(const bool whole, is_whole(ways_[ordered_].path));
      if (whole) best = ordered_;
    }
    return static_cast<std::uint8_t>(best);
  }

  Result<bool> is_whole(const Path& path) {
    for (std::size_t scope = 0; scope < context_.scope.size(); ++scope) {
      ASSIGN_OR_RETURN(const bool whole, query_.kind->is_whole(context_, scope, path));
      if (!whole) return false;
    }
    return true;
  }

  /// Candidates of a path, up to kMostCounted.
  Result<std::size_t> count_of(const Path& path) {
    std::size_t steps = 0;
    for (std::size_t scope = 0; scope < context_.scope.size(); ++scope) {
      ASSIGN_OR_RETURN(const auto source, query_.kind->open(context_, scope, path, {}));
      Candidate candidate;
      steps += kOpenCost;
      const std::size_t before = steps;
      for (;;) {
        ASSIGN_OR_RETURN(const bool more, source->next(candidate));
        steps = before + source->steps();
        if (steps >= kMostCounted) return kMostCounted;
        if (!more) break;
      }
    }
    return steps;
  }

  const Context& context_;
  const Query& query_;
  const std::vector<const Test*> conjuncts_;
  std::vector<Plan> ways_;
  bool has_times_ = true;    ///< epochs stand in the order of times
  std::size_t ordered_ = 0;  ///< the way in the query's order; 0: none
};

}  // namespace

Result<Plan> make_plan(const Context& context, const Query& query, std::optional<std::uint8_t> way) {
  return Planner(context, query).make(way);
}

}  // namespace espalier::registry::search
