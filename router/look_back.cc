// Where a request's time went: for whoever asked for a trace, and for the log of slow requests. None of this is on the
// way of a request that is neither.
#include <algorithm>
#include <utility>
#include <vector>

#include "common/log.h"
#include "model/ids.h"
#include "router/router.h"
#include "wire/messages.h"
#include "wire/trace.h"

namespace espalier::router {
namespace {

std::string milliseconds(std::int64_t us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(us) / 1000);
  return text;
}

/// "s0 at 0.0 ms: no answer; s1 at 80.3 ms: ok after 1.2 ms"
std::string way_of(const wire::Trace& trace) {
  std::string way;
  for (const wire::TracedAttempt& attempt : trace.attempts) {
    way += (way.empty() ? "" : "; ") + attempt.shard + (attempt.stand_in ? " (stand-in)" : "") + " at " +
           milliseconds(attempt.sent_us) + " ms: ";
    way += !attempt.answered ? std::string("no answer")
                             : std::string(attempt.unready ? "unready" : code_name(attempt.status)) + " after " +
                                   milliseconds(static_cast<std::int64_t>(attempt.took_us)) + " ms";
  }
  return way;
}

std::string shards_of(const wire::Trace& trace) {
  std::vector<std::string> names;
  std::string text;
  for (const wire::TracedAttempt& attempt : trace.attempts) {
    if (std::ranges::find(names, attempt.shard) != names.end()) continue;
    names.push_back(attempt.shard);
    text += (text.empty() ? "" : ",") + attempt.shard;
  }
  return text;
}

/// The answer that came last: it is what the reply waited for.
const wire::TracedAttempt* last_answer(const wire::Trace& trace) {
  const wire::TracedAttempt* last = nullptr;
  const auto came_us = [](const wire::TracedAttempt& attempt) {
    return attempt.sent_us + static_cast<std::int64_t>(attempt.took_us);
  };
  for (const wire::TracedAttempt& attempt : trace.attempts) {
    if (attempt.answered && (last == nullptr || came_us(attempt) >= came_us(*last))) last = &attempt;
  }
  return last;
}

}  // namespace

/// The clock is read anew, at each station of this request.
void Router::begin_trace(Request& request) {
  now_us_ = clock_.monotonic_us();
  request.notes = std::make_unique<RequestNotes>();
  request.notes->is_traced = true;
}

/// Takes a shard's times out of what it says, so that the client gets what it asked for.
void Router::note_times(Request& request, std::uint32_t piece, std::uint32_t attempt) {
  RequestNotes::Times times{piece, attempt, wire::is_unready(message_[1].view()), {}};
  std::optional<std::string> without = wire::take_times(message_[1].view(), times.times);
  if (!without) return;
  message_[1] = wire::Frame(*std::move(without));
  if (request.notes == nullptr) request.notes = std::make_unique<RequestNotes>();
  request.notes->times.push_back(std::move(times));
}

void Router::look_back(Request& request, wire::Frame& header) {
  if (request.notes != nullptr && request.notes->is_traced) {
    now_us_ = clock_.monotonic_us();
    std::string traced(header.view());
    wire::append_trace(traced, trace_of(request));
    header = wire::Frame(std::move(traced));
  }
  if (slow_log_.is_slow(now_us_ - request.began_us, request.work_us)) say_slow(request, header.view());
}

wire::Trace Router::trace_of(const Request& request) {
  wire::Trace trace;
  trace.us = static_cast<std::uint64_t>(now_us_ - request.began_us);
  if (request.notes != nullptr && request.notes->sent_us > request.began_us) {
    trace.sent_us = static_cast<std::uint64_t>(request.notes->sent_us - request.began_us);
  }
  for (std::uint32_t p = 0; p < request.piece_count; ++p) {
    const Piece& piece = request.pieces[p];
    for (std::uint32_t i = 0; i < piece.attempt_count; ++i) {
      const Attempt& attempt = piece.attempts[i];
      wire::TracedAttempt& told = trace.attempts.emplace_back();
      told.parts = piece.parts;
      told.shard = backends_.at(attempt.backend).shard;
      told.stand_in = attempt.place >= piece.placed_count;
      told.sent_us = attempt.sent_us - request.began_us;
      told.answered = attempt.was_answered;
      told.took_us = attempt.took_us;
      told.status = static_cast<Code>(attempt.code);
      if (request.notes == nullptr) continue;
      for (const RequestNotes::Times& times : request.notes->times) {
        if (times.piece != p || times.attempt != i) continue;
        told.timed = true;
        told.unready = times.unready;
        told.times = times.times;
      }
    }
  }
  return trace;
}

void Router::say_slow(const Request& request, std::string_view reply) {
  counters_.slow.add();
  const auto others = slow_log_.admit(now_us_);
  if (!others) return;
  wire::PredictHeader asked;
  if (!wire::decode_predict(request.header(), asked).ok()) return;
  std::uint64_t rows = 0;
  for (const wire::PredictHeader::Part& part : asked.parts) rows += part.rows;
  const auto node = model::Partition::from_values(asked.partition(asked.parts.front()));
  const wire::Trace trace = trace_of(request);
  const auto answer = wire::decode<wire::PredictReply>(reply);
  std::vector<log::Field> fields = {{"prediction", request.prediction.text()},
                                    {"tenant", std::string(asked.tenant)},
                                    {"model", std::string(asked.model)},
                                    {"node", node.ok() ? node->text() : "?"},
                                    {"parts", asked.parts.size()},
                                    {"rows", rows},
                                    {"us", trace.us},
                                    {"status", answer.ok() ? code_name(answer->status) : "?"},
                                    {"shards", shards_of(trace)},
                                    {"attempts", trace.attempts.size()}};
  if (answer.ok() && !answer->parts.empty()) fields.push_back({"epoch", answer->parts.front().provenance.epoch});
  if (const wire::TracedAttempt* last = last_answer(trace)) {
    fields.push_back({"in_router_us", last->sent_us});
    fields.push_back({"at_shard_us", last->took_us});
    if (last->timed) {
      fields.push_back({"shard_queue_us", last->times.waited_us});
      fields.push_back({"computing_us", last->times.computed_us});
      const std::uint64_t told = last->times.waited_us + last->times.computed_us;
      fields.push_back({"on_the_way_us", last->took_us - std::min(last->took_us, told)});
    }
  }
  fields.push_back({"way", way_of(trace)});
  if (*others > 0) fields.push_back({"others", *others});
  log::write_unlimited(log::Level::warn, "router", "slow request", fields);
}

}  // namespace espalier::router
