#include "registry/search/candidates.h"

#include <algorithm>
#include <utility>

namespace espalier::registry::search {

Result<Candidates> Candidates::open(const Context& context, const Query& query, const Plan& plan,
                                    const SearchCursor& cursor) {
  Candidates all(context, query, plan);
  all.from_ = cursor;
  all.phase_ = cursor.phase;
  if (cursor.phase > 0 && !plan.rest) return invalid_argument("cursor: not one that a search gave");
  if (plan.ordered && all.phase_ == 0) {
    RETURN_IF_ERROR(all.open_merged());
  } else if (!cursor.tenant.empty()) {
    const auto at = std::ranges::lower_bound(context.scope, ModelName{cursor.tenant, cursor.model});
    all.scope_ = static_cast<std::size_t>(at - context.scope.begin());
  }
  return all;
}

// In turn, the models before the cursor's are done. Merged, those before it have given all of its order key, those
// behind it nothing of it yet.
Start Candidates::start_of(std::size_t scope) const {
  const bool merged = plan_.ordered && phase_ == 0;
  if (from_.tenant.empty()) {
    if (merged && !from_.bound_order_key.empty()) return {Start::At::at_order_key, from_.bound_order_key};
    return {};
  }
  const ModelName last{from_.tenant, from_.model};
  const ModelName& model = context_.scope[scope];
  if (model == last) return {Start::At::behind_tail, from_.tail};
  if (!merged) return {};
  return {model < last ? Start::At::behind_order_key : Start::At::at_order_key, from_.order_key};
}

std::size_t Candidates::steps() const {
  std::size_t steps = steps_before_ + (source_ ? source_->steps() : 0);
  for (const Head& head : heads_) steps += head.source ? head.source->steps() : 0;
  return steps;
}

Status Candidates::open_merged() {
  for (std::size_t scope = 0; scope < context_.scope.size(); ++scope) {
    Head head;
    ASSIGN_OR_RETURN(head.source, query_.kind->open(context_, scope, path(), start_of(scope)));
    Candidate first;
    first.scope = scope;
    ASSIGN_OR_RETURN(const bool more, head.source->next(first));
    if (more) head.candidate = std::move(first);
    heads_.push_back(std::move(head));
  }
  return {};
}

Result<bool> Candidates::next_merged(Candidate& to) {
  Head* best = nullptr;
  for (Head& head : heads_) {
    if (!head.candidate) continue;
    const auto is_before = [&](const Head& other) {
      const int order = head.candidate->order_key.compare(other.candidate->order_key);
      return plan_.path.descending ? order > 0 : order < 0;
    };
    if (best == nullptr || is_before(*best)) best = &head;
  }
  if (best == nullptr) return false;
  to = *std::exchange(best->candidate, std::nullopt);
  Candidate following;
  following.scope = to.scope;
  ASSIGN_OR_RETURN(const bool more, best->source->next(following));
  if (more) best->candidate = std::move(following);
  return true;
}

Result<bool> Candidates::next_in_turn(Candidate& to) {
  for (; scope_ < context_.scope.size(); ++scope_) {
    if (!source_) {
      ASSIGN_OR_RETURN(source_, query_.kind->open(context_, scope_, path(), start_of(scope_)));
    }
    to.scope = scope_;
    to.tag = {};
    ASSIGN_OR_RETURN(const bool more, source_->next(to));
    if (more) return true;
    steps_before_ += source_->steps() + kOpenCost;
    source_.reset();
  }
  return false;
}

Result<bool> Candidates::next(Candidate& to) {
  if (!plan_.ordered || phase_ > 0) return next_in_turn(to);
  ASSIGN_OR_RETURN(const bool more, next_merged(to));
  if (more || !plan_.rest) return more;
  phase_ = 1;
  from_ = {};
  return next_in_turn(to);
}

}  // namespace espalier::registry::search
