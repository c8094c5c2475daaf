// Back to what a tag said before: as of a release, an epoch or a time, or, for nodes whose version passes a filter,
// before that version came (docs/tags.md). One release, computed from the state that it follows.
//
// Thread safety: as the Store. Errors: invalid_argument: not exactly one place to go back to, a bad filter;
// failed_precondition: another last release than the expected one, an epoch that lies ahead, a tag that wasn't there
// yet; not_found.
#pragma once

#include "common/principal.h"
#include "registry/records.h"
#include "wire/tag_messages.h"

namespace espalier::registry {

/// Writes the release into the batch, which is then to be committed, or dropped after an error.
Result<wire::ReleaseReply> prepare_rollback(Records& records, const Principal& principal,
                                            const wire::RollbackRequest& request, Batch& batch);
/// One page of what it would move. `most_work`: about as many microseconds.
Result<wire::DifferencesReply> preview_rollback(Records& records, const Principal& principal,
                                                const wire::RollbackPreviewRequest& request, std::size_t most_work);

}  // namespace espalier::registry
