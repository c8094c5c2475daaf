// The registry of a folder that no process serves, as it is: for a check, a repair, a backup.
//
// Thread safety: as the Store. Ownership: `files` and `clock` outlive it. Errors: not_found: no registry there;
// unavailable: a process has it open; corrupt: LevelDB can't open it.
#pragma once

#include <memory>
#include <string>

#include "common/clock.h"
#include "common/files.h"
#include "registry/leveldb_store.h"
#include "registry/records.h"

namespace espalier::registry::upkeep {

struct Stopped {
  std::unique_ptr<LevelDbStore> store;
  std::unique_ptr<Records> records;  ///< over the store
};
/// Where its records are: elsewhere than usual if it ended while a fresh store took the old one's place
/// (registry/leveldb_purge.cc); its next start puts that right.
std::string store_folder(Files& files, const std::string& folder);
Result<Stopped> open_stopped(Files& files, const Clock& clock, const std::string& folder);

}  // namespace espalier::registry::upkeep
