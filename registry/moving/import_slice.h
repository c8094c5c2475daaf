// One slice of an import's records, checked like what a publish brings, and written under the epochs that the import
// has claimed.
//
// Thread safety: as the Store. Errors: as import.h.
#pragma once

#include <string_view>

#include "registry/records.h"
#include "wire/moving_messages.h"

namespace espalier::registry {

/// Writes the records into the batch and counts them in `import`.
Status take_slice(Records& records, const wire::ImportRequest& request, std::string_view payload,
                  wire::ImportRecord& import, Batch& batch);
/// invalid_argument: entries are missing that the last commit's releases moved.
Status check_all_moved(const wire::ImportRecord& import);

}  // namespace espalier::registry
