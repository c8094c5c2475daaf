#include "registry/upkeep/upkeep.h"

#include <algorithm>

namespace espalier::registry::upkeep {

void Upkeep::drop_idle() {
  if (sessions_.empty()) return;
  const std::int64_t now = clock_.monotonic_us();
  std::erase_if(sessions_, [&](const Session& session) { return now - session.used_us > kIdleUs; });
}

Result<Upkeep::Session*> Upkeep::session(const Principal& principal, std::string_view op, const Uuid& id,
                                         std::uint32_t step, bool& repeated) {
  if (id.is_nil()) return invalid_argument("session: 16 bytes that are not all zero are needed");
  drop_idle();
  const auto is_it = [&](const Session& session) {
    return session.id == id && session.principal == principal.name() && session.op == op;
  };
  const auto at = std::ranges::find_if(sessions_, is_it);
  if (at == sessions_.end()) {
    if (step != 0) {
      return failed_precondition("session: " + id.text() +
                                 " is over: the registry was started again, or it was not asked for a minute");
    }
    // Those that are done make room.
    const auto is_done = [](const Session& session) { return !session.check; };
    if (sessions_.size() >= kMaxSessions) std::erase_if(sessions_, is_done);
    if (sessions_.size() >= kMaxSessions) {
      return Status(Code::overloaded, "session: " + std::to_string(kMaxSessions) + " are under way already");
    }
    Session& begun = sessions_.emplace_back();
    begun.id = id;
    begun.principal = principal.name();
    begun.op = op;
    begun.used_us = clock_.monotonic_us();
    repeated = false;
    return &begun;
  }
  at->used_us = clock_.monotonic_us();
  repeated = step + 1 == at->next_step;
  if (!repeated && step != at->next_step) {
    return invalid_argument("step: " + std::to_string(step) + ", the next is " + std::to_string(at->next_step));
  }
  return &*at;
}

Result<wire::CheckReply> Upkeep::check(const Principal& principal, const wire::CheckRequest& request) {
  RETURN_IF_ERROR(principal.check_serve());
  bool repeated = false;
  ASSIGN_OR_RETURN(Session* const at, session(principal, request.op, request.session, request.step, repeated));
  if (repeated) return at->check_reply;
  auto reply = next_slice(*at);
  if (!reply.ok()) {
    std::erase_if(sessions_, [&](const Session& session) { return &session == at; });
    return reply;
  }
  at->check_reply = *reply;
  ++at->next_step;
  return reply;
}

Result<wire::CheckReply> Upkeep::next_slice(Session& session) {
  if (session.next_step == 0) {
    ASSIGN_OR_RETURN(session.check, Check::start(records_));
  }
  if (!session.check) return failed_precondition("session: it is done");
  Check& check = *session.check;
  RETURN_IF_ERROR(check.step(clock_, slice_us_));
  wire::CheckReply reply;
  reply.generation = records_.store.generation();
  reply.epoch = check.counts().epoch;
  reply.records = check.counts().records;
  reply.artefacts = check.counts().artefacts;
  reply.passed_over = check.counts().passed_over;
  reply.found = check.findings().count();
  for (Finding& finding : check.findings().take()) {
    reply.findings.push_back({std::move(finding.table), std::move(finding.key), std::move(finding.what)});
  }
  reply.done = check.is_done();
  if (reply.done) session.check.reset();
  return reply;
}

}  // namespace espalier::registry::upkeep
