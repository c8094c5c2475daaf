// SIGHUP, by which service managers ask a process to read its configuration again.
//
//   Hangup hangup([&] { … });                // in main, before there are other threads
//
// Thread safety: the constructor blocks the signal in its thread and in all that are started later; `heard` is called
// on a thread of its own, one call at a time. Ownership: the destructor waits for a call that goes on.
#pragma once

#include <functional>
#include <thread>

namespace espalier {

class Hangup {
 public:
  /// A process without a free descriptor goes on without it.
  explicit Hangup(std::function<void()> heard);
  ~Hangup();
  Hangup(const Hangup&) = delete;
  Hangup& operator=(const Hangup&) = delete;

 private:
  void listen();

  const std::function<void()> heard_;
  int signal_fd_ = -1;
  int stop_fd_ = -1;
  std::thread thread_;
};

}  // namespace espalier
