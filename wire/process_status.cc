#include "wire/process_status.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#include <limits>

#include "common/clock.h"
#include "common/version.h"
#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&&, const ProcessRequest*) {}

template <class V>
void describe(V&& v, const ProcessReply*) {
  v("version", &ProcessReply::version);
  v("host", &ProcessReply::host);
  v("pid", &ProcessReply::pid);
  v("up_us", &ProcessReply::up_us);
  v("wall_us", &ProcessReply::wall_us);
  v("wall_moved_us", &ProcessReply::wall_moved_us);
  v("is_synchronised", &ProcessReply::is_synchronised);
  v("open_files_limit", &ProcessReply::open_files_limit);
  v("core_limit", &ProcessReply::core_limit);
  v("leaves_core_files", &ProcessReply::leaves_core_files);
}

ESPALIER_WIRE_MESSAGE(ProcessRequest);
ESPALIER_WIRE_REPLY(ProcessReply);

namespace {

struct Start {
  std::int64_t monotonic_us = Clock::system().monotonic_us();
  std::int64_t wall_us = Clock::system().wall_us();
};
const Start process_start;

std::uint64_t limit_of(__rlimit_resource resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return 0;
  return limit.rlim_cur == RLIM_INFINITY ? std::numeric_limits<std::uint64_t>::max() : limit.rlim_cur;
}

}  // namespace

ProcessReply process_status() {
  ProcessReply status;
  status.version = std::string(version());
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) == 0) status.host = host;
  status.pid = static_cast<std::uint64_t>(getpid());
  status.up_us = Clock::system().monotonic_us() - process_start.monotonic_us;
  status.wall_us = Clock::system().wall_us();
  status.wall_moved_us = status.wall_us - process_start.wall_us - status.up_us;
  timex about{};
  status.is_synchronised = adjtimex(&about) >= 0 && (about.status & STA_UNSYNC) == 0;
  status.open_files_limit = limit_of(RLIMIT_NOFILE);
  status.core_limit = limit_of(RLIMIT_CORE);
  status.leaves_core_files = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
  return status;
}

Result<ProcessReply> process_status(const Principal& principal, const ProcessRequest&) {
  RETURN_IF_ERROR(principal.check_operate());
  return process_status();
}

std::string answer_process(const Principal& principal, std::string_view header) {
  const auto request = decode<ProcessRequest>(header);
  if (!request.ok()) return encode_error(request.status());
  const auto reply = process_status(principal, *request);
  return reply.ok() ? encode_reply(Status(), *reply) : encode_error(reply.status());
}

}  // namespace espalier::wire
