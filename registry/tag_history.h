// Every movement of a tag: what, when, by whom, by which release. In pages.
//
// Thread safety: as the Store. Errors: not_found: no such tag as of then; those of QueryCursor.
#pragma once

#include "registry/records.h"
#include "wire/tag_messages.h"

namespace espalier::registry {

inline constexpr std::uint32_t kMaxMovements = 4096;  ///< in one reply, whatever was asked

Result<wire::TagHistoryReply> tag_history(Records& records, const wire::TagHistoryRequest& request);

}  // namespace espalier::registry
