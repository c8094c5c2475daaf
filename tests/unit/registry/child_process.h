// A test of this program, run in a process of its own that can be killed.
//
//   TEST(DISABLED_Writer, WritesUntilItIsKilled) { ... ChildProcess::report(n) ... }   // the child
//   ChildProcess child("DISABLED_Writer.*", folder);  child.next();  child.kill();     // the parent
//
// Thread safety: one thread. Ownership: a child that still runs is killed with its object.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace espalier::registry {

class ChildProcess {
 public:
  ChildProcess(const std::string& tests, const std::string& folder) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    ::setenv("ESPALIER_CHILD_FOLDER", folder.c_str(), 1);
    ::setenv("ESPALIER_CHILD_PIPE", std::to_string(ends[1]).c_str(), 1);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1 /* write only */, 0);
    std::string filter = "--gtest_filter=" + tests;
    std::string disabled = "--gtest_also_run_disabled_tests";
    std::string name = "child";
    char* arguments[] = {name.data(), filter.data(), disabled.data(), nullptr};
    if (::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments, environ) != 0) std::abort();
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    pipe_ = ends[0];
  }
  ~ChildProcess() {
    kill();
    ::close(pipe_);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// What the child reports next; nothing when it has ended.
  std::optional<std::uint32_t> next() {
    std::uint32_t number = 0;
    if (::read(pipe_, &number, sizeof number) != ssize_t{sizeof number}) return std::nullopt;
    return number;
  }
  /// SIGKILL, and waits for its end. What it reported before can still be read.
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  /// In the child.
  static std::string folder() {
    const char* folder = std::getenv("ESPALIER_CHILD_FOLDER");
    return folder ? folder : "";
  }
  static void report(std::uint32_t number) {
    const int pipe = std::atoi(std::getenv("ESPALIER_CHILD_PIPE"));
    if (::write(pipe, &number, sizeof number) != ssize_t{sizeof number}) std::_Exit(1);
  }

 private:
  pid_t pid_ = 0;
  int pipe_ = -1;
};

}  // namespace espalier::registry
