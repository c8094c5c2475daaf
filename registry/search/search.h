// A search, from the request's texts to a page of records. docs/search.md is the contract.
//
// Thread safety: as the Store. Errors: invalid_argument for filter, order, kind and cursor, with the place;
// failed_precondition: another generation, an epoch that lies ahead or is collected; not_found: no such model, no model
// of that tenant; permission_denied.
#pragma once

#include <cstddef>
#include <functional>

#include "common/principal.h"
#include "registry/records.h"
#include "wire/search_messages.h"

namespace espalier::registry::search {

inline constexpr std::uint32_t kMaxRows = 4096;
/// Of rows whose order is made here, as the cursor may have to carry them.
inline constexpr std::uint32_t kMaxKept = 1024;

/// `most_work`: what one request may do: about so many microseconds. A step through an index costs 1, a
/// record that is looked up 20.
Result<wire::SearchReply> search(Records& records, const Principal& principal, const wire::SearchRequest& request,
                                 std::size_t most_work);

struct VersionItem;

/// Calls `take` with each version that passes, all of them in one go and without making a record of any: for a change
/// that is one commit. An error of `take` ends it and is returned. REQUIRES: a request for versions without order and
/// cursor; its limit is passed over.
Status each_version(Records& records, const Principal& principal, const wire::SearchRequest& request,
                    const std::function<Status(const VersionItem& version)>& take);

}  // namespace espalier::registry::search
