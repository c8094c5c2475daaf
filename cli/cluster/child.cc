#include "cli/cluster/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "common/clock.h"

namespace espalier::cli {
namespace {

// In the child, between fork and exec: system calls only.
[[noreturn]] void become(const char* program, char* const* arguments, int output, int log, int at_parent_end,
                         pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, at_parent_end);
  if (getppid() != parent) _exit(127);  // the parent ended before it could be watched
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  if (log >= 0) dup2(log, STDERR_FILENO);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number : {SIGINT, SIGTERM, SIGPIPE}) ::signal(number, SIG_DFL);
  execv(program, arguments);
  _exit(127);
}

std::string end_text(int status) {
  if (WIFEXITED(status)) return "exit code " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
}

}  // namespace

Result<Child> Child::start(const std::string& program, const std::vector<std::string>& arguments,
                           const std::string& log, int at_parent_end) {
  if (access(program.c_str(), X_OK) != 0) return unavailable(program + ": " + std::strerror(errno));
  int log_file = -1;
  if (!log.empty()) {
    log_file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (log_file < 0) return unavailable(log + ": " + std::strerror(errno));
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return unavailable(program + ": " + std::strerror(errno));
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  Child child;
  const pid_t parent = getpid();
  child.pid_ = fork();
  if (child.pid_ == 0) become(program.c_str(), argv.data(), ends[1], log_file, at_parent_end, parent);
  const int error = errno;
  close(ends[1]);
  if (log_file >= 0) close(log_file);
  child.stdout_ = ends[0];
  if (child.pid_ < 0) return unavailable(program + ": " + std::strerror(error));
  child.end_fd_ = static_cast<int>(syscall(SYS_pidfd_open, child.pid_, 0));
  return child;
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  close_all();
  pid_ = std::exchange(other.pid_, -1);
  stdout_ = std::exchange(other.stdout_, -1);
  end_fd_ = std::exchange(other.end_fd_, -1);
  exit_code_ = other.exit_code_;
  end_ = std::move(other.end_);
  unread_ = std::move(other.unread_);
  return *this;
}

Child::~Child() { close_all(); }

void Child::close_all() {
  if (pid_ > 0 && !ended()) {
    kill(pid_, SIGKILL);
    wait(-1);
  }
  if (stdout_ >= 0) close(stdout_);
  if (end_fd_ >= 0) close(end_fd_);
  pid_ = stdout_ = end_fd_ = -1;
}

Result<std::string> Child::read_line(int timeout_ms, int stop_fd) {
  const std::int64_t until = Clock::system().monotonic_us() + std::int64_t{timeout_ms} * 1000;
  for (;;) {
    if (const auto end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    const std::int64_t left_ms = (until - Clock::system().monotonic_us()) / 1000;
    if (timeout_ms >= 0 && left_ms <= 0) return unavailable("no answer within " + std::to_string(timeout_ms) + " ms");
    pollfd waits[2] = {{stdout_, POLLIN, 0}, {stop_fd, POLLIN, 0}};
    const int ready = poll(waits, 2, timeout_ms < 0 ? -1 : static_cast<int>(left_ms) + 1);
    if (ready < 0 && errno != EINTR) return unavailable(std::strerror(errno));
    if (ready > 0 && (waits[1].revents & POLLIN) != 0) return unavailable("stopped");
    if (ready <= 0 || waits[0].revents == 0) continue;
    char bytes[4096];
    const ssize_t got = read(stdout_, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return unavailable("it closed its output");
    unread_.append(bytes, static_cast<std::size_t>(got));
  }
}

std::optional<std::string> Child::ended() {
  if (end_ || pid_ <= 0) return end_;
  int status = 0;
  const pid_t got = waitpid(pid_, &status, WNOHANG);
  if (got != pid_) return std::nullopt;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  end_ = end_text(status);
  return end_;
}

void Child::signal(int number) const {
  if (pid_ <= 0 || end_) return;
  kill(pid_, number);
  if (number == SIGTERM) kill(pid_, SIGCONT);  // one that stands would not hear it
}

bool Child::wait(int timeout_ms) {
  const std::int64_t until = Clock::system().monotonic_us() + std::int64_t{timeout_ms} * 1000;
  while (!ended()) {
    const std::int64_t left_ms = (until - Clock::system().monotonic_us()) / 1000;
    if (timeout_ms >= 0 && left_ms <= 0) return false;
    pollfd end{end_fd_, POLLIN, 0};
    poll(&end, 1, timeout_ms < 0 ? 1000 : static_cast<int>(left_ms) + 1);
  }
  return true;
}

std::string sibling_program(const std::string& name) {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  std::string own(path, size > 0 ? static_cast<std::size_t>(size) : 0);
  return own.substr(0, own.rfind('/') + 1) + name;
}

}  // namespace espalier::cli
