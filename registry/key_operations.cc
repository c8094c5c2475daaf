// The registry's operations on keys (docs/keys.md).
#include <algorithm>

#include "common/log.h"
#include "model/ids.h"
#include "registry/change.h"
#include "registry/operations.h"
#include "registry/registry.h"

namespace espalier::registry {
namespace {

/// invalid_argument: the public half is another key's, or was this one's before.
Status check_is_new(const std::vector<wire::KeyRecord>& keys, const Hash256& half) {
  for (const wire::KeyRecord& key : keys) {
    if (std::ranges::find(key.halves, half, &wire::KeyHalf::key) == key.halves.end()) continue;
    return invalid_argument("key: this public half is key " + key.name + "'s already");
  }
  return {};
}

}  // namespace

template <class Request, class Edit>
Result<wire::EpochReply> Registry::change_key(const Principal& principal, const Request& request, Edit edit) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(model::check_name("name", request.name));
  return change<wire::EpochReply>(
      principal, request, {}, [&](Batch& batch, AuditNote& note) -> Result<wire::EpochReply> {
        ASSIGN_OR_RETURN(auto before, records_.keys.find(request.name));
        note.subject = "key " + request.name;
        note.before = before ? audit::key_json(*before) : "";
        if (before && before->revoked_us != 0) {
          return failed_precondition("key " + request.name + " was revoked; its name is not used again");
        }
        ASSIGN_OR_RETURN(wire::KeyRecord key, edit(std::move(before), batch.time_us()));
        note.after = audit::key_json(key);
        log::info("registry", Request::op, {{"key", key.name}, {"by", principal.name()}, {"epoch", batch.epoch()}});
        KeyRecords::put(batch, std::move(key), principal.name());
        return wire::EpochReply{store_->generation(), batch.epoch()};
      });
}

Result<wire::EpochReply> Registry::key_create(const Principal& principal, const wire::KeyCreateRequest& request) {
  using Before = std::optional<wire::KeyRecord>;
  return change_key(principal, request, [&](Before before, std::int64_t now_us) -> Result<wire::KeyRecord> {
    if (before) return Status(Code::already_exists, "key " + request.name + " is there already");
    ASSIGN_OR_RETURN(const auto all, records_.keys.all());
    if (all.size() >= kMostKeys) {
      return Status(Code::resource_exhausted, "there are " + std::to_string(kMostKeys) + " keys already");
    }
    RETURN_IF_ERROR(check_is_new(all, request.key));
    return new_key(request, now_us);
  });
}

Result<wire::EpochReply> Registry::key_limit(const Principal& principal, const wire::KeyLimitRequest& request) {
  using Before = std::optional<wire::KeyRecord>;
  return change_key(principal, request, [&](Before before, std::int64_t now_us) -> Result<wire::KeyRecord> {
    if (!before) return not_found("key " + request.name);
    return limited_key(*std::move(before), request, now_us);
  });
}

Result<wire::EpochReply> Registry::key_rotate(const Principal& principal, const wire::KeyRotateRequest& request) {
  using Before = std::optional<wire::KeyRecord>;
  return change_key(principal, request, [&](Before before, std::int64_t now_us) -> Result<wire::KeyRecord> {
    if (!before) return not_found("key " + request.name);
    ASSIGN_OR_RETURN(const auto all, records_.keys.all());
    RETURN_IF_ERROR(check_is_new(all, request.key));
    return rotated_key(*std::move(before), request, now_us);
  });
}

Result<wire::EpochReply> Registry::key_revoke(const Principal& principal, const wire::KeyRevokeRequest& request) {
  using Before = std::optional<wire::KeyRecord>;
  return change_key(principal, request, [&](Before before, std::int64_t now_us) -> Result<wire::KeyRecord> {
    if (!before) return not_found("key " + request.name);
    before->revoked_us = now_us;
    return *std::move(before);
  });
}

Result<wire::KeysReply> Registry::keys(const Principal& principal, const wire::KeysRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  wire::KeysReply reply;
  reply.generation = store_->generation();
  ASSIGN_OR_RETURN(reply.epoch, records_.keys.changed());
  reply.unchanged = request.generation == reply.generation && request.after == reply.epoch;
  if (reply.unchanged) return reply;
  ASSIGN_OR_RETURN(reply.keys, records_.keys.all());
  return reply;
}

}  // namespace espalier::registry
