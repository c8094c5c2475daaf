// Options of a test's own sockets, which connect over TCP without keys.
#pragma once

#include "wire/socket.h"

namespace espalier::testing {

inline wire::SocketOptions insecure_socket() {
  wire::SocketOptions options;
  options.insecure = true;
  return options;
}

}  // namespace espalier::testing
