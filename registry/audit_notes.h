// What changes say of themselves in the audit: their subject, what was before and what is after. Names are as they are,
// free text is quoted and cut.
//
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cluster/view.h"
#include "registry/audit.h"
#include "wire/audit_messages.h"
#include "wire/dataset_messages.h"
#include "wire/key_messages.h"
#include "wire/messages.h"
#include "wire/moving_messages.h"
#include "wire/quarantine_messages.h"
#include "wire/run_messages.h"
#include "wire/space_messages.h"
#include "wire/tag_messages.h"

namespace espalier::registry::audit {

/// The tag that the change moves; empty: none.
template <class Request>
std::string tag_of(const Request& request) {
  if constexpr (std::is_same_v<Request, wire::PromoteRequest>) {
    return request.to;
  } else if constexpr (requires {
                         request.release;
                         request.tag;
                       }) {
    return request.tag;
  } else {
    return {};
  }
}

/// What the request alone tells. Of releases: release_note() tells the rest.
template <class Request>
AuditNote note_of(const Request&) {
  return {};
}
AuditNote note_of(const wire::PublishRequest& request);
AuditNote note_of(const wire::MoveRequest& request);
AuditNote note_of(const wire::RollbackRequest& request);
AuditNote note_of(const wire::PromoteRequest& request);
AuditNote note_of(const wire::OverlayRequest& request);
AuditNote note_of(const wire::QuarantineRequest& request);
AuditNote note_of(const wire::ImportRequest& request);
AuditNote note_of(const wire::RunStartRequest& request);
AuditNote note_of(const wire::RunLogRequest& request);
AuditNote note_of(const wire::RunEndRequest& request);
AuditNote note_of(const wire::RunAttachRequest& request);
AuditNote note_of(const wire::DatasetPutRequest& request);
AuditNote note_of(const wire::CollectRequest& request);
AuditNote note_of(const wire::EraseRequest& request);

/// Of a tag: the release that it stands at; nil: none.
std::string release_json(const Uuid& release);
std::string release_json(const wire::ReleaseReply& reply);
std::string rule_json(const wire::RetentionRule& rule);
std::string key_json(const wire::KeyRecord& key);
std::string quota_json(const wire::Quota& quota);
std::string overlay_json(const wire::ModelRecord& model, const std::string& tag);
/// Of one shard, or tenant's settings; empty: the view has none.
std::string shard_json(const cluster::View& view, std::string_view shard);
std::string settings_json(const cluster::View& view, const std::string& tenant);
std::string settings_json(const cluster::TenantSettings& settings);
/// What the registry itself changes: shards whose state differs, and the numbers of the views.
AuditNote view_note(const cluster::View& from, const cluster::View& to);

}  // namespace espalier::registry::audit
