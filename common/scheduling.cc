#include "common/scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "common/clock.h"

namespace espalier {
namespace {

constexpr std::int64_t kPieceUs = 50;
/// Of its time that a thread waits while others have the core, for each part that it works.
constexpr std::int64_t kMostWaiting = 9;
/// What lies further back doesn't count.
constexpr std::int64_t kRememberedUs = 100'000;

struct Background {
  bool is_marked = false;
  std::int64_t resumed_us = 0;
  std::int64_t worked_us = 0;
  std::int64_t waited_us = 0;
};
thread_local Background background;

}  // namespace

// These are wishes: where the system refuses them, everything works, only less well beside each other.

void prefer_throughput() {
  const sched_param parameters{};
  sched_setscheduler(0, SCHED_BATCH, &parameters);
}

void yield_to_requests() {
  prefer_throughput();
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);
  background.is_marked = true;
}

void give_way() {
  Background& my = background;
  if (!my.is_marked) return;
  const std::int64_t now = Clock::system().monotonic_us();
  const std::int64_t worked = now - my.resumed_us;
  if (worked < kPieceUs) return;
  my.resumed_us = now;
  // Longer than this is no piece of work: the thread has slept in between.
  my.worked_us += std::min(worked, 10 * kPieceUs);
  if (my.waited_us + my.worked_us > kRememberedUs) {
    my.waited_us /= 2;
    my.worked_us /= 2;
  }
  if (my.waited_us > kMostWaiting * my.worked_us) return;
  sched_yield();
  my.resumed_us = Clock::system().monotonic_us();
  my.waited_us += my.resumed_us - now;
}

void raise_open_files_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));  // what there is then has to do
}

}  // namespace espalier
