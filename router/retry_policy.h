// Where a request's parts go, when to stop waiting for a shard, and whether another may be asked: pure functions over
// what the router knows of its shards.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/status.h"

namespace espalier::router {

/// One shard that holds what is asked for, as the router sees it.
struct Candidate {
  std::uint32_t shard = 0;      ///< its number at the router
  bool is_suspect = false;      ///< silent, or not connected: asked only where no other is left
  bool was_tried = false;       ///< for this request
  std::uint32_t in_flight = 0;  ///< requests at its least busy endpoint
};

/// The place in `candidates` (best placed first) of the one to ask next; nothing when all were tried. One that answers
/// goes before a suspect one; among equals the least busy one goes first if `spread`, else the best placed one.
std::optional<std::size_t> choose_candidate(std::span<const Candidate> candidates, bool spread);

/// How long to wait for one shard before the next is asked as well. With no other left: all that remains.
std::int64_t patience_us(std::int64_t remaining_us, std::size_t others_left);

/// What a caller is told to wait after that error, microseconds; 0: waiting won't help.
std::int64_t retry_after_us(Code code);

/// True when another shard may answer what this one has refused.
bool may_ask_another(Code code);

}  // namespace espalier::router
