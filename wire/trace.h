// Where the time of a prediction went, and which nodes were asked: what the replies to traced requests have besides.
// Twin of docs/wire-protocol/trace.md.
//
// A shard says its times as "times" to the router that asked; the router takes them out, and where the client asked for
// a trace says "trace" to it. Each duration is of one process's own clock.
//
// Thread safety: values and pure functions. Errors: invalid_argument and corrupt name the place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "common/uuid.h"
#include "wire/messages.h"

namespace espalier::wire {

/// A node on the way from the asked one to the root, as a shard found it.
struct WalkStep {
  std::uint32_t depth = 0;  ///< below the root
  std::string level;
  bool answers = false;           ///< it is ready: the walk ends here
  Reason reason = Reason::exact;  ///< answers: exact, previous, overlay_not_ready; else why it doesn't
  Uuid version;                   ///< that answers, or is wanted; nil: none
  std::string tag;                ///< that names it
};
struct PartWalk {
  std::uint32_t part = 0;  ///< place among the parts that the shard was sent
  std::vector<WalkStep> steps;
};

/// A shard's time for one message.
struct ShardTimes {
  std::uint64_t waited_us = 0;    ///< in sockets and queues, at least
  std::uint64_t computed_us = 0;  ///< from taking it up until its reply was made
  std::vector<PartWalk> walks;    ///< of the first parts, where a trace was asked for
};

/// One sending of parts of a request to one shard.
struct TracedAttempt {
  std::vector<std::uint32_t> parts;  ///< their places in the request; empty: all
  std::string shard;
  bool stand_in = false;      ///< in the stead of those that hold the parts
  std::int64_t sent_us = 0;   ///< after the router took the request up
  bool answered = false;      ///< before the request was over
  std::uint64_t took_us = 0;  ///< from then until its answer came, by the router's clock
  Code status = Code::ok;     ///< of its answer
  bool unready = false;       ///< it has no answer for a part, another shard may
  bool timed = false;         ///< `times` are there
  ShardTimes times;
};

struct Trace {
  std::uint64_t us = 0;       ///< from taking the request up until its reply was handed over, by the router's clock
  std::uint64_t sent_us = 0;  ///< until it was sent on the first time
  std::vector<TracedAttempt> attempts;  ///< in the order of their pieces, and of these in the order sent
};

/// Of a traced request, the steps of so many of its first parts are told.
inline constexpr std::uint32_t kMostWalks = 16;

/// False for sure where a reply has no times: what the usual reply costs.
inline bool may_have_times(std::string_view header) { return !header.empty() && header.front() != '\x82'; }
/// Adds a shard's times to a finished reply.
void append_times(std::string& header, const ShardTimes& times);
/// The reply without times, which go to `times`; nothing: it has none.
std::optional<std::string> take_times(std::string_view header, ShardTimes& times);

/// Adds a trace to a finished reply.
void append_trace(std::string& header, const Trace& trace);
/// The trace in a reply; not_found: there is none.
Result<Trace> find_trace(std::string_view header);

}  // namespace espalier::wire
