#include "common/scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace espalier {

// Both are wishes: where the system refuses them, everything works, only less well beside each other.

void prefer_throughput() {
  const sched_param parameters{};
  sched_setscheduler(0, SCHED_BATCH, &parameters);
}

void yield_to_requests() {
  prefer_throughput();
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);
}

}  // namespace espalier
