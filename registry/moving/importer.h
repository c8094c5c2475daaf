// The other side of an import: who has a history and asks a registry to take it, step by step (docs/moving.md).
//
// Thread safety: as `ask`. Errors: those that `ask` gives, after the place in the history; already_exists,
// failed_precondition: what stands in the way. An import that was cut short goes on where it was.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/uuid.h"
#include "registry/moving/history.h"
#include "wire/moving_messages.h"

namespace espalier::registry {

/// Sends the request with its bodies and gives the reply.
using AskImport =
    std::function<Result<wire::ImportReply>(const wire::ImportRequest& request, std::vector<std::string> bodies)>;

/// How far it is, and what is in its way: `conflict` of the reply, empty where nothing is.
Result<wire::ImportReply> look_at(const History& history, const Hash256& hash, const AskImport& ask);
/// The same, where more datasets of its tenant come with it.
Result<wire::ImportReply> look_at(const History& history, const Hash256& hash,
                                  const std::vector<MovedDataset>& datasets, const AskImport& ask);
/// Imports it, and the datasets that it names: its artefacts have been uploaded. What came before is passed over.
/// `new_uuid`: an idem for each change.
Result<wire::ImportReply> import_history(const History& history, const Hash256& hash, const AskImport& ask,
                                         const std::function<Uuid()>& new_uuid);
/// Datasets of its tenant: those that are there already are passed over. REQUIRES: the import is finished.
Status import_datasets(const History& history, const Hash256& hash, const std::vector<MovedDataset>& datasets,
                       const AskImport& ask, const std::function<Uuid()>& new_uuid);
/// Takes away what came of a history of that model and was not finished.
Status abandon_import(const std::string& tenant, const std::string& model, const AskImport& ask,
                      const std::function<Uuid()>& new_uuid);

}  // namespace espalier::registry
