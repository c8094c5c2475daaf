// Runs: what something that is tried was given, what it measured step by step, and files (docs/runs.md).
//
// A run's start is a record that never changes; what changes of it has records by epoch, so that a run is told as of
// any commit. Its index entries are written in the same batch.
//
// Thread safety: as the Store. Ownership: borrows the store. Errors: not_found for a run that isn't there, or is
// another tenant's; failed_precondition for a run that has ended, or has a parameter already; invalid_argument names
// the member.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "registry/store.h"
#include "wire/run_messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMaxRunNameBytes = 256;
inline constexpr std::size_t kMaxMetricNameBytes = 128;
inline constexpr std::size_t kMaxRunMetrics = 256;    ///< names, of one run
inline constexpr std::size_t kMaxRunPoints = 16'384;  ///< of one request
inline constexpr std::size_t kMaxRunFiles = 100;      ///< of one run
inline constexpr std::size_t kMaxRunFileBytes = 4u << 20;
inline constexpr std::size_t kMaxRunsAsked = 256;
inline constexpr std::uint64_t kNow = std::numeric_limits<std::uint64_t>::max();

class Runs {
 public:
  explicit Runs(Store& store) : store_(store) {}

  /// As of an epoch.
  Result<wire::RunRecord> get(const std::string& tenant, const Uuid& run, std::uint64_t epoch = kNow) const;
  /// The run of the record `start`, which stands under `key`; nothing: it began later.
  Result<std::optional<wire::RunRecord>> told(std::string_view key, std::string_view start, std::uint64_t epoch) const;

  /// The same of a run that nobody sees yet, because an import brings it.
  Result<wire::RunRecord> read(std::string_view key, std::string_view start, std::uint64_t epoch) const;

  Status start(Batch& batch, const wire::RunStartRequest& request, const std::string& principal) const;
  Status log(Batch& batch, const wire::RunLogRequest& request) const;
  Status end(Batch& batch, const wire::RunEndRequest& request) const;
  Status attach(Batch& batch, const wire::RunAttachRequest& request) const;

  Result<wire::RunMetricsReply> metrics(const wire::RunMetricsRequest& request) const;
  Result<wire::RunFileReply> file(const wire::RunFileRequest& request) const;

 private:
  /// The run as it is now, which hasn't ended.
  Result<wire::RunRecord> running(const std::string& tenant, const Uuid& run) const;
  template <class Record>
  Result<Record> part(const std::string& prefix, std::uint64_t epoch) const;

  Store& store_;
};

/// What a record of the state says of it.
wire::RunState state_of(const wire::RunRecord& run);

// What a run's records are held against, and how they are written; for whoever brings them from elsewhere, too.
/// invalid_argument: its text, properties or parameters.
Status check_start(const wire::RunRecord& run);
Status check_run_point(const wire::RunPoint& point);
Status check_run_file(std::string_view name, std::uint64_t bytes);
/// invalid_argument: a metric too many.
Status check_metrics(const std::map<std::string, wire::RunMetric>& metrics);
/// One more point, logged after those before.
void add_point(std::map<std::string, wire::RunMetric>& metrics, const wire::RunPoint& point);
/// Of a point's key what stands behind the points' prefix, and its epoch and number.
struct RunPointAt {
  wire::RunPoint point;
  std::uint64_t epoch = 0;
  std::uint32_t number = 0;
};
Result<RunPointAt> run_point_of(std::string_view tail, std::string_view value);
std::string run_point_value(const wire::RunPoint& point);
/// The record of its start with what finds it.
void put_start(Batch& batch, const wire::RunRecord& run);
void put_state(Batch& batch, const wire::RunRecord& run, const wire::RunState& state, std::uint64_t epoch);
/// What finds it by how it ended.
void put_end(Batch& batch, const wire::RunRecord& run, wire::RunStatus status, std::uint64_t epoch);

}  // namespace espalier::registry
