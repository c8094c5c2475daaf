// The messages of the registry's upkeep, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/messages.h"
#include "wire/status_messages.h"
#include "wire/upkeep_messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> upkeep_messages(const Uuid& uuid) {
  const CheckReply checked{1, 12, 5000, 40, 2, 1, {{"v", "acme 019a9d3c", "is missing"}}, true};
  const ArchiveReply archived{1, 12, 1'763'672'558'000'000, 1, {1, 2}, 5000, 40, 28000, true};
  return {{"check.request", encode(CheckRequest{uuid, 3})},
          {"check.reply", encode_reply(Status(), checked)},
          {"status.request", encode(StatusRequest{})},
          {"status.reply", encode_reply(Status(), StatusReply{1, 12, "0.1.0", {300, 4100, 5200, 9300, 10100}, 2, 1})},
          {"archive.request", encode(ArchiveRequest{uuid, 3, "acme", "total", 11, true})},
          {"archive.reply", encode_reply(Status(), archived)}};
}

}  // namespace espalier::wire::samples
