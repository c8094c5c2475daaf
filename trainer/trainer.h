// One run of the trainer: read, train every tenant's tree, publish (docs/life-of-a-publish.md).
//
// Thread safety: belongs to one thread. Errors: one Status that names the place; what was published before stays.
#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "common/uuid.h"
#include "model/properties.h"
#include "trainer/progress.h"
#include "trainer/source.h"

namespace espalier::trainer {

struct TrainerOptions {
  std::vector<std::string> registry;  ///< endpoints
  std::string key;                    ///< file of the key that says who asks; empty: none
  bool insecure = false;              ///< may connect where others could listen
  std::string spec;                   ///< path of the TOML file
  SourceOptions source;
  std::string tag = "production";
  std::string run_name;          ///< of the run that the registry keeps of it
  std::string description;       ///< of the run and each version
  model::Properties properties;  ///< of the run and each version
  Uuid expected_release;         ///< publish only if that is the last release of the tag; nil: any
  std::size_t threads = 0;       ///< 0: one a core
  bool wait = false;             ///< until the shards answer from it
};

Status run_trainer(const TrainerOptions& options, Progress& progress);

}  // namespace espalier::trainer
