#include "metrics/page.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "common/version.h"

namespace espalier::metrics {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Of /proc/self/statm; 0 where there is none.
double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double open_files() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int entries = 0;
  while (readdir(folder) != nullptr) ++entries;
  closedir(folder);
  return entries - 3;  // ".", ".." and the folder itself
}

}  // namespace

const std::vector<double>& Page::bounds() {
  static const std::vector<double> kBounds = {50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3,
                                              50e-3, 100e-3, 250e-3, 500e-3, 1,    2.5,    5,    10};
  return kBounds;
}

Sample& Page::add(const std::string& name, std::string_view help, Kind kind, Labels labels) {
  const auto [found, is_new] = families_.try_emplace(name);
  if (is_new) {
    found->second.help = help;
    found->second.kind = kind;
  }
  Sample& sample = found->second.samples.emplace_back();
  sample.labels = std::move(labels);
  return sample;
}

void Page::counter(const std::string& name, std::string_view help, std::uint64_t value, Labels labels) {
  add(name, help, Kind::counter, std::move(labels)).value = static_cast<double>(value);
}

void Page::seconds(const std::string& name, std::string_view help, double value, Labels labels) {
  add(name, help, Kind::counter, std::move(labels)).value = value;
}

void Page::gauge(const std::string& name, std::string_view help, double value, Labels labels) {
  add(name, help, Kind::gauge, std::move(labels)).value = value;
}

void Page::durations(const std::string& name, std::string_view help, const Histogram& values, Labels labels) {
  Sample& sample = add(name, help, Kind::histogram, std::move(labels));
  sample.sum = static_cast<double>(values.sum()) / 1e6;
  sample.count = values.counts_up_to(bounds(), 1e6, sample.up_to);
}

void Page::durations(const std::string& name, std::string_view help, const DurationCounts& values, Labels labels) {
  Sample& sample = add(name, help, Kind::histogram, std::move(labels));
  sample.sum = static_cast<double>(values.sum_us) / 1e6;
  sample.count = values.count();
  sample.up_to = values.counts_up_to(bounds());
}

void add_process(Page& page, const std::string& role, const std::string& name) {
  page.gauge("espalier_build_info", "The process and its version; always 1.", 1,
             {{"role", role}, {"name", name}, {"version", std::string(version())}});
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const double seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  page.seconds("process_cpu_seconds_total", "Processor time, of user and system.", seconds);
  page.gauge("process_resident_memory_bytes", "Resident memory, mapped artefacts included.", resident_bytes());
  page.gauge("process_open_fds", "Open files and sockets.", open_files());
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  page.gauge("process_max_fds", "Files and sockets that may be open.", static_cast<double>(files.rlim_cur));
}

}  // namespace espalier::metrics
