// A process that a command started: it ends with its parent, and says one line when it is ready.
//
// The child is in a process group of its own (Ctrl-C reaches the parent only, which decides the order of ends) and gets
// a signal when the parent's thread that started it ends. Its stdin is empty; stdout is a pipe to the parent; stderr
// goes to a file or stays the parent's. Thread safety: one thread. Ownership: a child that still runs is killed by the
// destructor. Errors: unavailable, naming the program.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"

namespace espalier::cli {

class Child {
 public:
  /// `log`: stderr is appended to this file; empty: the parent's. `program` is a path. `at_parent_end`: the signal
  /// then; only SIGKILL ends a child that stands (SIGSTOP) as well.
  static Result<Child> start(const std::string& program, const std::vector<std::string>& arguments,
                             const std::string& log, int at_parent_end);
  Child() = default;
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  pid_t pid() const { return pid_; }
  /// Readable when the child has ended.
  int end_fd() const { return end_fd_; }

  /// The next whole line of stdout, without its end; waits at most `timeout_ms`. unavailable: the child closed stdout,
  /// no line in time, or `stop_fd` (-1: none) became readable.
  Result<std::string> read_line(int timeout_ms, int stop_fd = -1);

  /// Nothing while it runs; then how it ended: "exit code 1", "signal 9 (Killed)". exit_code() is set from then on.
  std::optional<std::string> ended();
  /// The exit code; 128 + the signal's number where a signal ended it.
  int exit_code() const { return exit_code_; }
  void signal(int number) const;
  /// Waits at most `timeout_ms` for the end; true when it has ended.
  bool wait(int timeout_ms);

 private:
  void close_all();

  pid_t pid_ = -1;
  int stdout_ = -1;
  int end_fd_ = -1;  ///< pidfd: readable when the child has ended
  int exit_code_ = -1;
  std::optional<std::string> end_;
  std::string unread_;
};

/// The path of a program that lies in the same folder as this one.
std::string sibling_program(const std::string& name);

}  // namespace espalier::cli
