#include "registry/upkeep/upkeep.h"

#include <algorithm>

#include "model/ids.h"
#include "registry/moving/export_source.h"
#include "registry/operations.h"

namespace espalier::registry::upkeep {
namespace {

/// All of a registry is for whoever runs the cluster, a tenant's models for those who may read them.
Status check_scope(const Principal& principal, const wire::ArchiveRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  if (request.tenant.empty()) {
    if (!request.model.empty()) return invalid_argument("model: needs its tenant");
    if (request.epoch != 0) return invalid_argument("epoch: only with a tenant");
    return {};
  }
  return request.model.empty() ? Status() : model::check_name("model", request.model);
}

}  // namespace

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
      return failed_precondition(
          "session: " + id.text() +
          " is over: the registry was started again or could not write, or it was not asked for a minute");
    }
    // Those that are done make room.
    const auto is_done = [](const Session& session) { return session.is_done(); };
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

void Upkeep::end(const Session* session) {
  std::erase_if(sessions_, [&](const Session& other) { return &other == session; });
}

Result<wire::CheckReply> Upkeep::check(const Principal& principal, const wire::CheckRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  bool repeated = false;
  ASSIGN_OR_RETURN(Session* const at, session(principal, request.op, request.session, request.step, repeated));
  if (repeated) return at->check_reply;
  if (at->is_done()) return failed_precondition("session: it is done");
  auto reply = check_on(*at);
  if (!reply.ok()) {
    end(at);
    return reply;
  }
  at->check_reply = *reply;
  ++at->next_step;
  return reply;
}

Result<wire::CheckReply> Upkeep::check_on(Session& session) {
  if (session.next_step == 0) {
    ASSIGN_OR_RETURN(session.check, Check::start(records_));
  }
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

Result<wire::ArchiveReply> Upkeep::archive(const Principal& principal, const wire::ArchiveRequest& request,
                                           std::vector<std::string_view>& bodies) {
  RETURN_IF_ERROR(check_scope(principal, request));
  bool repeated = false;
  ASSIGN_OR_RETURN(Session* const at, session(principal, request.op, request.session, request.step, repeated));
  if (!repeated) {
    if (at->is_done()) return failed_precondition("session: it is done");
    auto reply = archive_on(*at, request);
    if (!reply.ok()) {
      end(at);
      return reply;
    }
    at->archive_reply = *std::move(reply);
    ++at->next_step;
  }
  for (const Block& block : at->blocks) bodies.push_back(block.payload);
  return at->archive_reply;
}

Result<wire::ArchiveReply> Upkeep::archive_on(Session& session, const wire::ArchiveRequest& request) {
  if (session.next_step == 0 && request.tenant.empty()) {
    ASSIGN_OR_RETURN(session.source, ArchiveSource::start(records_, clock_));
  } else if (session.next_step == 0) {
    const ExportScope scope{request.tenant, request.model, request.epoch, request.records_only};
    ASSIGN_OR_RETURN(session.source, ExportSource::start(records_, clock_, scope));
  }
  BlockSource& source = *session.source;
  ASSIGN_OR_RETURN(session.blocks, source.step(slice_us_));
  wire::ArchiveReply reply;
  reply.generation = source.head().generation;
  reply.epoch = source.head().epoch;
  reply.time_us = source.head().time_us;
  reply.schema = source.head().schema;
  for (const Block& block : session.blocks) reply.blocks.push_back(static_cast<std::uint32_t>(block.kind));
  reply.records = source.counts().records;
  reply.artefacts = source.counts().artefacts;
  reply.artefact_bytes = source.counts().artefact_bytes;
  reply.done = source.is_done();
  if (reply.done) session.source.reset();
  return reply;
}

}  // namespace espalier::registry::upkeep
