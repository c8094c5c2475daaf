#include "registry/quarantine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/log.h"

namespace espalier::registry {

Result<wire::EpochReply> prepare_quarantine(Records& records, const wire::QuarantineRequest& request, Batch& batch) {
  if (request.version.is_nil()) return invalid_argument("version: none is named");
  if (request.reason.size() > kMaxQuarantineReason) {
    return invalid_argument("reason: " + std::to_string(request.reason.size()) + " bytes, at most " +
                            std::to_string(kMaxQuarantineReason) + " are allowed");
  }
  ASSIGN_OR_RETURN(auto model, records.models.get(request.tenant, request.model, batch.epoch() - 1));
  RETURN_IF_ERROR(records.versions.get(request.tenant, request.model, request.version).status());
  wire::EpochReply reply;
  reply.generation = records.store.generation();
  const auto at = std::ranges::lower_bound(model.quarantined, request.version);
  const bool is_there = at != model.quarantined.end() && *at == request.version;
  if (is_there != request.lift) {
    ASSIGN_OR_RETURN(reply.epoch, records.feed.newest());
    return reply;
  }
  if (request.lift) {
    model.quarantined.erase(at);
  } else {
    if (model.quarantined.size() == kMostQuarantined) {
      return Status(Code::resource_exhausted, "model " + request.tenant + "/" + request.model + " has " +
                                                  std::to_string(kMostQuarantined) + " versions in quarantine");
    }
    model.quarantined.insert(at, request.version);
  }
  Models::put(batch, model);
  wire::Change change;
  change.kind = wire::ChangeKind::model;
  change.tenant = request.tenant;
  change.model = request.model;
  change.levels = static_cast<std::uint32_t>(model.levels.size());
  RETURN_IF_ERROR(records.feed.put(batch, std::move(change)));
  reply.epoch = batch.epoch();
  log::info("registry", request.lift ? "quarantine lifted" : "quarantined",
            {{"tenant", request.tenant},
             {"model", request.model},
             {"version", request.version.text()},
             {"reason", request.reason},
             {"epoch", reply.epoch}});
  return reply;
}

}  // namespace espalier::registry
