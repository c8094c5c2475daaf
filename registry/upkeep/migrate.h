// Brings the records of a store that an earlier Espalier made to this build's schema version, when a registry is
// opened. docs/registry-keys.md has the versions.
//
// A step that is interrupted goes on where it stood (table B), and may do again what it did last: steps write records
// that follow from others. The version changes with the last write of its step. Thread safety: as the Store. Errors:
// the store's; corrupt where a record that a step reads doesn't decode: the store stays as it was, repair it first.
#pragma once

#include "registry/leveldb_store.h"

namespace espalier::registry::upkeep {

Status migrate(LevelDbStore& store);

}  // namespace espalier::registry::upkeep
