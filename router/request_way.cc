#include <algorithm>
#include <cstring>
#include <utility>

#include "common/log.h"
#include "model/ids.h"
#include "router/router.h"
#include "wire/envelope.h"
#include "wire/messages.h"

namespace espalier::router {
namespace {

constexpr std::size_t kMaxBytesInFlight = 1u << 30;

Status overloaded(std::string message) { return {Code::overloaded, std::move(message)}; }

/// Of what the piece sends on, its header but for what the router adds.
std::uint32_t bytes_of(const Request& request, const Piece& piece, std::span<const wire::Frame> bodies) {
  if (piece.parts.empty()) return static_cast<std::uint32_t>(request.bytes);
  std::size_t bytes = request.header().size();
  for (const std::uint32_t part : piece.parts) bytes += bodies[part].size();
  return static_cast<std::uint32_t>(bytes);
}

std::uint64_t rows_of(const wire::PredictHeader& header) {
  std::uint64_t rows = 0;
  for (const wire::PredictHeader::Part& part : header.parts) rows += part.rows;
  return rows;
}

std::uint64_t rows_of(const wire::PredictHeader& header, const Piece& piece) {
  if (piece.parts.empty()) return rows_of(header);
  std::uint64_t rows = 0;
  for (const std::uint32_t part : piece.parts) rows += header.parts[part].rows;
  return rows;
}

}  // namespace

/// [routing id] ([empty]) [request id] [header] [body]…
void Router::handle_client(const Routes& routes) {
  retry_hint_us_ = 0;
  refused_ = nullptr;
  wire::Envelope envelope = wire::open_envelope(message_);
  if (envelope.status.ok()) envelope.status = take_in(routes, envelope.id_at);
  if (envelope.status.ok()) return;
  TenantCounts* const counts = refused_ == nullptr ? nullptr : refused_->counts;
  request_counts_.failed(counts == nullptr ? request_counts_.rest() : *counts, envelope.status.code(), 0, now_us_);
  if (retry_hint_us_ == 0) retry_hint_us_ = retry_after_us(envelope.status.code());
  reply_error(std::span(message_).first(envelope.id_at + 1), envelope.status, retry_hint_us_);
}

/// Sends a request on its way; not ok: it is to be answered with this at once.
Status Router::take_in(const Routes& routes, std::size_t id_at) {
  const std::size_t bytes = wire::bytes_of(message_);
  if (bytes > wire::kMaxClientMessageBytes) {
    return invalid_argument("the message has " + std::to_string(bytes) + " bytes, at most " +
                            std::to_string(wire::kMaxClientMessageBytes) + " are taken");
  }
  const Principal* const who = door_.who(message_);
  if (who == nullptr) return wire::Door::refusal();
  const std::string_view header = message_[id_at + 1].view();
  if (!wire::begins_as_predict(header)) {
    ASSIGN_OR_RETURN(const std::string op, wire::peek_op(header));
    if (op != "predict") return answer_operation(routes, id_at, *who, op);
  }
  RETURN_IF_ERROR(wire::decode_predict(header, header_));
  RETURN_IF_ERROR(check(header_, *who));
  RETURN_IF_ERROR(take_off_wait(message_[0].view(), bytes));
  const std::size_t bodies = message_.size() - id_at - 2;
  if (bodies != header_.parts.size()) {
    return invalid_argument("parts: " + std::to_string(header_.parts.size()) + " in the header, but " +
                            std::to_string(bodies) + " body frames");
  }
  if (is_stopping_) return unavailable("this router is stopping");
  if (routes.number == 0) return unavailable("this router does not know the cluster yet");
  if (in_flight_.is_full() || bytes_in_flight_ > kMaxBytesInFlight)
    return overloaded("too many requests are in flight");
  RETURN_IF_ERROR(unread_.may_ask(message_[0].view()));
  Tenant& tenant = tenants_.at(routes, header_.tenant, now_us_);
  refused_ = &tenant;
  const std::uint64_t crowd_work_us = in_flight_.size() > in_flight_.limit() / 2 ? 1 : backends_.crowd_work_us();
  Admission admission = tenants_.admit(tenant, crowd_work_us, now_us_);
  if (!admission.status.ok()) {
    counters_.limited.add();
    retry_hint_us_ = admission.retry_after_us;
    return std::move(admission.status);
  }

  const Ticket ticket = in_flight_.add();
  Request& request = *in_flight_.find(ticket);
  request.clear();
  request.prediction = ids_.next(wall_us_);
  if (header_.trace) begin_trace(request);
  request.began_us = now_us_;
  request.deadline_us = now_us_ + header_.budget_us;
  request.bytes = bytes;
  request.tenant = &tenant;
  request.work_us = static_cast<std::uint64_t>(most_work_us(rows_of(header_), bytes));
  const Status planned = plan(routes, request);
  if (!planned.ok()) {
    in_flight_.remove(ticket);
    return planned;
  }
  std::swap(request.message, message_);
  request.id_at = id_at;
  counters_.requests.add();
  bytes_in_flight_ += bytes;
  tenants_.begin(tenant, request.work_us, now_us_);
  request.open_pieces = request.piece_count;
  for (std::uint32_t i = 0; i < request.piece_count; ++i) {
    const Sending sending = ask_next(ticket, request, i, Cause::first);
    if (sending == Sending::sent) continue;
    Piece& piece = request.pieces[i];
    piece.failure = failure_of(sending);
    finish_piece(ticket, request, piece);
  }
  // Over already where nothing could be sent.
  if (request.notes != nullptr) request.notes->sent_us = clock_.monotonic_us();
  return {};
}

/// What a client may not say, and names that can't be.
Status Router::check(const wire::PredictHeader& header, const Principal& principal) {
  RETURN_IF_ERROR(model::check_name("tenant", header.tenant));
  RETURN_IF_ERROR(model::check_name("model", header.model));
  if (!header.principal.empty()) return invalid_argument("principal: set by routers only");
  if (!header.prediction.is_nil()) return invalid_argument("prediction: set by routers only");
  if (!header.shard.empty()) return invalid_argument("shard: set by routers only");
  if (header.stand_in) return invalid_argument("stand_in: set by routers only");
  if (header.attempt != 1) return invalid_argument("attempt: set by routers only");
  if (!principal.may_predict(header.tenant)) {
    return Status(Code::permission_denied,
                  "principal " + principal.name() + " may not predict for tenant " + std::string(header.tenant));
  }
  if (header.budget_us <= 0) return Status(Code::deadline_exceeded, "budget_us: nothing is left");
  return {};
}

/// The budget counts from when the client sent the request, as far as that can be told. Who has waited for more than
/// half of it, beyond what its bytes may take on the way, is refused: what takes so long to be taken up is no longer
/// wanted when it is computed, and refusing is how a router with too much to do works its queue off.
Status Router::take_off_wait(std::string_view client, std::size_t bytes) {
  header_.budget_us = std::min(header_.budget_us, wire::kLongestBudgetUs);
  if (header_.sent_us == 0) return {};
  if (queue_.sets_least(client, header_.sent_us, now_us_)) now_us_ = clock_.monotonic_us();
  const std::int64_t waited_us = queue_.waited_us(client, header_.sent_us, now_us_);
  if (waited_us - static_cast<std::int64_t>(bytes / 8) > header_.budget_us / 2) {
    counters_.waited.add();
    return overloaded("the request waited for " + std::to_string(waited_us / 1000) + " ms to be taken up");
  }
  header_.budget_us -= waited_us;
  if (header_.budget_us <= 0) return Status(Code::deadline_exceeded, "the time budget was over before it arrived");
  return {};
}

/// Splits the request into pieces by the shards that hold its parts.
Status Router::plan(const Routes& routes, Request& request) {
  const cluster::Placement::TenantShards& tenant = request.tenant->shards;
  if (tenant.shards.empty()) return unavailable("the cluster has no shard");
  model_key_.clear();
  model::append_component(model_key_, header_.tenant);
  model::append_component(model_key_, header_.model);
  const ModelShape* shape = routes.models.find(model_key_);
  const std::uint32_t levels = shape == nullptr ? 0 : shape->levels;
  if (shape != nullptr && request.tenant->counts == nullptr)
    request.tenant->counts = &request_counts_.of(header_.tenant);
  const auto parts = static_cast<std::uint32_t>(header_.parts.size());
  std::array<std::uint32_t, kMaxCandidates> shards{};
  for (std::uint32_t i = 0; i < parts; ++i) {
    const std::size_t count = candidates_of(routes, tenant, levels, header_.parts[i], shards);
    add_to_piece(request, i, shards, count, parts == 1);
  }
  if (request.piece_count == 1) {
    request.pieces[0].parts.clear();
  } else {
    for (const wire::PredictHeader::Part& part : header_.parts) request.rows.push_back(part.rows);
  }
  return {};
}

/// The shards that hold the part, best placed first.
std::size_t Router::candidates_of(const Routes& routes, const cluster::Placement::TenantShards& tenant,
                                  std::uint32_t levels, const wire::PredictHeader::Part& part,
                                  std::array<std::uint32_t, kMaxCandidates>& shards) {
  const std::size_t count = routes.placement.node_shards_into(tenant, header_.model, header_.partition(part),
                                                              cluster::replicated_until(levels), shards);
  for (std::size_t i = 0; i < count; ++i) shards[i] = backends_.shard_at(shards[i]);
  return count;
}

/// Puts the part with those that the same shards hold and the same one is asked for first.
void Router::add_to_piece(Request& request, std::uint32_t part, const std::array<std::uint32_t, kMaxCandidates>& shards,
                          std::size_t count, bool spread) {
  std::array<Candidate, kMaxCandidates> candidates;
  for (std::size_t i = 0; i < count && count > 1; ++i)
    candidates[i] = backends_.candidate(shards[i], remaining_us(request));
  const std::size_t chosen = count == 1 ? 0 : choose_candidate({candidates.data(), count}, spread).value_or(0);
  const auto is_same = [&](const Piece& piece) {
    return piece.shard_count == count && piece.shards[piece.first] == shards[chosen] &&
           std::is_permutation(piece.shards.begin(), piece.shards.begin() + count, shards.begin());
  };
  for (std::uint32_t i = 0; i < request.piece_count; ++i) {
    if (!is_same(request.pieces[i])) continue;
    request.pieces[i].parts.push_back(part);
    return;
  }
  Piece& piece = request.add_piece();
  std::copy_n(shards.begin(), count, piece.shards.begin());
  piece.shard_count = piece.placed_count = static_cast<std::uint32_t>(count);
  piece.first = static_cast<std::uint32_t>(chosen);
  piece.parts.push_back(part);
}

/// Sends the piece to the next shard that holds it, or can answer in the stead of those.
Sending Router::ask_next(Ticket ticket, Request& request, std::uint32_t piece_number, Cause cause) {
  Piece& piece = request.pieces[piece_number];
  const Sending allowed = may_send(request.deadline_us - now_us_, cause, retries_.may_retry());
  if (allowed == Sending::unfunded) counters_.not_asked_again.add();
  if (allowed != Sending::sent) return allowed;
  if (piece.attempt_count == kMaxAttempts) return Sending::exhausted;
  for (;;) {
    Sending why = Sending::sent;
    const auto target = next_target(request, piece, cause, why);
    if (!target && why == Sending::exhausted && forgive_lost(piece)) {
      cause = Cause::silence;  // who lost it may have computed it first
      continue;
    }
    if (why == Sending::full) counters_.overloaded.add();
    if (!target) return why;
    piece.was_tried[target->place] = true;
    if (target->backend == nullptr) continue;
    // One that is silent is not waited for until the budget ends where others can answer in its stead.
    const auto others = std::count(piece.was_tried.begin(), piece.was_tried.begin() + piece.shard_count, false) +
                        (target->backend->is_suspect && has_others(request, piece));
    if (!send_piece(ticket, request, piece_number, *target, static_cast<std::size_t>(others))) continue;
    if (cause == Cause::first) retries_.sent_first();
    if (cause == Cause::silence) retries_.sent_again();
    if (cause != Cause::first) counters_.asked_again.add();
    return Sending::sent;
  }
}

/// The planned shard first, if it answers and has room. Nothing: `why`.
std::optional<Router::Target> Router::next_target(Request& request, Piece& piece, Cause cause, Sending& why) {
  const std::int64_t left_us = remaining_us(request);
  Target target{piece.first, 0, nullptr};
  if (!piece.was_tried[piece.first]) {
    target.backend = backends_.choose(piece.shards[piece.first], target.number, left_us);
    if (target.backend != nullptr && !target.backend->is_suspect && !backends_.is_full(*target.backend, left_us)) {
      return target;
    }
  }
  auto candidates = candidates_of(piece, left_us);
  // Where all have said that they know nothing of it, others don't either; what somebody works on is waited for.
  const auto placed = candidates.first(piece.placed_count);
  const bool is_known_of = cause != Cause::lack || std::ranges::any_of(placed, &Candidate::is_away);
  if (is_known_of && needs_stand_ins(placed) && is_left_alone(piece) && add_stand_ins(request, piece)) {
    candidates = candidates_of(piece, left_us);
  }
  const auto next = choose_candidate(candidates, true);
  if (!next) {
    why = why_nobody(candidates);
    return std::nullopt;
  }
  // An answer that is there in part isn't kept waiting for one that is silent.
  if (piece.has_part && candidates[*next].is_suspect) {
    why = Sending::exhausted;
    return std::nullopt;
  }
  target.place = *next;
  target.backend = backends_.choose(piece.shards[*next], target.number, left_us);
  return target;
}

std::span<const Candidate> Router::candidates_of(const Piece& piece, std::int64_t remaining_us) {
  for (std::size_t i = 0; i < piece.shard_count; ++i) {
    candidates_[i] = backends_.candidate(piece.shards[i], remaining_us, now_us_);
    candidates_[i].was_tried = piece.was_tried[i];
  }
  return {candidates_.data(), piece.shard_count};
}

/// Whether stand-ins may still be found.
bool Router::has_others(const Request& request, const Piece& piece) const {
  return !piece.has_stand_ins && request.tenant->shards.shards.size() > piece.placed_count;
}

/// The tenant's shards hold all nodes but leaves, and answer for those from the nodes above: of those that placement
/// doesn't name for the piece the best off are asked in the stead of these. false: there is none now, or they were
/// found before.
bool Router::add_stand_ins(const Request& request, Piece& piece) {
  if (!has_others(request, piece)) return false;
  const std::string name = request.tenant->shards.tenant;
  const Tenant& tenant = tenants_.at(*routes_, name, now_us_);  // by the newest view
  const auto placed = std::span(piece.shards).first(piece.placed_count);
  std::vector<Candidate> others;
  for (const std::uint32_t place : tenant.shards.shards) {
    const std::uint32_t shard = backends_.shard_at(place);
    if (std::ranges::find(placed, shard) != placed.end()) continue;
    others.push_back(backends_.candidate(shard, remaining_us(request), now_us_));
  }
  while (piece.shard_count < kMaxAsked) {
    const auto next = choose_candidate(others, true);
    if (!next || others[*next].is_suspect) break;
    others[*next].was_tried = true;
    piece.was_tried[piece.shard_count] = false;
    piece.shards[piece.shard_count++] = others[*next].shard;
  }
  piece.has_stand_ins = piece.shard_count > piece.placed_count;
  return piece.has_stand_ins;
}

/// Shards that lost what they were sent and answer again may be asked once more, within the retry budget. false: there
/// is none.
bool Router::forgive_lost(Piece& piece) {
  if (!retries_.may_retry()) return false;
  bool has_forgiven = false;
  for (Attempt& attempt : piece.made()) {
    const Backend& backend = backends_.at(attempt.backend);
    if (!attempt.is_open || backend.is_suspect || backend.socket == nullptr) continue;
    if (backend.flow.has_in_flight(attempt.number)) continue;
    close_attempt(attempt);
    piece.was_tried[attempt.place] = false;
    has_forgiven = true;
  }
  return has_forgiven;
}

/// [ticket, piece, attempt, number] [header] [body]…
bool Router::send_piece(Ticket ticket, Request& request, std::uint32_t piece_number, const Target& target,
                        std::size_t others_left) {
  Backend& backend = *target.backend;
  const Principal* const who = door_.who(request.message);
  if (who == nullptr) return false;  // its key doesn't count any more
  Piece& piece = request.pieces[piece_number];
  // The first sending has the header that was just checked before it; any later one reads it again.
  const bool is_first = piece.attempt_count == 0 && piece_number == 0;
  if (!is_first && !wire::decode_predict(request.header(), header_).ok()) return false;
  const std::int64_t remaining_us = request.deadline_us - now_us_;
  header_.prediction = request.prediction;
  header_.principal = who->name();
  header_.attempt = piece.attempt_count + 1;
  header_.budget_us = remaining_us;
  header_.sent_us = now_us_;
  header_.shard = backend.shard;
  header_.stand_in = target.place >= piece.placed_count;
  if (piece.parts.empty()) {
    wire::encode_predict(header_, header_bytes_);
  } else {
    wire::encode_predict(header_, piece.parts, header_bytes_);
  }
  // Kept, as another shard may have to be asked, or this one once more.
  const std::span<wire::Frame> bodies = request.bodies();
  const std::uint32_t bytes = bytes_of(request, piece, bodies);
  const ShardRequestId id{ticket, piece_number, piece.attempt_count, backend.flow.next()};
  out_.clear();
  out_.emplace_back(std::string_view(reinterpret_cast<const char*>(&id), sizeof id));
  out_.emplace_back(std::string_view(header_bytes_));
  if (piece.parts.empty()) {
    for (wire::Frame& body : bodies) out_.push_back(body.share());
  } else {
    for (const std::uint32_t part : piece.parts) out_.push_back(bodies[part].share());
  }
  const Result<bool> sent = backend.socket->send(out_);
  if (!sent.ok() || !*sent) return false;
  counters_.sent.add();
  backends_.sends(backend);
  backend.flow.send(bytes, most_work_us(rows_of(header_, piece), bytes));
  ++backend.open_attempts;
  piece.attempts[piece.attempt_count++] = {target.number, id.number, now_us_, static_cast<std::uint8_t>(target.place),
                                           true};
  const std::int64_t due_us = now_us_ + patience_us(remaining_us, others_left);
  alarms_.add(due_us, {ticket, due_us, piece_number, id.attempt});
  if (!backends_.hedges() || id.attempt > 0 || others_left == 0) return true;
  const std::int64_t hedge_us = backend.times.p95_us();
  if (hedge_us > 0 && hedge_us < due_us - now_us_) {
    alarms_.add(now_us_ + hedge_us, {ticket, now_us_ + hedge_us, piece_number, id.attempt, true});
  }
  return true;
}

}  // namespace espalier::router
