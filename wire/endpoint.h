// Endpoints as people and records write them: an address, and where connections to it are secured with CURVE the public
// key of whoever listens there: tcp://10.0.0.5:4711#<64 hexadecimal digits> (docs/keys.md).
//
// Thread safety: pure functions; those that look at an address also look at folders.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/curve_key.h"
#include "common/status.h"

namespace espalier::wire {

struct Endpoint {
  std::string address;
  std::optional<PublicKey> key;  ///< of who listens there; nothing: the connection is not secured
};

/// A text without a key's digits behind a # is an address, whatever it says.
Endpoint parse_endpoint(std::string_view text);
std::string endpoint_text(const Endpoint& endpoint);

/// Whether the system lets only this user, and root, connect to the address: inproc, or ipc in a folder that nobody
/// else can enter.
bool is_private(std::string_view address);

/// Whether one may send there: as for listening, in clear text only where nobody else could listen in, or in somebody's
/// stead. failed_precondition, or with `insecure` ok, and a warning in the log; invalid_argument: no such transport.
Status check_connect(std::string_view process, std::string_view endpoint, bool insecure);
/// The same without a word in the log, for each time that it is connected to.
Status check_secured(const Endpoint& endpoint, bool insecure);

/// Whether a process may listen there. Without a key, and where others could connect: failed_precondition, or with
/// `insecure` ok and a warning in the log.
Status check_listen(std::string_view process, std::string_view endpoint, bool has_key, bool insecure);

}  // namespace espalier::wire
