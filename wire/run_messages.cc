#include "wire/run_messages.h"

#include "wire/described.h"

namespace espalier::wire {

constexpr std::uint64_t most(RunStatus) { return static_cast<std::uint64_t>(RunStatus::failed); }

std::string_view run_status_name(RunStatus status) {
  switch (status) {
    case RunStatus::running: return "running";
    case RunStatus::finished: return "finished";
    case RunStatus::failed: return "failed";
  }
  return "";
}

template <class V>
void describe(V&& v, const RunPoint*) {
  v("name", &RunPoint::name);
  v("step", &RunPoint::step);
  v("value", &RunPoint::value);
  v("time_us", &RunPoint::time_us);
}

template <class V>
void describe(V&& v, const RunMetric*) {
  v("value", &RunMetric::value);
  v("step", &RunMetric::step);
  v("time_us", &RunMetric::time_us);
  v("count", &RunMetric::count);
}

template <class V>
void describe(V&& v, const RunFile*) {
  v("name", &RunFile::name);
  v("hash", &RunFile::hash);
  v("bytes", &RunFile::bytes);
  v("time_us", &RunFile::time_us);
}

template <class V>
void describe(V&& v, const RunRecord*) {
  v("run", &RunRecord::run);
  v("tenant", &RunRecord::tenant);
  v("model", &RunRecord::model);
  v("name", &RunRecord::name);
  v("description", &RunRecord::description);
  v("properties", &RunRecord::properties);
  v("params_json", &RunRecord::params_json);
  v("spec", &RunRecord::spec);
  v("dataset", &RunRecord::dataset);
  v("principal", &RunRecord::principal);
  v("created_us", &RunRecord::created_us);
  v("epoch", &RunRecord::epoch);
  v("status", &RunRecord::status);
  v("ended_us", &RunRecord::ended_us);
  v("message", &RunRecord::message);
  v("metrics", &RunRecord::metrics);
  v("files", &RunRecord::files);
}

template <class V>
void describe(V&& v, const RunState*) {
  v("status", &RunState::status);
  v("ended_us", &RunState::ended_us);
  v("message", &RunState::message);
  v("params_json", &RunState::params_json);
  v("files", &RunState::files);
}

template <class V>
void describe(V&& v, const RunLast*) {
  v("metrics", &RunLast::metrics);
}

template <class V>
void describe(V&& v, const RunStartRequest*) {
  v("idem", &RunStartRequest::idem);
  v("tenant", &RunStartRequest::tenant);
  v("model", &RunStartRequest::model);
  v("run", &RunStartRequest::run);
  v("name", &RunStartRequest::name);
  v("description", &RunStartRequest::description);
  v("properties", &RunStartRequest::properties);
  v("params_json", &RunStartRequest::params_json);
  v("spec", &RunStartRequest::spec);
  v("dataset", &RunStartRequest::dataset);
}

template <class V>
void describe(V&& v, const RunLogRequest*) {
  v("idem", &RunLogRequest::idem);
  v("tenant", &RunLogRequest::tenant);
  v("run", &RunLogRequest::run);
  v("params_json", &RunLogRequest::params_json);
  v("metrics", &RunLogRequest::metrics);
}

template <class V>
void describe(V&& v, const RunEndRequest*) {
  v("idem", &RunEndRequest::idem);
  v("tenant", &RunEndRequest::tenant);
  v("run", &RunEndRequest::run);
  v("status", &RunEndRequest::status);
  v("message", &RunEndRequest::message);
}

template <class V>
void describe(V&& v, const RunAttachRequest*) {
  v("idem", &RunAttachRequest::idem);
  v("tenant", &RunAttachRequest::tenant);
  v("run", &RunAttachRequest::run);
  v("name", &RunAttachRequest::name);
  v.bytes("content", &RunAttachRequest::content);
}

template <class V>
void describe(V&& v, const RunsRequest*) {
  v("tenant", &RunsRequest::tenant);
  v("runs", &RunsRequest::runs);
}

template <class V>
void describe(V&& v, const RunsReply*) {
  v("generation", &RunsReply::generation);
  v("epoch", &RunsReply::epoch);
  v("runs", &RunsReply::runs);
}

template <class V>
void describe(V&& v, const RunMetricsRequest*) {
  v("tenant", &RunMetricsRequest::tenant);
  v("run", &RunMetricsRequest::run);
  v("name", &RunMetricsRequest::name);
  v.bytes("cursor", &RunMetricsRequest::cursor);
  v("limit", &RunMetricsRequest::limit);
}

template <class V>
void describe(V&& v, const RunMetricsReply*) {
  v("points", &RunMetricsReply::points);
  v.bytes("cursor", &RunMetricsReply::cursor);
}

template <class V>
void describe(V&& v, const RunFileRequest*) {
  v("tenant", &RunFileRequest::tenant);
  v("run", &RunFileRequest::run);
  v("name", &RunFileRequest::name);
}

template <class V>
void describe(V&& v, const RunFileReply*) {
  v("file", &RunFileReply::file);
  v.bytes("content", &RunFileReply::content);
}

ESPALIER_WIRE_MESSAGE(RunStartRequest);
ESPALIER_WIRE_MESSAGE(RunLogRequest);
ESPALIER_WIRE_MESSAGE(RunEndRequest);
ESPALIER_WIRE_MESSAGE(RunAttachRequest);
ESPALIER_WIRE_MESSAGE(RunsRequest);
ESPALIER_WIRE_MESSAGE(RunMetricsRequest);
ESPALIER_WIRE_MESSAGE(RunFileRequest);
ESPALIER_WIRE_REPLY(RunsReply);
ESPALIER_WIRE_REPLY(RunMetricsReply);
ESPALIER_WIRE_REPLY(RunFileReply);
ESPALIER_WIRE_RECORD(RunRecord);
ESPALIER_WIRE_RECORD(RunState);
ESPALIER_WIRE_RECORD(RunLast);

}  // namespace espalier::wire
