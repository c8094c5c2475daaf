// A version out of service, and back. As messages.h: twin of docs/wire-protocol/quarantine.md.
#pragma once

#include <string>
#include <string_view>

#include "common/uuid.h"

namespace espalier::wire {

/// The version answers for nobody from now on, whatever names it; with `lift`, again as its tags say. The reply is an
/// EpochReply; where nothing changes, the newest epoch.
struct QuarantineRequest {
  Uuid idem;
  std::string tenant, model;
  Uuid version;
  bool lift = false;
  std::string reason;  ///< for the registry's log
  static constexpr std::string_view op = "quarantine";
};

}  // namespace espalier::wire
