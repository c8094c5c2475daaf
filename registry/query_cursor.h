// Where a paged read goes on that belongs to one request: which request, which generation, as of which epoch.
//
// Thread safety: values. Errors: invalid_argument: not one that a reply gave, or another request's;
// failed_precondition: another generation's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"

namespace espalier::registry {

struct QueryCursor {
  std::uint64_t query = 0;  ///< hash of all that the pages share
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;
  std::string position;

  std::string text() const;
  /// Of the empty text: the first page's, with epoch 0 and no position.
  static Result<QueryCursor> parse(std::string_view text, std::uint64_t query, std::uint64_t generation);
};

}  // namespace espalier::registry
