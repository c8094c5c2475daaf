// Which index answers a search. docs/search.md: "Which one is taken".
//
// Thread safety: pure functions over a store. Errors: the store's.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "registry/search/filter.h"
#include "registry/search/kind.h"

namespace espalier::registry::search {

/// Steps that opening a model's index is worth.
inline constexpr std::size_t kOpenCost = 8;

inline constexpr std::size_t kMostCounted = 2048;  ///< candidates of each way that are counted
/// Models whose indexes are read side by side for an order; over more, the order is made by keeping the best.
inline constexpr std::size_t kMostMerged = 256;

struct Query {
  const Kind* kind = nullptr;
  Filter filter;
  std::vector<OrderTerm> order;
};

struct Plan {
  /// Of the ways that the query has, in an order that depends on the query alone: later pages of a search name it.
  std::uint8_t way = 0;
  Path path;
  /// Candidates come in the order of the query's first term. Things that lack it follow, from `rest`.
  bool ordered = false;
  std::optional<Path> rest;
  /// They come in the query's whole order, or in any where it has none: a page is what comes first. Else what is best
  /// is kept.
  bool streams = false;
};

/// `way`: the one that the first page took.
Result<Plan> make_plan(const Context& context, const Query& query, std::optional<std::uint8_t> way);

}  // namespace espalier::registry::search
