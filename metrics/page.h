// What a process says of itself at one moment, in Prometheus' terms: families of samples, each with its labels
// (docs/metrics.md).
//
// Thread safety: none; a page is made anew for each scrape. Ownership: a value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/metrics.h"
#include "metrics/tally.h"

namespace espalier::metrics {

enum class Kind { counter, gauge, histogram };

using Labels = std::vector<std::pair<std::string, std::string>>;

struct Sample {
  Labels labels;
  double value = 0;  ///< of a counter or a gauge
  // Of a histogram: how many values were at most bounds()[i] seconds, how many there were, and their sum in seconds.
  std::vector<std::uint64_t> up_to;
  std::uint64_t count = 0;
  double sum = 0;
};

struct Family {
  std::string help;
  Kind kind = Kind::gauge;
  std::vector<Sample> samples;
};

class Page {
 public:
  /// The upper bounds of a histogram's buckets, in seconds: 50 µs to 10 s.
  static const std::vector<double>& bounds();

  /// Names are espalier_<process>_<what>_<unit>, counters end in _total. A family's help and kind are those that it
  /// came with first.
  void counter(const std::string& name, std::string_view help, std::uint64_t value, Labels labels = {});
  /// A counter of seconds.
  void seconds(const std::string& name, std::string_view help, double value, Labels labels = {});
  void gauge(const std::string& name, std::string_view help, double value, Labels labels = {});
  /// Of values in microseconds; each bucket's count is within the 1.6 % of a Histogram's.
  void durations(const std::string& name, std::string_view help, const Histogram& values, Labels labels = {});
  /// The same; within 6.3 %.
  void durations(const std::string& name, std::string_view help, const DurationCounts& values, Labels labels = {});

  const std::map<std::string, Family>& families() const { return families_; }

 private:
  Sample& add(const std::string& name, std::string_view help, Kind kind, Labels labels);

  std::map<std::string, Family> families_;
};

/// What every process says: its name and version, processor time, memory, open files.
void add_process(Page& page, const std::string& role, const std::string& name);

}  // namespace espalier::metrics
