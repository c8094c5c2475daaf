// What a process says of itself, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/messages.h"
#include "wire/process_status.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> process_messages() {
  const ProcessReply reply{"0.1.0", "alpha", 4711,  86'400'000'000, 1'763'672'558'000'000,
                           -1500,   true,    65536, 4096,           true};
  return {{"process.request", encode(ProcessRequest{})}, {"process.reply", encode_reply(Status(), reply)}};
}

}  // namespace espalier::wire::samples
