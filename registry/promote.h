// Moves that concern two tags or more: a promotion, and a tag that is laid over another (docs/tags.md).
//
// Thread safety: as the Store. Errors: invalid_argument: names, one tag twice; failed_precondition: nothing to promote,
// a loop of overlays, another last release than the expected one; not_found.
#pragma once

#include <string>
#include <vector>

#include "common/principal.h"
#include "registry/records.h"
#include "wire/tag_messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMaxTagsInChain = 8;  ///< an overlay and all that it stands on

/// Writes a release for each tag that is moved into the batch. The reply is that of `to`.
Result<wire::ReleaseReply> prepare_promote(Records& records, const Principal& principal,
                                           const wire::PromoteRequest& request, Batch& batch);

/// Writes the model with its new overlay, and a change of kind model. The batch stays empty where nothing changes.
Result<wire::EpochReply> prepare_overlay(Records& records, const wire::OverlayRequest& request, Batch& batch);

/// `tag` and what it stands on, down to the last. Of a loop, as many as there are overlays, and one more.
std::vector<std::string> chain_of(const std::vector<wire::Overlay>& overlays, const std::string& tag);
/// invalid_argument: not what with_overlay() makes of these tags. For overlays that come from elsewhere.
Status check_overlays(const std::vector<wire::Overlay>& overlays, const std::vector<std::string>& tags);
/// The overlays with `tag` on `on` (empty: on its own). failed_precondition: that would be a loop, or a chain that is
/// too long; the message names it.
Result<std::vector<wire::Overlay>> with_overlay(std::vector<wire::Overlay> overlays, const std::string& tag,
                                                const std::string& on);

}  // namespace espalier::registry
