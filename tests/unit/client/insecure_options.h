// Options of clients of a test's fake servers, which listen over TCP without keys.
#pragma once

#include "client/client.h"
#include "client/exchange.h"
#include "tests/support/insecure.h"

namespace espalier::client {

inline Client::Options insecure_client() {
  Client::Options options;
  options.insecure = true;
  return options;
}

inline Exchange::Options insecure_exchange() {
  Exchange::Options options;
  options.socket = testing::insecure_socket();
  return options;
}

}  // namespace espalier::client
