// What is wrong with a cluster, the worst first, each with what to do: from what its processes said
// (docs/operations.md).
//
// What follows from something worse isn't told beside it: a shard that hangs isn't also behind. Thread safety: pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/status/evidence.h"

namespace espalier::cli {

struct Problem {
  std::string kind;   ///< a word for programs: "shard_hung"
  std::string about;  ///< "shard s0"
  std::string what;
  std::string remedy;
  bool is_warning = false;  ///< nothing fails yet
};

/// By when it is called full, and when nearly so.
inline constexpr std::uint64_t kFullDiskBytes = 16ull << 20;
inline constexpr double kNearlyFull = 0.1;
/// Behind for longer than that is stuck; clocks that differ by more are off; keys that end sooner are told of.
inline constexpr std::int64_t kStuckUs = 10'000'000;
inline constexpr std::int64_t kClockOffUs = 1'000'000;
inline constexpr std::int64_t kKeyEndsSoonUs = 7ll * 86'400 * 1'000'000;
/// A key that ended longer ago than that is history.
inline constexpr std::int64_t kKeyEndedLongAgoUs = 30ll * 86'400 * 1'000'000;

std::vector<Problem> problems_of(const Evidence& evidence);

}  // namespace espalier::cli
