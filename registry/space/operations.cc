// The registry's operations on what is kept and what goes.
#include "registry/operations.h"
#include "model/ids.h"
#include "registry/space/erasure.h"

namespace espalier::registry {

Result<wire::RetentionReply> Registry::retention(const Principal& principal, const wire::RetentionRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(model::check_name("model", request.model));
  RETURN_IF_ERROR(records_.models.get(request.tenant, request.model, store_->epoch()).status());
  ASSIGN_OR_RETURN(auto rules, records_.retention.history(request.tenant, request.model));
  if (rules.empty()) rules.emplace_back();
  return wire::RetentionReply{std::move(rules)};
}

/// not_found unless the tenant has models, or that model.
Status Registry::check_collectable(const std::string& tenant, const std::string& model) {
  if (!model.empty()) return records_.models.get(tenant, model, store_->epoch()).status();
  wire::ModelsRequest any;
  any.tenant = tenant;
  any.limit = 1;
  ASSIGN_OR_RETURN(const auto models,
                   records_.models.page(any, {}, store_->epoch(), [](std::string_view) { return true; }));
  return models.models.empty() ? not_found("tenant " + tenant) : Status();
}

/// not_found where the tenant has nothing; failed_precondition: it was erased.
Status Registry::check_erasable(const std::string& tenant) {
  RETURN_IF_ERROR(records_.erased.check(tenant));
  ASSIGN_OR_RETURN(bool any, has_anything(*store_, tenant));
  any |= records_.artefacts.has_pack(tenant);
  return any ? Status() : not_found("tenant " + tenant);
}

Result<wire::StartedReply> Registry::plan(wire::Receipt receipt) {
  wire::StartedReply reply;
  reply.generation = store_->generation();
  reply.receipt = receipt.receipt;
  ASSIGN_OR_RETURN(reply.epoch, records_.feed.newest());
  if (jobs_.find(receipt.tenant, receipt.receipt) != nullptr) return reply;
  RETURN_IF_ERROR(records_.receipts.check_free(receipt.tenant, receipt.receipt));
  RETURN_IF_ERROR(jobs_.check_room());
  // What time a commit would have now.
  ASSIGN_OR_RETURN(const Batch batch, store_->begin());
  receipt.started_us = batch.time_us();
  receipt.epoch = reply.epoch;
  jobs_.add(receipt);
  return reply;
}

Result<wire::StartedReply> Registry::prepare_job(wire::Receipt receipt, Batch& batch) {
  RETURN_IF_ERROR(records_.receipts.check_free(receipt.tenant, receipt.receipt));
  RETURN_IF_ERROR(jobs_.check_room());
  receipt.started_us = batch.time_us();
  receipt.epoch = batch.epoch();
  Receipts::put(batch, receipt);
  wire::StartedReply reply;
  reply.generation = store_->generation();
  ASSIGN_OR_RETURN(reply.epoch, records_.feed.newest());
  reply.receipt = receipt.receipt;
  return reply;
}

/// Of a receipt that was written now, or before, by the same change sent twice.
Status Registry::start_job(const std::string& tenant, const Uuid& receipt) {
  if (jobs_.find(tenant, receipt) != nullptr) return {};
  ASSIGN_OR_RETURN(const wire::Receipt written, records_.receipts.get(tenant, receipt));
  if (written.finished_us == 0) jobs_.add(written);
  return {};
}

Result<wire::ReceiptReply> Registry::receipt(const Principal& principal, const wire::ReceiptRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  wire::ReceiptReply reply;
  if (const wire::Receipt* job = jobs_.find(request.tenant, request.receipt)) {
    reply.receipt = *job;
  } else {
    ASSIGN_OR_RETURN(reply.receipt, records_.receipts.get(request.tenant, request.receipt));
  }
  if (reply.receipt.kind == wire::ReceiptKind::erasure && !reply.receipt.dry_run) {
    ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
    reply.missing = acks_.state(view, reply.receipt.epoch, Acks::Of::all).missing;
    hide_shards(principal, reply.missing);
  }
  return reply;
}

Result<wire::ReceiptItemsReply> Registry::receipt_items(const Principal& principal,
                                                        const wire::ReceiptItemsRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  const wire::Receipt* job = jobs_.find(request.tenant, request.receipt);
  if (job != nullptr && job->finished_us == 0) {
    return failed_precondition("receipt " + request.receipt.text() + " is not finished");
  }
  if (jobs_.is_plan(request.tenant, request.receipt)) return jobs_.plan(request.cursor);
  return records_.receipts.items(request.tenant, request.receipt, request.cursor);
}

Result<wire::VerifyErasureReply> Registry::verify_erasure(const Principal& principal,
                                                          const wire::VerifyErasureRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  ASSIGN_OR_RETURN(const wire::Receipt receipt, records_.receipts.get(request.tenant, request.receipt));
  if (receipt.kind != wire::ReceiptKind::erasure) {
    return invalid_argument("receipt: " + request.receipt.text() + " is not that of an erasure");
  }
  if (receipt.finished_us == 0) return failed_precondition("receipt " + request.receipt.text() + " is not finished");
  return look_for_remains(records_, receipt, request.cursor, options_.background_work);
}

}  // namespace espalier::registry
