#include "common/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace espalier {
namespace {

// What the handler may touch: it runs between any two instructions of the process.
std::atomic<bool> stop_requested{false};
std::atomic<int> stop_fd{-1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void raise_flag() {
  stop_requested.store(true);
  const std::uint64_t one = 1;
  const int fd = stop_fd.load();
  if (fd >= 0) [[maybe_unused]]
    const auto written = ::write(fd, &one, sizeof one);
}

void on_stop_signal(int) {
  const int kept = errno;
  raise_flag();
  errno = kept;
}

}  // namespace

StopSignals::StopSignals() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  assert(stop_fd.load() == -1 && "one at a time");
  if (fd_ < 0) {
    std::perror("eventfd");
    std::exit(1);
  }
  stop_requested.store(false);
  stop_fd.store(fd_);
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, &before_term_);
  ::sigaction(SIGINT, &action, &before_int_);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, &before_pipe_);
}

StopSignals::~StopSignals() {
  ::sigaction(SIGTERM, &before_term_, nullptr);
  ::sigaction(SIGINT, &before_int_, nullptr);
  ::sigaction(SIGPIPE, &before_pipe_, nullptr);
  stop_fd.store(-1);
  ::close(fd_);
}

bool StopSignals::requested() const { return stop_requested.load(std::memory_order_relaxed); }

void StopSignals::request() { raise_flag(); }

bool StopSignals::wait(int timeout_ms) const {
  pollfd watched{fd_, POLLIN, 0};
  while (!requested()) {
    const int ready = ::poll(&watched, 1, timeout_ms);
    if (ready == 0 || (ready < 0 && errno != EINTR)) break;
  }
  return requested();
}

}  // namespace espalier
