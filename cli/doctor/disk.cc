#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/doctor/checks.h"
#include "cli/output.h"
#include "common/clock.h"

namespace espalier::cli {
namespace {

/// A segment of a pack has 64 MiB, and a store needs some to tidy up.
constexpr std::uint64_t kLeastBytes = 256ull << 20;
constexpr std::uint64_t kLeastFiles = 1000;
constexpr int kSyncs = 5;
constexpr std::int64_t kSlowSyncUs = 50'000;

std::string space_text(std::uint64_t bytes) {
  if (bytes < 1'000'000'000) return bytes_text(bytes);
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

void check_space(const std::string& folder, Findings& findings) {
  struct statvfs about {};
  if (statvfs(folder.c_str(), &about) != 0) {
    findings.add(Severity::unknown, "disk", folder, "its space can't be read: " + system_error_text());
    return;
  }
  const std::uint64_t free = about.f_bavail * about.f_frsize, all = about.f_blocks * about.f_frsize;
  const bool is_full = free < kLeastBytes, is_near = free < all / 10;
  findings.add(
      is_full   ? Severity::problem
      : is_near ? Severity::warning
                : Severity::ok,
      "disk", folder, space_text(free) + " of " + space_text(all) + " are free",
      is_full || is_near ? "make room, or `espalier collect`, or a smaller --disk-budget (docs/space.md)" : "");
  if (about.f_files == 0) return;  // the file system makes them as it needs them
  const bool few = about.f_favail < kLeastFiles || about.f_favail < about.f_files / 100;
  findings.add(few ? Severity::problem : Severity::ok, "disk", folder,
               count_text(about.f_favail) + " of " + count_text(about.f_files) + " files can still be made",
               few ? "remove small files from this file system" : "");
  if ((about.f_flag & ST_RDONLY) != 0) {
    findings.add(Severity::problem, "disk", folder, "its file system is mounted read-only",
                 "look into the kernel's log for why; a disk that fails is mounted so");
  }
}

/// Microseconds that the slowest of a few small writes took to get to the disk; nothing: errno says why.
std::optional<std::int64_t> slowest_sync(const std::string& folder) {
  std::string path = folder + "/.espalier-doctor-XXXXXX";
  const int file = mkostemp(path.data(), O_CLOEXEC);
  if (file < 0) return std::nullopt;
  unlink(path.c_str());
  std::int64_t slowest_us = 0;
  const std::string bytes(4096, '\0');
  int error = 0;
  for (int i = 0; i < kSyncs && error == 0; ++i) {
    const std::int64_t began_us = Clock::system().monotonic_us();
    const bool is_done =
        pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(bytes.size()) * i) == ssize_t{4096} &&
        fsync(file) == 0;
    if (!is_done) error = errno == 0 ? EIO : errno;
    slowest_us = std::max(slowest_us, Clock::system().monotonic_us() - began_us);
  }
  close(file);
  errno = error;
  return error == 0 ? std::optional(slowest_us) : std::nullopt;
}

}  // namespace

void check_disk(const Patient& patient, Findings& findings) {
  for (const std::string& folder : patient.folders) {
    struct stat about {};
    if (stat(folder.c_str(), &about) != 0 || !S_ISDIR(about.st_mode)) {
      const bool is_missing = errno == ENOENT;
      findings.add(is_missing ? Severity::warning : Severity::unknown, "disk", folder,
                   is_missing ? "there is no such folder" : "can't be looked at: " + system_error_text(),
                   is_missing ? "its process makes it where it may; else make it for its user, mode 0700"
                              : "run the doctor as its user, or as root");
      continue;
    }
    check_space(folder, findings);
    if (about.st_uid != geteuid() && geteuid() != 0) {
      findings.add(Severity::unknown, "disk", folder, "belongs to another user: whether files can be made isn't tried",
                   "run the doctor as its user, or as root");
      continue;
    }
    const auto slowest_us = slowest_sync(folder);
    if (!slowest_us) {
      findings.add(Severity::problem, "disk", folder, "no file can be made there: " + system_error_text(),
                   "see to the folder's owner and mode, and to the disk");
      continue;
    }
    const bool is_slow = *slowest_us > kSlowSyncUs;
    findings.add(is_slow ? Severity::warning : Severity::ok, "disk", folder,
                 "the slowest of " + std::to_string(kSyncs) + " small writes took " +
                     seconds_text(static_cast<double>(*slowest_us) / 1e6) + " to get to the disk",
                 is_slow ? "every change waits for this: a faster disk, or one of its own" : "");
  }
}

}  // namespace espalier::cli
