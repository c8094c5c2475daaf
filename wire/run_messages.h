// Runs: what a training, or anything else that is tried, was given and what it measured. docs/runs.md says what for.
// As messages.h: twin of docs/wire-protocol/runs.md.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/uuid.h"

namespace espalier::wire {

/// On the wire and in records: never change.
enum class RunStatus : std::uint8_t { running = 0, finished = 1, failed = 2 };
std::string_view run_status_name(RunStatus status);

/// One measurement.
struct RunPoint {
  std::string name;
  std::uint64_t step = 0;
  double value = 0;
  std::int64_t time_us = 0;  ///< 0 in a request: the time of the commit
};
/// The last of a metric: of its greatest step, and among those that share it, the one logged last.
struct RunMetric {
  double value = 0;
  std::uint64_t step = 0;
  std::int64_t time_us = 0;
  std::uint64_t count = 0;  ///< of points
};
struct RunFile {
  std::string name;
  Hash256 hash;
  std::uint64_t bytes = 0;
  std::int64_t time_us = 0;
};

/// A run as it is told. What stands in the records of a run: those of its members that never change.
struct RunRecord {
  Uuid run;
  std::string tenant, model, name, description;
  std::map<std::string, std::string> properties;
  std::string params_json;
  Hash256 spec, dataset;  ///< none: not said
  std::string principal;
  std::int64_t created_us = 0;
  std::uint64_t epoch = 0;
  RunStatus status = RunStatus::running;
  std::int64_t ended_us = 0;
  std::string message;
  std::map<std::string, RunMetric> metrics;
  std::vector<RunFile> files;
};
/// What changes of a run, but for its metrics; in records only.
struct RunState {
  RunStatus status = RunStatus::running;
  std::int64_t ended_us = 0;
  std::string message;
  std::string params_json;  ///< all of them
  std::vector<RunFile> files;
};
/// The last of each metric; in records only.
struct RunLast {
  std::map<std::string, RunMetric> metrics;
};

/// The change requests' reply is EpochReply, with the epoch of the commit.
struct RunStartRequest {
  Uuid idem;
  std::string tenant, model;
  Uuid run;  ///< chosen by the client
  std::string name, description;
  std::map<std::string, std::string> properties;
  std::string params_json;
  Hash256 spec, dataset;
  static constexpr std::string_view op = "run_start";
};
struct RunLogRequest {
  Uuid idem;
  std::string tenant;
  Uuid run;
  std::string params_json;
  std::vector<RunPoint> metrics;
  static constexpr std::string_view op = "run_log";
};
struct RunEndRequest {
  Uuid idem;
  std::string tenant;
  Uuid run;
  RunStatus status = RunStatus::finished;
  std::string message;
  static constexpr std::string_view op = "run_end";
};
struct RunAttachRequest {
  Uuid idem;
  std::string tenant;
  Uuid run;
  std::string name;
  std::string content;
  static constexpr std::string_view op = "run_attach";
};

/// In the order asked.
struct RunsRequest {
  std::string tenant;
  std::vector<Uuid> runs;
  static constexpr std::string_view op = "runs";
};
struct RunsReply {
  std::uint64_t generation = 0, epoch = 0;
  std::vector<RunRecord> runs;
};
/// By name, then step, in pages that are one state; `name` set: that metric only.
struct RunMetricsRequest {
  std::string tenant;
  Uuid run;
  std::string name;
  std::string cursor;
  std::uint32_t limit = 4096;
  static constexpr std::string_view op = "run_metrics";
};
struct RunMetricsReply {
  std::vector<RunPoint> points;
  std::string cursor;
};
struct RunFileRequest {
  std::string tenant;
  Uuid run;
  std::string name;
  static constexpr std::string_view op = "run_file";
};
struct RunFileReply {
  RunFile file;
  std::string content;
};

}  // namespace espalier::wire
