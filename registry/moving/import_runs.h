// The runs of a history that is being imported: each record is checked as what a run is started, logged and ended with,
// and written under the epoch that the import has claimed, with what finds it. Until the import ends nobody sees them.
//
// Thread safety: as the Store. Ownership: borrows all that it is made with; lives for one slice. Errors:
// invalid_argument: no registry would have written it, or it comes out of turn; already_exists: the run; not_found: a
// file that did not come, or a run.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "registry/records.h"

namespace espalier::registry {

class ImportedRuns {
 public:
  ImportedRuns(Records& records, const std::string& tenant, const std::string& model, Batch& batch)
      : records_(records), tenant_(tenant), model_(model), batch_(batch) {}

  /// A record of table U, P or O; `epoch` stands for its commit (O: it has none).
  Status take_run(std::string_view key, std::string_view value, std::uint64_t epoch);
  Status take_part(std::string_view key, std::string_view value, std::uint64_t epoch);
  Status take_file(std::string_view key, std::string_view value);
  /// What this slice has of a commit is taken: the last of each metric.
  void end_commit(std::uint64_t epoch);

 private:
  /// As it is behind what came so far.
  Result<wire::RunRecord*> find(const Uuid& run);
  Status take_state(wire::RunRecord& run, std::string_view value, std::uint64_t epoch);
  Status take_point(wire::RunRecord& run, std::string_view tail, std::string_view value, std::uint64_t epoch);
  Status check_files(const wire::RunRecord& run, const wire::RunState& state);

  Records& records_;
  const std::string &tenant_, &model_;
  Batch& batch_;
  std::map<Uuid, wire::RunRecord> runs_;    ///< of this slice, or looked up
  std::set<Uuid> measured_;                 ///< points of the commit came
  std::map<Hash256, std::uint64_t> files_;  ///< of this slice: their bytes
  std::set<std::string> keys_;              ///< of this slice
};

}  // namespace espalier::registry
