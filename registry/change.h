// How the registry applies a change once: for the .cc files of its operations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "common/hash.h"
#include "registry/audit_notes.h"
#include "registry/operations.h"
#include "registry/registry.h"
#include "registry/upkeep/upkeep.h"

namespace espalier::registry {

/// All that was sent, as one number: tells a change that is sent again from another with its idem.
template <class Request>
std::uint64_t fingerprint(const Request& request, const Registry::Bodies& bodies) {
  std::uint64_t hash = xxh3_64(wire::encode(request));
  for (const auto body : bodies) hash = xxh3_64(body, hash);
  return hash;
}

/// Who made the change, and what of, goes into its batch.
template <class Reply, class Request>
Status Registry::note_change(Batch& batch, const Principal& principal, const Request& request, const Reply& reply,
                             AuditNote note) {
  std::string_view model;
  if constexpr (requires { request.model; }) model = request.model;
  if constexpr (std::is_same_v<Reply, wire::ReleaseReply>) {
    // Not of the archive's tag, nor of what a promotion takes out of `from`.
    if constexpr (std::is_same_v<Request, wire::PromoteRequest>) records_.audit.forget_tags();
    ASSIGN_OR_RETURN(const Uuid before, records_.audit.release_of(records_.releases, request.tenant, request.model,
                                                                  audit::tag_of(request)));
    note.before = audit::release_json(before);
    note.after = audit::release_json(reply);
  } else if constexpr (std::is_same_v<Request, wire::ImportRequest> || std::is_same_v<Request, wire::EraseRequest>) {
    records_.audit.forget_tags();
  }
  return records_.audit.put(batch, records_.keys,
                            {principal.name(), Request::op, operations::tenant_of(request), model}, std::move(note));
}

template <class Reply, class Request, class Prepare>
Result<Reply> Registry::change(const Principal& principal, const Request& request, const Bodies& bodies,
                               Prepare prepare) {
  const std::uint64_t sent = fingerprint(request, bodies);
  // Looked up before the store is asked for a batch, so that a full disk doesn't keep a reply from who asks for it
  // again; and after, because a commit whose outcome was unknown may come to light there.
  ASSIGN_OR_RETURN(auto known, records_.idempotency.find(principal.name(), request.idem, sent));
  if (known) return wire::decode_reply<Reply>(*known);
  ASSIGN_OR_RETURN(Batch batch, store_->begin());
  ASSIGN_OR_RETURN(known, records_.idempotency.find(principal.name(), request.idem, sent));
  if (known) {
    ++activity_;
    return wire::decode_reply<Reply>(*known);
  }
  static_cast<void>(records_.artefacts.was_too_early());
  AuditNote note = audit::note_of(request);
  const auto run = [&](Batch& into) {
    if constexpr (std::is_invocable_v<Prepare, Batch&, AuditNote&>) {
      return prepare(into, note);
    } else {
      return prepare(into);
    }
  };
  auto prepared = run(batch);
  if (records_.artefacts.was_too_early()) {
    // It names artefacts whose upload is of the same group.
    RETURN_IF_ERROR(records_.artefacts.settle());
    ASSIGN_OR_RETURN(batch, store_->begin());
    prepared = run(batch);
  }
  ASSIGN_OR_RETURN(const Reply reply, std::move(prepared));
  if (batch.size() == 0) return reply;
  if constexpr (requires { request.tenant; } && !std::is_same_v<Request, wire::EraseRequest>) {
    // Whatever a change makes: nothing comes back under an erased tenant's name.
    RETURN_IF_ERROR(records_.erased.check(request.tenant));
  } else if constexpr (requires { request.dataset.tenant; }) {
    RETURN_IF_ERROR(records_.erased.check(request.dataset.tenant));
  }
  const std::string tenant(operations::tenant_of(request));
  std::optional<QuotaDelta> used;
  if (!tenant.empty()) {
    ASSIGN_OR_RETURN(used, records_.quotas.check(batch, tenant));
  }
  RETURN_IF_ERROR(note_change(batch, principal, request, reply, std::move(note)));
  Idempotency::remember(batch, principal.name(), request.idem, sent, wire::encode_reply(Status(), reply));
  RETURN_IF_ERROR(records_.idempotency.expire(batch));
  const Status applied = store_->apply(batch);
  if (!applied.ok()) forget_counts();
  RETURN_IF_ERROR(applied);
  if (!tenant.empty()) records_.quotas.applied(tenant, used);
  if constexpr (std::is_same_v<Reply, wire::ReleaseReply>) {
    served_times_.committed(batch.epoch());
    records_.audit.moved(request.tenant, request.model, audit::tag_of(request), reply.release);
  }
  RETURN_IF_ERROR(settle());
  ++activity_;
  upkeep_->drop_idle();
  return reply;
}

}  // namespace espalier::registry
