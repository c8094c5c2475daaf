// What a prediction's reply says of its parts, for those who count and don't need the rest: the part's status, and of
// what was answered how far above the node asked for the one that answered lies, and why it did.
//
// Thread safety: pure. Ownership: borrows nothing.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "wire/messages.h"

namespace espalier::wire {

/// Whether a fallback of this reason is a fault, or on the way to one. The others are how things are meant to be.
constexpr bool is_unexpected(Reason reason) {
  return reason != Reason::exact && reason != Reason::no_version && reason != Reason::removed;
}

struct PartPeek {
  Code code = Code::ok;
  std::uint8_t levels_above = 0;  ///< code ok: 0: the node asked for answered
  Reason reason = Reason::exact;
};

/// The reply's status as a whole; ok: `parts` has one entry a part, in order, else none. corrupt: it can't be read.
Code peek_reply(std::string_view header, std::vector<PartPeek>& parts);

}  // namespace espalier::wire
