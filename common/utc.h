// Moments as people write them, in UTC.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace espalier {

/// Microseconds since 1970 of "2026-11-20", "2026-11-20 22:15", "2026-11-20 22:15:03" or "2026-11-20 22:15:03.25"; with
/// T for the space, with Z at the end. Nothing when it is none of these, is no date, or lies before 1970.
std::optional<std::int64_t> parse_utc(std::string_view text);

}  // namespace espalier
