// Runs as the commands read and show them.
//
// Thread safety: one thread. Errors: the registry's own.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/registry_access.h"
#include "wire/run_messages.h"

namespace espalier::cli {

struct RunQuery {
  std::string what;  ///< TENANT or TENANT/MODEL
  std::string where, order;
  std::uint64_t limit = 0;  ///< 0: all
  AsOf as_of;
};
/// Calls with each run, page by page; stops at the first that is not ok.
Status each_run(client::RegistryClient& registry, const RunQuery& query,
                const std::function<Status(const wire::RunRecord& run)>& take);
/// In the order asked, any number.
Result<std::vector<wire::RunRecord>> runs_of(client::RegistryClient& registry, const std::string& tenant,
                                             const std::vector<Uuid>& runs);

/// Parameters as names, `a.b` for `b` within `a`, and what they are.
std::vector<std::pair<std::string, nlohmann::json>> params_of(const wire::RunRecord& run);
/// As people are shown it: a number with six digits.
std::string param_text(const nlohmann::json& value);
/// A table.
std::string files_text(const wire::RunRecord& run);

}  // namespace espalier::cli
