// Runs as the commands read and show them.
//
// Thread safety: one thread. Errors: the registry's own.
#pragma once

#include <cstdint>
#include <functional>
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
std::vector<std::pair<std::string, std::string>> params_text(const wire::RunRecord& run);
/// A table.
std::string files_text(const wire::RunRecord& run);
/// At most `width` characters, the last an ellipsis where some are left out.
std::string shortened(const std::string& text, std::size_t width);

}  // namespace espalier::cli
