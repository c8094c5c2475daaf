#include <sys/timex.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cli/doctor/checks.h"
#include "common/clock.h"

namespace espalier::cli {
namespace {

/// Times of records and the ends of keys are told by clocks on the wall; nobody is timed by them.
constexpr std::int64_t kOffUs = 1'000'000;
constexpr std::int64_t kFarOffUs = 30'000'000;
/// Since the start of a process; what a time service does in small steps is less.
constexpr std::int64_t kMovedUs = 1'000'000;
constexpr std::int64_t kWatchUs = 200'000;
constexpr std::int64_t kJumpUs = 5'000;
constexpr const char* kToDo = "let a time service set it: systemctl enable --now systemd-timesyncd, or chrony";

std::string seconds(std::int64_t us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f s", static_cast<double>(us) / 1e6);
  return text;
}

void check_own(Findings& findings) {
  timex about{};
  const bool can_tell = adjtimex(&about) >= 0;
  const bool is_synchronised = can_tell && (about.status & STA_UNSYNC) == 0;
  if (!can_tell) {
    findings.add(Severity::unknown, "clock", "this host", "the system doesn't say whether its clock is synchronised");
  } else {
    findings.add(is_synchronised ? Severity::ok : Severity::warning, "clock", "this host",
                 is_synchronised ? "its clock follows others" : "its clock follows no other",
                 is_synchronised ? "" : kToDo);
  }
  // Whether somebody sets it while we look.
  const Clock& clock = Clock::system();
  const std::int64_t wall_us = clock.wall_us(), began_us = clock.monotonic_us();
  while (clock.monotonic_us() - began_us < kWatchUs) {
    timespec pause{0, 5'000'000};
    nanosleep(&pause, nullptr);
  }
  const std::int64_t moved_us = (clock.wall_us() - wall_us) - (clock.monotonic_us() - began_us);
  const bool jumps = std::abs(moved_us) > kJumpUs;
  findings.add(jumps ? Severity::problem : Severity::ok, "clock", "this host",
               jumps ? "its clock was set by " + seconds(moved_us) + " within a fifth of a second"
                     : "its clock goes as fast as the one that nobody sets",
               jumps ? "find out who sets it: two time services?" : "");
}

}  // namespace

void check_clock(const Patient& patient, const std::vector<Heard>& heard, Findings& findings) {
  check_own(findings);
  for (std::size_t i = 0; i < patient.processes.size(); ++i) {
    if (!heard[i].reply.ok()) continue;
    const wire::ProcessReply& said = *heard[i].reply;
    const std::string whose = patient.processes[i].name + (said.host.empty() ? "" : " at " + said.host);
    // Its answer was made between the two looks at our clock: as far as it lies outside of that it is off.
    std::int64_t off_us = 0;
    if (said.wall_us < heard[i].asked_us) off_us = said.wall_us - heard[i].asked_us;
    if (said.wall_us > heard[i].heard_us) off_us = said.wall_us - heard[i].heard_us;
    const std::int64_t off = std::abs(off_us);
    const Severity severity = off >= kFarOffUs ? Severity::problem : off >= kOffUs ? Severity::warning : Severity::ok;
    findings.add(
        severity, "clock", whose,
        severity == Severity::ok
            ? "its clock agrees with this host's within " + seconds(heard[i].heard_us - heard[i].asked_us + off)
            : "its clock is " + seconds(off) + (off_us < 0 ? " behind" : " ahead of") + " this host's",
        severity == Severity::ok ? "" : std::string("of the two hosts, whichever is wrong: ") + kToDo);
    if (std::abs(said.wall_moved_us) >= kMovedUs) {
      findings.add(
          Severity::warning, "clock", whose,
          "its clock was set by " + seconds(said.wall_moved_us) + " since it started, " + seconds(said.up_us) + " ago",
          "times of records from before may be wrong, and keys may have ended early or late; once is no harm "
          "after a start, again and again is: " +
              std::string(kToDo));
    }
  }
}

}  // namespace espalier::cli
