// Table X made anew from the records: for whoever checks or repairs a registry.
//
// Thread safety: as the Store. Memory: about 100 bytes for each version of the model. Errors: the store's; corrupt
// where a record doesn't decode.
#pragma once

#include <string>

#include "common/status.h"
#include "registry/search/index.h"
#include "registry/store.h"

namespace espalier::registry::search {

/// Calls with every entry that table X should have for the model, commit by commit. An entry may come more than once,
/// with the same value.
Status each_index_entry(Store& store, const std::string& tenant, const std::string& model,
                        const CommitIndex::Take& take);

}  // namespace espalier::registry::search
