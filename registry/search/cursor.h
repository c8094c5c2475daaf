// Where a search goes on: all that its next page needs, so that the registry keeps nothing.
//
// Thread safety: values. Errors: invalid_argument for bytes that text() didn't give.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/status.h"

namespace espalier::registry::search {

/// A thing that passed, kept for the page that is being made.
struct Kept {
  std::string tenant, model, place, order_key;
};

struct SearchCursor {
  std::uint64_t query = 0;  ///< hash of all that the pages of a search share
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;
  std::uint8_t way = 0;
  /// The candidate that was looked at last; an empty tenant: none yet.
  std::uint8_t phase = 0;
  std::string tenant, model, order_key, tail;
  /// Where the best are kept: the last thing of the page before, and what this page has kept so far, by their order.
  std::string bound, bound_order_key;
  std::map<std::string, Kept> kept;
  std::uint32_t limit = UINT32_MAX;  ///< the least that a request for this page has asked for

  std::string text() const;
  static Result<SearchCursor> parse(std::string_view text);
};

}  // namespace espalier::registry::search
