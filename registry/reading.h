// Ways of reading records that carry their epoch in their keys: the state as of an epoch, and pages that together are
// one state.
//
// Thread safety: pure functions over a Store. Errors: the store's; `corrupt` when a record doesn't decode;
// invalid_argument for a cursor that no reply gave.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"
#include "registry/store.h"

namespace espalier::registry {

inline constexpr std::uint32_t kMaxPage = 65536;  ///< records in one reply, whatever was asked

inline constexpr std::size_t kMaxPageBytes = 8u << 20;  ///< of its records, but for the last

inline std::size_t page_size(std::uint32_t limit) { return std::clamp<std::uint32_t>(limit, 1, kMaxPage); }

/// Where a paged read goes on.
struct PageCursor {
  std::uint64_t epoch = 0;  ///< that all pages are read as of; 0: this is the first page
  std::string position;     ///< what follows is behind it; a part of a key, never the tenant's part

  std::string text() const;
  /// Takes what text() gave, and the empty text for the first page.
  static Result<PageCursor> parse(std::string_view text);
};

struct Dated {
  std::uint64_t epoch = 0;
  std::string value;
};
/// The newest record of `prefix` + ~epoch whose epoch is at most `epoch`.
Result<std::optional<Dated>> newest_as_of(Store& store, std::string_view prefix, std::uint64_t epoch);

/// For messages: "a record of table T doesn't decode: why".
Status bad_record(std::string_view key, const Status& why);

}  // namespace espalier::registry
