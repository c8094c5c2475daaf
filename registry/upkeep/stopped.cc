#include "registry/upkeep/stopped.h"

namespace espalier::registry::upkeep {

std::string store_folder(Files& files, const std::string& folder) {
  const std::string store = folder + "/store";
  const bool was_replaced = !files.exists(store) && files.exists(store + ".replaced") && files.exists(store + ".fresh");
  return was_replaced ? store + ".fresh" : store;
}

Result<Stopped> open_stopped(Files& files, const Clock& clock, const std::string& folder) {
  const std::string store = store_folder(files, folder);
  if (!files.exists(store + "/CURRENT")) {
    return not_found(folder + ": no registry there; it is the folder that holds store and artefacts");
  }
  LevelDbOptions options;
  options.as_it_is = true;
  Stopped stopped;
  ASSIGN_OR_RETURN(stopped.store, LevelDbStore::open(files, clock, store, options));
  stopped.records = std::make_unique<Records>(files, *stopped.store, folder + "/artefacts");
  return stopped;
}

}  // namespace espalier::registry::upkeep
