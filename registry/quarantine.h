// Versions out of service: their UUIDs in the model's record, which shards follow (docs/quarantine.md).
//
// Thread safety: as the Records. Errors: not_found "version UUID" where the model has none, in the same words whether
// another has it; resource_exhausted: too many at once.
#pragma once

#include "registry/records.h"
#include "wire/quarantine_messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMostQuarantined = 10'000;    ///< versions of one model
inline constexpr std::size_t kMaxQuarantineReason = 1024;  ///< bytes

/// Writes the model with its new list, and a change of kind model. The batch stays empty where nothing changes.
Result<wire::EpochReply> prepare_quarantine(Records& records, const wire::QuarantineRequest& request, Batch& batch);

}  // namespace espalier::registry
