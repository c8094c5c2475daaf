#include "registry/upkeep/stopped.h"

namespace espalier::registry::upkeep {

Result<Stopped> open_stopped(Files& files, const Clock& clock, const std::string& folder) {
  if (!files.exists(folder + "/store/CURRENT")) {
    return not_found(folder + ": no registry there; it is the folder that holds store and artefacts");
  }
  LevelDbOptions options;
  options.as_it_is = true;
  Stopped stopped;
  ASSIGN_OR_RETURN(stopped.store, LevelDbStore::open(files, clock, folder + "/store", options));
  stopped.records = std::make_unique<Records>(files, *stopped.store, folder + "/artefacts");
  return stopped;
}

}  // namespace espalier::registry::upkeep
