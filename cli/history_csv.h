// A history that was kept elsewhere, as a table: each row a version. docs/moving.md has the columns.
//
// Thread safety: main thread only. Errors: invalid_argument naming file, line and column; not_found for a file; corrupt
// for an artefact that is none.
#pragma once

#include <string>

#include "cli/upkeep/moving.h"

namespace espalier::cli {

struct HistoryCsvOptions {
  std::string file, tenant, model;
  std::string spec;              ///< TOML file
  std::string tag = "imported";  ///< that versions moved when they were made, where the table doesn't say
  bool dry_run = false;
};
/// The one history of the table, sorted, with its artefacts: the same one each time it is read.
Result<Incoming> read_history_csv(const HistoryCsvOptions& options, std::int64_t now_us);

}  // namespace espalier::cli
