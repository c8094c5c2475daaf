// What server.cc and server_operations.cc share.
#pragma once

#include <string>

#include "common/status.h"

namespace espalier::registry {

/// The header of a reply that says why not, and when to ask again where that helps.
std::string error_header(const Status& status);

}  // namespace espalier::registry
