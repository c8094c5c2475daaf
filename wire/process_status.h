// What a process says of itself and its host: an operation of registries, routers and shards alike, for `espalier
// doctor`. As messages.h: twin of docs/wire-protocol/process.md.
//
// Thread safety: any thread; a few system calls, nothing that waits. Errors: permission_denied.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/principal.h"
#include "wire/messages.h"

namespace espalier::wire {

struct ProcessRequest {
  static constexpr std::string_view op = "process";
};
struct ProcessReply {
  std::string version;  ///< of Espalier
  std::string host;
  std::uint64_t pid = 0;
  std::int64_t up_us = 0;    ///< since its start, by a clock that nobody sets
  std::int64_t wall_us = 0;  ///< its clock on the wall, now
  /// How much further that clock has gone since the start than the one that nobody sets: it was set by so much.
  std::int64_t wall_moved_us = 0;
  bool is_synchronised = false;        ///< its host's clock follows others
  std::uint64_t open_files_limit = 0;  ///< limits: the largest number where there is none
  std::uint64_t core_limit = 0;
  bool leaves_core_files = false;  ///< or lets other processes of its user look into its memory
};

/// Of this process.
ProcessReply process_status();
/// The same to whoever runs the cluster.
Result<ProcessReply> process_status(const Principal& principal, const ProcessRequest& request);
/// From a header to the header of the reply.
std::string answer_process(const Principal& principal, std::string_view header);

}  // namespace espalier::wire
