// An import: the history of a model that was kept elsewhere, taken in slice by slice. Until its last step nobody sees
// anything of it: nothing names a model that has no record in table M, and those records come with that step.
//
// Thread safety: as the Store. Errors name the place: "records[3] (V acme/total@usa …): …". invalid_argument,
// failed_precondition: as they say; already_exists: the model, or a UUID of the tenant's; not_found: an artefact or a
// base that the tenant doesn't have. Nothing of the slice is then taken.
#pragma once

#include <string_view>
#include <vector>

#include "common/principal.h"
#include "registry/records.h"
#include "wire/moving_messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMostTimesInStep = 4096;
inline constexpr std::size_t kMostRecordsInStep = 1024;

/// How far the import of that history is, and what is in its way. Changes nothing.
Result<wire::ImportReply> look_at_import(Records& records, const wire::ImportRequest& request,
                                         const std::vector<std::string_view>& bodies);
/// The other steps. A slice that came already changes nothing, and gets the same answer.
Result<wire::ImportReply> prepare_import(Records& records, const Principal& principal,
                                         const wire::ImportRequest& request,
                                         const std::vector<std::string_view>& bodies, Batch& batch);

}  // namespace espalier::registry
