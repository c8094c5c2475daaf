// The registry's operations on quotas (docs/quotas.md).
#include <set>

#include "model/ids.h"
#include "registry/change.h"

namespace espalier::registry {

Result<wire::EpochReply> Registry::set_quota(const Principal& principal, const wire::SetQuotaRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(model::check_name("tenant", request.tenant));
  const auto put = [&](Batch& batch, AuditNote& note) -> Result<wire::EpochReply> {
    ASSIGN_OR_RETURN(const wire::QuotaRecord before, records_.quotas.get(request.tenant));
    note = {"tenant " + request.tenant, audit::quota_json(before.quota), audit::quota_json(request.quota)};
    records_.quotas.put(batch, request.tenant, {request.quota, principal.name()});
    return wire::EpochReply{store_->generation(), batch.epoch()};
  };
  auto reply = change<wire::EpochReply>(principal, request, {}, put);
  // Also what was looked up while the change was prepared.
  records_.quotas.forget_all();
  return reply;
}

Result<wire::QuotaReply> Registry::quota(const Principal& principal, const wire::QuotaRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  if (!records_.artefacts.is_settled()) RETURN_IF_ERROR(records_.artefacts.settle());
  wire::QuotaReply reply;
  reply.generation = store_->generation();
  ASSIGN_OR_RETURN(const auto erased, records_.erased.find(request.tenant));
  if (erased) return reply;
  ASSIGN_OR_RETURN(reply.set, records_.quotas.get(request.tenant));
  ASSIGN_OR_RETURN(reply.used, records_.quotas.used(request.tenant));
  // What a failed write left becomes known with the next change.
  if (!store_->is_healthy()) forget_counts();
  return reply;
}

/// resource_exhausted: more than the tenant may have. Gives what the upload adds.
Result<std::uint64_t> Registry::check_room(const wire::UploadRequest& request, const Bodies& bodies) {
  ASSIGN_OR_RETURN(const bool is_limited, records_.quotas.has_any(request.tenant));
  if (!is_limited || bodies.size() != request.artefacts.size()) return std::uint64_t{0};
  if (!store_->is_healthy()) RETURN_IF_ERROR(store_->begin().status());
  // What is used is counted from records, and these come when uploads are settled.
  if (!records_.artefacts.is_settled()) RETURN_IF_ERROR(records_.artefacts.settle());
  std::uint64_t bytes = 0;
  std::set<Hash256> fresh;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    ASSIGN_OR_RETURN(const auto known, records_.artefacts.find(request.tenant, request.artefacts[i]));
    if (!known && fresh.insert(request.artefacts[i]).second) bytes += bodies[i].size();
  }
  RETURN_IF_ERROR(records_.quotas.check_upload(request.tenant, bytes));
  return bytes;
}

}  // namespace espalier::registry
