#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "cli/doctor/checks.h"
#include "cli/output.h"

namespace espalier::cli {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
/// A process of a cluster of some size has a connection to each of its peers, and its files.
constexpr std::uint64_t kEnoughFiles = 4096;
/// What a process maps besides its packs: libraries, threads, heaps.
constexpr std::uint64_t kOtherMaps = 1000;
constexpr const char* kFilesToDo = "raise it: LimitNOFILE=65536 in the unit, or `ulimit -n 65536`";

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string limit_text(std::uint64_t limit) { return limit == kUnlimited ? "unlimited" : count_text(limit); }

std::optional<std::uint64_t> number_in(const std::string& path) {
  const std::string text = text_of(path);
  std::uint64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) return std::nullopt;
  return number;
}

/// How many there are; nothing: the system doesn't let us look.
std::optional<std::uint64_t> entries_in(const std::string& folder) {
  std::error_code error;
  std::uint64_t count = 0;
  std::filesystem::directory_iterator at(folder, error);
  if (error) return std::nullopt;
  for (; at != std::filesystem::directory_iterator(); at.increment(error)) {
    if (error) return std::nullopt;
    ++count;
  }
  return count;
}

std::optional<std::uint64_t> lines_in(const std::string& path) {
  std::ifstream file(path);
  if (!file.is_open()) return std::nullopt;
  std::uint64_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count == 0 ? std::nullopt : std::optional(count);
}

/// What a process that is started here could have.
void check_this_host(const Patient& patient, Findings& findings) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    const std::uint64_t hard = files.rlim_max == RLIM_INFINITY ? kUnlimited : files.rlim_max;
    const bool few = hard < kEnoughFiles;
    findings.add(few ? Severity::warning : Severity::ok, "limits", "this shell",
                 "a process that is started here may open " + limit_text(hard) + " files and sockets",
                 few ? kFilesToDo : "");
  }
  // Espalier locks no memory, so this limit concerns nobody; it is said since people look for it.
  rlimit locked{};
  if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
    findings.add(Severity::ok, "limits", "this shell", "no memory is locked, so RLIMIT_MEMLOCK doesn't matter");
  }
  std::uint64_t segments = 0;
  for (const std::string& pack : patient.packs) segments += entries_in(pack).value_or(0);
  const auto most = number_in("/proc/sys/vm/max_map_count");
  if (!most) {
    findings.add(Severity::unknown, "limits", "vm.max_map_count", "can't be read");
  } else {
    const bool is_near = segments + kOtherMaps > *most / 2;
    findings.add(is_near ? Severity::warning : Severity::ok, "limits", "vm.max_map_count",
                 count_text(*most) + " maps a process, and the packs here have " + count_text(segments) +
                     " segments, one map each",
                 is_near ? "sysctl -w vm.max_map_count=262144, and in /etc/sysctl.d" : "");
  }
}

/// What one has used up, by its entries in /proc.
void check_used(const ClusterProcess& process, Findings& findings) {
  const std::string folder = "/proc/" + std::to_string(process.pid);
  const auto limit = soft_limit(text_of(folder + "/limits"), "Max open files");
  if (!limit) return;  // it has ended: its ports say so
  const auto open = entries_in(folder + "/fd");
  if (open) {
    const bool is_near = *open > *limit / 10 * 8;
    findings.add(is_near ? Severity::problem : Severity::ok, "limits", process.name,
                 count_text(*open) + " of " + limit_text(*limit) + " files and sockets are open",
                 is_near ? kFilesToDo : "");
  }
  const auto maps = lines_in(folder + "/maps");
  const auto most = number_in("/proc/sys/vm/max_map_count");
  if (maps && most) {
    const bool is_near = *maps > *most / 10 * 8;
    findings.add(is_near ? Severity::problem : Severity::ok, "limits", process.name,
                 count_text(*maps) + " of " + count_text(*most) + " maps are used",
                 is_near ? "sysctl -w vm.max_map_count=262144, and in /etc/sysctl.d" : "");
  }
  if (!open || !maps) {
    findings.add(Severity::unknown, "limits", process.name, "what it has open is for root to see",
                 "run the doctor as root on its host");
  }
}

}  // namespace

std::optional<std::uint64_t> soft_limit(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name)) continue;
    std::istringstream words(line.substr(name.size()));
    std::string soft;
    words >> soft;
    if (soft == "unlimited") return kUnlimited;
    std::uint64_t number = 0;
    if (std::from_chars(soft.data(), soft.data() + soft.size(), number).ec != std::errc()) return std::nullopt;
    return number;
  }
  return std::nullopt;
}

void check_limits(const Patient& patient, const std::vector<Heard>& heard, Findings& findings) {
  check_this_host(patient, findings);
  for (const ClusterProcess& process : patient.local_processes) check_used(process, findings);
  for (std::size_t i = 0; i < patient.processes.size(); ++i) {
    if (!heard[i].reply.ok()) continue;
    const std::string& name = patient.processes[i].name;
    const wire::ProcessReply& said = *heard[i].reply;
    const bool few = said.open_files_limit < kEnoughFiles;
    if (few) {
      findings.add(Severity::warning, "limits", name,
                   "it may open " + limit_text(said.open_files_limit) + " files and sockets only", kFilesToDo);
    }
    const bool has_key = std::ranges::any_of(patient.processes[i].endpoints,
                                             [](const std::string& at) { return at.find('#') != std::string::npos; });
    if (has_key && said.leaves_core_files && said.core_limit > 0) {
      findings.add(Severity::problem, "limits", name, "it holds a key and may leave core files, which have it, too",
                   "LimitCORE=0 in its unit, and a version of Espalier that sees to it itself");
    } else {
      findings.add(Severity::ok, "limits", name,
                   said.leaves_core_files ? "it holds no key that a core file could have"
                                          : "it leaves no core file, and lets nobody but root look into its memory");
    }
  }
}

}  // namespace espalier::cli
