// The messages of logs, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/log_level.h"
#include "wire/messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> log_messages() {
  return {{"log_level.request", encode(LogLevelRequest{"debug"})},
          {"log_level.reply", encode_reply(Status(), LogLevelReply{"debug", "info"})}};
}

}  // namespace espalier::wire::samples
