// How the registry applies a change once: for the .cc files of its operations.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "common/hash.h"
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
  auto prepared = prepare(batch);
  if (records_.artefacts.was_too_early()) {
    // It names artefacts whose upload is of the same group.
    RETURN_IF_ERROR(records_.artefacts.settle());
    ASSIGN_OR_RETURN(batch, store_->begin());
    prepared = prepare(batch);
  }
  ASSIGN_OR_RETURN(const Reply reply, std::move(prepared));
  if (batch.size() == 0) return reply;
  if constexpr (requires { request.tenant; } && !std::is_same_v<Request, wire::EraseRequest>) {
    // Whatever a change makes: nothing comes back under an erased tenant's name.
    RETURN_IF_ERROR(records_.erased.check(request.tenant));
  } else if constexpr (requires { request.dataset.tenant; }) {
    RETURN_IF_ERROR(records_.erased.check(request.dataset.tenant));
  }
  Idempotency::remember(batch, principal.name(), request.idem, sent, wire::encode_reply(Status(), reply));
  RETURN_IF_ERROR(records_.idempotency.expire(batch));
  RETURN_IF_ERROR(store_->apply(batch));
  if constexpr (std::is_same_v<Reply, wire::ReleaseReply>) served_times_.committed(batch.epoch());
  RETURN_IF_ERROR(settle());
  ++activity_;
  upkeep_->drop_idle();
  return reply;
}

}  // namespace espalier::registry
