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
  std::uint64_t in_flight = 0;  ///< requests at its least busy endpoint
  bool is_full = false;         ///< all its endpoints have as much in flight as they may: not asked
  bool is_gone = false;         ///< as the view says: asked only where no other is left
  bool is_away = false;         ///< suspect for a second, or nobody listens there: it is not waited for
};

/// The place in `candidates` (best placed first) of the one to ask next; nothing when all were tried or are full. One
/// that answers goes before a suspect one, then one that is there before one that is gone; among equals the least busy
/// one goes first if `spread`, else the best placed one.
std::optional<std::size_t> choose_candidate(std::span<const Candidate> candidates, bool spread);

/// Whether other shards of the tenant have to be asked in the stead of these, which placement names: all that weren't
/// tried are away.
bool needs_stand_ins(std::span<const Candidate> placed);

/// Why a piece wasn't sent on, or that it was.
enum class Sending : std::uint8_t {
  sent,
  late,       ///< nothing of its time budget is left
  unfunded,   ///< who was asked is silent, and the retry budget is used up
  full,       ///< who is left has as much in flight as it may
  exhausted,  ///< nobody is left who could be reached
};

/// Why a piece is sent.
enum class Cause : std::uint8_t {
  first,    ///< it wasn't yet
  refusal,  ///< who was asked last refused, and so computed nothing: costs no retry
  lack,     ///< who was asked last doesn't know or have what is asked for: the same
  silence,  ///< who was asked may compute it still
};

/// Whether a piece with `remaining_us` of its budget may be sent at all. sent: it may.
Sending may_send(std::int64_t remaining_us, Cause cause, bool may_retry);

/// Where choose_candidate() has nothing to offer: full or exhausted.
Sending why_nobody(std::span<const Candidate> candidates);

/// What a client is told of a piece that nobody was asked for. REQUIRES: sending is not sent.
Status failure_of(Sending sending);

/// How long to wait for one shard before the next is asked as well. With no other left: all that remains.
std::int64_t patience_us(std::int64_t remaining_us, std::size_t others_left);

/// What a caller is told to wait after that error, microseconds; 0: waiting won't help.
std::int64_t retry_after_us(Code code);

/// True when another shard may answer what this one has refused.
bool may_ask_another(Code code);

}  // namespace espalier::router
