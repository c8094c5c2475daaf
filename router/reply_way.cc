#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "router/merge.h"
#include "router/router.h"
#include "wire/messages.h"
#include "wire/trace.h"

namespace espalier::router {
namespace {

Status deadline_exceeded() { return {Code::deadline_exceeded, "no shard answered within the time budget"}; }

TenantCounts& counts_of(const Request& request, RequestCounts& counts) {
  return request.tenant->counts == nullptr ? counts.rest() : *request.tenant->counts;
}

}  // namespace

/// [ticket, piece, attempt, number] [header] [body]…
void Router::handle_shard(std::uint32_t number) {
  Backend& backend = backends_.at(number);
  if (backend.is_suspect) has_risen_ = true;
  backends_.heard(backend, now_us_);
  if (message_.size() < 2) return;
  ShardRequestId id;
  if (message_[0].size() != sizeof id) return count_late();
  std::memcpy(&id, message_[0].view().data(), sizeof id);
  backend.flow.hear(id.number);
  if (id.ticket == Ticket{}) return;  // a hello
  Request* request = in_flight_.find(id.ticket);
  if (request == nullptr || id.piece >= request->piece_count) return count_late();
  Piece& piece = request->pieces[id.piece];
  if (id.attempt >= piece.attempt_count || piece.attempts[id.attempt].backend != number) return count_late();
  if (request->notes != nullptr) now_us_ = clock_.monotonic_us();
  Attempt& attempt = piece.attempts[id.attempt];
  const std::int64_t took_us = now_us_ - attempt.sent_us;
  backends_.answered(backend, took_us, now_us_);
  if (backends_.hedges()) backend.times.record(took_us);
  close_attempt(attempt);
  if (piece.is_done) return count_late();
  const Status status = wire::peek_status(message_[1].view());
  attempt.was_answered = true;
  attempt.code = static_cast<std::uint8_t>(status.code());
  attempt.took_us =
      static_cast<std::uint32_t>(std::min<std::int64_t>(took_us, std::numeric_limits<std::uint32_t>::max()));
  if (wire::may_have_times(message_[1].view())) note_times(*request, id.piece, id.attempt);
  const bool is_whole = status.ok() && !wire::is_unready(message_[1].view());
  if (!is_whole && !is_last_word(id.ticket, *request, id.piece, status)) return;
  if (is_whole) discard(piece.reply);
  if (request->piece_count > 1) {
    std::swap(piece.reply, message_);
    finish_piece(id.ticket, *request, piece);
    return;
  }
  give_up(piece);
  reply_with(*request, std::span(message_).subspan(1));
  end(id.ticket, *request);
}
/// message_ is an answer to a request that is over.
void Router::count_late() {
  counters_.late.add();
  discard(message_);
}

/// Nobody gets that reply of a shard.
void Router::discard(const wire::Message& reply) {
  if (reply.size() >= 2) request_counts_.unused(reply[1].view());
}

/// A shard has no answer for a part, or none at all. false: another one was asked, or may still answer; true: message_
/// is what the client gets, which of all such replies is the first that answers in part, else the first that knows of
/// nothing, else this one.
bool Router::is_last_word(Ticket ticket, Request& request, std::uint32_t piece_number, const Status& status) {
  Piece& piece = request.pieces[piece_number];
  // A shard that the registry's changes reach late doesn't know yet what others answer from.
  const bool lacks = status.ok() || status.code() == Code::not_found;
  if (lacks && (piece.reply.empty() || (status.ok() && !piece.has_part))) {
    std::swap(piece.reply, message_);
    piece.has_part = status.ok();
  }
  discard(message_);  // the one that isn't kept: where none is, it has no parts
  if (lacks || may_ask_another(status.code())) {
    const Cause cause = lacks ? Cause::lack : Cause::refusal;
    if (ask_next(ticket, request, piece_number, cause) == Sending::sent) return false;
  } else if (piece.reply.empty()) {
    return true;
  }
  if (std::ranges::any_of(piece.made(), &Attempt::is_open)) return false;
  if (!piece.reply.empty()) std::swap(piece.reply, message_);
  return true;
}

/// Whoever waits for this one asks the next replica.
void Router::ask_elsewhere(std::uint32_t backend) {
  in_flight_.for_each([&](Ticket ticket, Request& request) {
    for (std::uint32_t i = 0; i < request.piece_count; ++i) {
      const Piece& piece = request.pieces[i];
      if (piece.is_done || piece.attempt_count == 0) continue;
      const Attempt& last = piece.attempts[piece.attempt_count - 1];
      if (last.is_open && last.backend == backend) ask_now_or_soon(ticket, request, i);
    }
  });
}

/// Where it can't be sent on now for a limit, an alarm tries again; where nobody is left to ask, an answer in part that
/// is there is given.
void Router::ask_now_or_soon(Ticket ticket, Request& request, std::uint32_t piece_number) {
  const Sending sending = ask_next(ticket, request, piece_number, Cause::silence);
  if (sending == Sending::sent) return;
  if (sending == Sending::exhausted) {
    Piece& piece = request.pieces[piece_number];
    if (piece.has_part && is_left_alone(piece)) finish_piece(ticket, request, piece);
    return;
  }
  const std::int64_t due_us = now_us_ + patience_us(remaining_us(request), 1);
  alarms_.add(due_us, {ticket, due_us, piece_number, request.pieces[piece_number].attempt_count - 1});
}

/// Shards answer again: what nobody works on is sent once more.
void Router::ask_risen() {
  in_flight_.for_each([&](Ticket ticket, Request& request) {
    for (std::uint32_t i = 0; i < request.piece_count; ++i) {
      const Piece& piece = request.pieces[i];
      if (!piece.is_done && piece.attempt_count > 0 && is_left_alone(piece)) {
        ask_now_or_soon(ticket, request, i);
      }
    }
  });
  has_risen_ = false;
}

/// It was lost wherever it was sent, or waits at shards that are silent.
bool Router::is_left_alone(const Piece& piece) {
  return std::none_of(piece.attempts.begin(), piece.attempts.begin() + piece.attempt_count, [&](const Attempt& each) {
    const Backend& backend = backends_.at(each.backend);
    return each.is_open && !backend.is_suspect && backend.flow.has_in_flight(each.number);
  });
}

void Router::close_attempt(Attempt& attempt) {
  if (!attempt.is_open) return;
  attempt.is_open = false;
  Backend& backend = backends_.at(attempt.backend);
  if (backend.open_attempts > 0) --backend.open_attempts;
}

/// Whoever hasn't answered isn't waited for.
void Router::give_up(Piece& piece) {
  for (Attempt& attempt : piece.made()) {
    if (attempt.is_open) backends_.greet(backends_.at(attempt.backend), now_us_);
    close_attempt(attempt);
  }
}

/// The first shard asked takes longer than it mostly does: whoever answers first is taken.
void Router::hedge(const Alarm& alarm, Request& request, const Piece& piece) {
  if (piece.attempt_count > 1 || !piece.attempts[0].is_open || !retries_.may_retry()) return;
  if (ask_next(alarm.ticket, request, alarm.piece, Cause::silence) == Sending::sent) counters_.hedged.add();
}

/// A shard that was asked has been silent for its share of the budget, or the budget is over.
void Router::ring(const Alarm& alarm) {
  Request* request = in_flight_.find(alarm.ticket);
  if (request == nullptr) return;
  Piece& piece = request->pieces[alarm.piece];
  if (piece.is_done) return;
  if (now_us_ < alarm.due_us) {  // further away than the wheel reaches
    alarms_.add(alarm.due_us, alarm);
    return;
  }
  if (alarm.is_hedge) return hedge(alarm, *request, piece);
  const Attempt& attempt = piece.attempts[alarm.attempt];
  const bool was_silent = attempt.is_open;
  if (was_silent) backends_.missed(backends_.at(attempt.backend), attempt.sent_us, now_us_);
  if (now_us_ >= request->deadline_us) {
    piece.failure = deadline_exceeded();
    finish_piece(alarm.ticket, *request, piece);
    return;
  }
  // Whoever was asked since has an alarm of their own.
  if (alarm.attempt + 1 < piece.attempt_count) return;
  const bool is_waited_for = !was_silent && !is_left_alone(piece);
  const Sending sending =
      is_waited_for ? Sending::exhausted : ask_next(alarm.ticket, *request, alarm.piece, Cause::silence);
  if (sending == Sending::sent) return;
  // Where another could be asked but for a limit, there may be room later.
  std::int64_t due_us = request->deadline_us;
  if (sending != Sending::exhausted) due_us = now_us_ + patience_us(due_us - now_us_, 1);
  alarms_.add(due_us, {alarm.ticket, due_us, alarm.piece, alarm.attempt});
}

/// One of several pieces has its reply, or a piece has failed; the last one to be done answers the client.
void Router::finish_piece(Ticket ticket, Request& request, Piece& piece) {
  piece.is_done = true;
  if (!piece.reply.empty()) piece.failure = {};  // in part at least
  give_up(piece);
  if (--request.open_pieces > 0) return;
  if (request.piece_count > 1) {
    reply_merged(request);
  } else if (!request.pieces[0].reply.empty()) {
    reply_with(request, std::span(request.pieces[0].reply).subspan(1));
  } else {
    request_counts_.failed(counts_of(request, request_counts_), piece.failure.code(), request.began_us, now_us_);
    counters_.refused.add();
    wire::Frame header(wire::encode_error(piece.failure, retry_after_us(piece.failure.code())));
    look_back(request, header);
    send_to_client(request.envelope(), {&header, 1});
  }
  end(ticket, request);
}

void Router::end(Ticket ticket, Request& request) {
  bytes_in_flight_ -= request.bytes;
  tenants_.end(*request.tenant, request.work_us);
  request.clear();
  in_flight_.remove(ticket);
}

void Router::reply_merged(Request& request) {
  std::vector<PieceReply> pieces;
  for (std::uint32_t i = 0; i < request.piece_count; ++i) {
    const Piece& piece = request.pieces[i];
    PieceReply reply{piece.parts, piece.failure, {}, 0};
    if (piece.failure.ok()) {
      reply.header = piece.reply[1].view();
      reply.bodies = piece.reply.size() - 2;
    }
    pieces.push_back(std::move(reply));
  }
  const Merged merged = merge_replies(pieces, request.rows);
  out_.clear();
  out_.emplace_back(std::string_view(merged.header));
  for (const BodyPlace& place : merged.bodies) {
    if (place.piece == BodyPlace::kNone) {
      out_.emplace_back();
    } else {
      out_.push_back(std::move(request.pieces[place.piece].reply[place.body + 2]));
    }
  }
  reply_with(request, out_);
}

/// Counts what the client is told. A reply that is too large for what it hasn't read yet is an error instead.
void Router::reply_with(Request& request, std::span<wire::Frame> rest) {
  look_back(request, rest.front());
  const std::string_view header = rest.front().view();
  TenantCounts& counts = counts_of(request, request_counts_);
  const Status taken = unread_.take(request.envelope().front().view(), rest);
  if (!taken.ok()) {
    counters_.unread.add();
    request_counts_.unused(header);
    request_counts_.failed(counts, taken.code(), request.began_us, now_us_);
    return reply_error(request.envelope(), taken, retry_after_us(taken.code()));
  }
  request_counts_.answered(counts, header, request.began_us, now_us_);
  send_to_client(request.envelope(), rest);
}

void Router::reply_error(std::span<wire::Frame> envelope, const Status& status, std::int64_t retry_after_us) {
  counters_.refused.add();
  wire::Frame header(wire::encode_error(status, retry_after_us));
  send_to_client(envelope, {&header, 1});
}

/// What can't be delivered is counted: the client has gone, or takes nothing.
void Router::send_to_client(std::span<wire::Frame> envelope, std::span<wire::Frame> rest) {
  const Result<bool> sent = socket_->send(envelope, rest);
  if (!sent.ok() || !*sent) counters_.dropped.add();
}

}  // namespace espalier::router
