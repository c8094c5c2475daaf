// What the commands share that bring histories into a registry: docs/moving.md.
//
// Thread safety: main thread only. Errors: the registry's; already_exists: something is in the way.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "registry/moving/history.h"

namespace espalier::cli {

struct Incoming {
  std::string file;
  std::vector<registry::History> histories;
  std::vector<registry::MovedDataset> datasets;  ///< of all tenants, also those that no history names
  using TakeArtefact = std::function<Status(std::string_view tenant, const Hash256& hash, std::string_view bytes)>;
  std::function<Status(const TakeArtefact& take)> each_artefact;
  std::uint64_t artefacts = 0, artefact_bytes = 0;
};
/// Says what would come and what is in its way, or brings it in, looks whether it is what came, and says so.
Status bring_in(const Incoming& incoming, bool dry_run, const Shared& shared);

}  // namespace espalier::cli
