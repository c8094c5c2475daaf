// The messages of moving histories in, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/messages.h"
#include "wire/moving_messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> moving_messages(const Uuid& idem, const Uuid& receipt,
                                                                        const Hash256& history) {
  const ImportRequest request{idem, "acme", "total", history, ImportStep::begin, 2, {1'763'672'558'000'000}};
  const ImportReply reply{1, 12, ImportState::there, 3, 40, 9, 2, receipt, "version 019a9d3c is there"};
  return {{"import.request", encode(request)}, {"import.reply", encode_reply(Status(), reply)}};
}

}  // namespace espalier::wire::samples
