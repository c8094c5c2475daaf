// The level of a process's log, asked and set while it runs: an operation of registries, routers and shards alike. As
// messages.h: twin of docs/wire-protocol/logs.md.
//
// Thread safety: any thread. Errors: permission_denied, invalid_argument.
#pragma once

#include <string>
#include <string_view>

#include "common/principal.h"
#include "wire/messages.h"

namespace espalier::wire {

struct LogLevelRequest {
  static constexpr std::string_view op = "log_level";
  std::string level;  ///< debug, info, warn, error; empty: it is asked only
};
struct LogLevelReply {
  std::string level;   ///< from now on
  std::string before;  ///< until now
};

/// Sets the level of this process's log, if `principal` runs the cluster, and says so in the log.
Result<LogLevelReply> change_log_level(const Principal& principal, const LogLevelRequest& request);
/// The same from a header to the header of the reply.
std::string answer_log_level(const Principal& principal, std::string_view header);

}  // namespace espalier::wire
