// SIGTERM and SIGINT as a flag and a descriptor that a polling loop can watch.
//
//   StopSignals stop;                        // first thing in main
//   poll: {stop.fd(), POLLIN} ... then drain and leave; or: while (!stop.requested()) ...
//
// SIGPIPE is ignored as well: a vanished reader of stderr must not end a process that is answering.
// Thread safety: requested(), fd() and request() from any thread. Ownership: at most one lives in a process; the
// handlers go back to what they were with it. A system call that a signal interrupts fails with EINTR as usual.
#pragma once

#include <signal.h>

namespace espalier {

class StopSignals {
 public:
  /// REQUIRES: none lives. A process without a free descriptor ends here.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// True from the first signal or request() on.
  bool requested() const;
  /// Readable (POLLIN) from then on, for ever; never read from it.
  int fd() const { return fd_; }
  /// As if a signal had come.
  void request();
  /// Sleeps until requested(), at most `timeout_ms` milliseconds (-1: without limit); returns requested().
  bool wait(int timeout_ms) const;

 private:
  int fd_;
  struct sigaction before_term_ {};
  struct sigaction before_int_ {};
  struct sigaction before_pipe_ {};
};

}  // namespace espalier
