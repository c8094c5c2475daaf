// The candidates of a plan over all models of its scope: one model after the other, or merged where they come in an
// order; then those that lack the order's field.
//
// Thread safety: one thread. Ownership: borrows context, query and plan. Errors: the store's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "registry/search/cursor.h"
#include "registry/search/plan.h"

namespace espalier::registry::search {

class Candidates {
 public:
  /// Goes on behind the cursor's last candidate; without one, at its bound.
  static Result<Candidates> open(const Context& context, const Query& query, const Plan& plan,
                                 const SearchCursor& cursor);

  /// False: there is none. `to.scope` is set too.
  Result<bool> next(Candidate& to);
  /// 0: those of the plan's path; 1: the rest.
  std::uint8_t phase() const { return phase_; }
  /// Steps of all sources.
  std::size_t steps() const;

 private:
  struct Head {
    std::unique_ptr<Source> source;
    std::optional<Candidate> candidate;  ///< the next one of this model; nothing: its end
  };
  Candidates(const Context& context, const Query& query, const Plan& plan)
      : context_(context), query_(query), plan_(plan) {}

  const Path& path() const { return phase_ == 0 ? plan_.path : *plan_.rest; }
  Result<bool> next_in_turn(Candidate& to);
  Result<bool> next_merged(Candidate& to);
  Status open_merged();
  Start start_of(std::size_t scope) const;

  const Context& context_;
  const Query& query_;
  const Plan& plan_;
  std::uint8_t phase_ = 0;
  SearchCursor from_;
  std::size_t scope_ = 0;           ///< the model that is being read, in turn
  std::unique_ptr<Source> source_;  ///< its candidates
  std::vector<Head> heads_;         ///< of all models, merged
  std::size_t steps_before_ = 0;    ///< of sources that are done
};

}  // namespace espalier::registry::search
