#include "registry/records/runs.h"

#include <algorithm>
#include <cmath>

#include "common/bytes.h"
#include "common/hash.h"
#include "model/ids.h"
#include "model/properties.h"
#include "registry/keys.h"
#include "registry/moving/imports.h"
#include "registry/reading.h"
#include "registry/records/params.h"
#include "registry/records/run_index.h"
#include "registry/space/erased.h"
#include "wire/messages.h"

namespace espalier::registry {
namespace {

using keys::RunPart;

Status no_run(const Uuid& run) { return not_found("run " + run.text()); }

Status check_text(std::string_view what, std::string_view text, std::size_t most) {
  const std::string place(what);
  if (text.size() > most) {
    return invalid_argument(place + ": " + std::to_string(text.size()) + " bytes, at most " + std::to_string(most) +
                            " are allowed");
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (!is_utf8(text)) return invalid_argument(place + ": not UTF-8");
  if (std::ranges::any_of(text, is_control)) return invalid_argument(place + ": holds a control character");
  return {};
}

Status check_points(const std::vector<wire::RunPoint>& points) {
  if (points.size() > kMaxRunPoints) {
    return invalid_argument("metrics: " + std::to_string(points.size()) + " points, at most " +
                            std::to_string(kMaxRunPoints) + " go into one request");
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    RETURN_IF_ERROR(check_run_point(points[i]).at("metrics[" + std::to_string(i) + "]"));
  }
  return {};
}

void put_points(Batch& batch, const wire::RunRecord& run, std::vector<wire::RunPoint> points, wire::RunLast& last) {
  const std::string prefix = keys::run_part(run.tenant, run.run, RunPart::points);
  for (std::uint32_t i = 0; i < points.size(); ++i) {
    wire::RunPoint& point = points[i];
    if (point.time_us == 0) point.time_us = batch.time_us();
    batch.put(keys::run_point(prefix, point.name, point.step, batch.epoch(), i), run_point_value(point));
    add_point(last.metrics, point);
  }
}

RunIndex::Take into(Batch& batch) {
  return [&batch](std::string_view key, std::string_view value) { batch.put(key, value); };
}

}  // namespace

Status check_run_point(const wire::RunPoint& point) {
  if (point.name.empty()) return invalid_argument("name: empty");
  RETURN_IF_ERROR(check_text("name", point.name, kMaxMetricNameBytes));
  if (std::isnan(point.value)) return invalid_argument("value: NaN is not a number (" + point.name + ")");
  if (!std::isfinite(point.value)) return invalid_argument("value: the number must be finite (" + point.name + ")");
  if (point.step > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return invalid_argument("step: too large (" + point.name + ")");
  }
  if (point.time_us < 0) return invalid_argument("time_us: before 1970 (" + point.name + ")");
  return {};
}

Status check_run_file(std::string_view name, std::uint64_t bytes) {
  if (name.empty()) return invalid_argument("name: empty");
  RETURN_IF_ERROR(check_text("name", name, kMaxRunNameBytes));
  if (bytes <= kMaxRunFileBytes) return {};
  return invalid_argument("content: " + std::to_string(bytes) + " bytes, at most " + std::to_string(kMaxRunFileBytes) +
                          " are allowed");
}

Status check_metrics(const std::map<std::string, wire::RunMetric>& metrics) {
  if (metrics.size() <= kMaxRunMetrics) return {};
  return invalid_argument("metrics: the run would have " + std::to_string(metrics.size()) + " of them, at most " +
                          std::to_string(kMaxRunMetrics) + " are allowed");
}

void add_point(std::map<std::string, wire::RunMetric>& metrics, const wire::RunPoint& point) {
  wire::RunMetric& metric = metrics[point.name];
  if (metric.count++ > 0 && point.step < metric.step) return;
  metric.value = point.value;
  metric.step = point.step;
  metric.time_us = point.time_us;
}

Result<RunPointAt> run_point_of(std::string_view tail, std::string_view value) {
  constexpr std::size_t kNumbers = 8 + 8 + 4;
  const Status bad = corrupt("a point of table P is cut short");
  if (tail.size() < kNumbers || value.size() != 16) return bad;
  const auto names = model::split_components(tail.substr(0, tail.size() - kNumbers));
  if (!names.ok() || names->size() != 1) return bad;
  const char* numbers = tail.data() + tail.size() - kNumbers;
  RunPointAt at;
  at.point = {names->front(), load_u64_be(numbers), load<double>(value.data() + 8), load<std::int64_t>(value.data())};
  at.epoch = load_u64_be(numbers + 8);
  for (std::size_t i = 16; i < kNumbers; ++i) at.number = at.number << 8 | static_cast<unsigned char>(numbers[i]);
  return at;
}

std::string run_point_value(const wire::RunPoint& point) {
  std::string value;
  append(value, point.time_us);
  append(value, point.value);
  return value;
}

Status check_start(const wire::RunRecord& run) {
  if (run.run.is_nil()) return invalid_argument("run: a UUID that is not nil is needed");
  RETURN_IF_ERROR(check_text("name", run.name, kMaxRunNameBytes));
  RETURN_IF_ERROR(model::check_properties(run.properties));
  RETURN_IF_ERROR(model::check_description(run.description));
  return with_params({}, run.params_json).status();
}

void put_start(Batch& batch, const wire::RunRecord& run) {
  const std::string key =
      keys::of_model(keys::Table::run, run.tenant, run.model).append(keys::run_place(run.epoch, run.run));
  batch.put(key, wire::encode(run));
  batch.put(keys::run_by_uuid(run.tenant, run.run), key);
  const RunIndex index(run);
  index.each_at_start(run, into(batch));
  batch.put(index.open_key(), {});
}

void put_state(Batch& batch, const wire::RunRecord& run, const wire::RunState& state, std::uint64_t epoch) {
  RunIndex(run).each_of_params(run.params_json, state.params_json, epoch, into(batch));
  batch.put(keys::run_part_at(run.tenant, run.run, RunPart::state, epoch), wire::encode(state));
}

void put_end(Batch& batch, const wire::RunRecord& run, wire::RunStatus status, std::uint64_t epoch) {
  const RunIndex index(run);
  index.each_at_end(status, run.metrics, epoch, into(batch));
  batch.remove(index.open_key());
}

wire::RunState state_of(const wire::RunRecord& run) {
  return {run.status, run.ended_us, run.message, run.params_json, run.files};
}

template <class Record>
Result<Record> Runs::part(const std::string& prefix, std::uint64_t epoch) const {
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, prefix, epoch));
  if (!dated) return Record{};
  auto record = wire::decode<Record>(dated->value);
  if (!record.ok()) return bad_record(prefix, record.status());
  return record;
}

Result<std::optional<wire::RunRecord>> Runs::told(std::string_view key, std::string_view start,
                                                  std::uint64_t epoch) const {
  ASSIGN_OR_RETURN(const std::uint64_t began, keys::epoch_before_uuid(key));
  if (began > epoch) return std::optional<wire::RunRecord>();
  ASSIGN_OR_RETURN(auto run, read(key, start, epoch));
  ASSIGN_OR_RETURN(const bool is_hidden, Imports(store_).hides(run.tenant, run.model, began, epoch));
  if (is_hidden) return std::optional<wire::RunRecord>();
  return std::optional(std::move(run));
}

Result<wire::RunRecord> Runs::read(std::string_view key, std::string_view start, std::uint64_t epoch) const {
  auto decoded = wire::decode<wire::RunRecord>(start);
  if (!decoded.ok()) return bad_record(key, decoded.status());
  wire::RunRecord run = *std::move(decoded);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, keys::run_part(run.tenant, run.run, RunPart::state), epoch));
  if (dated) {
    auto state = wire::decode<wire::RunState>(dated->value);
    if (!state.ok()) return bad_record(keys::table(keys::Table::run_part), state.status());
    run.status = state->status;
    run.ended_us = state->ended_us;
    run.message = std::move(state->message);
    run.params_json = std::move(state->params_json);
    run.files = std::move(state->files);
  }
  ASSIGN_OR_RETURN(auto last, part<wire::RunLast>(keys::run_part(run.tenant, run.run, RunPart::last), epoch));
  run.metrics = std::move(last.metrics);
  return run;
}

Result<wire::RunRecord> Runs::get(const std::string& tenant, const Uuid& run, std::uint64_t epoch) const {
  ASSIGN_OR_RETURN(const auto key, store_.get(keys::run_by_uuid(tenant, run)));
  if (!key) return no_run(run);
  // While its tenant is being erased it may be there for a while.
  ASSIGN_OR_RETURN(const auto erased, Erased(store_).find(tenant));
  if (erased) return no_run(run);
  ASSIGN_OR_RETURN(const auto start, store_.get(*key));
  if (!start) return corrupt("the index of runs names a run that is not there: " + run.text());
  ASSIGN_OR_RETURN(auto record, told(*key, *start, epoch));
  if (!record) return no_run(run);
  return *std::move(record);
}

Result<wire::RunRecord> Runs::running(const std::string& tenant, const Uuid& run) const {
  ASSIGN_OR_RETURN(wire::RunRecord record, get(tenant, run));
  if (record.status == wire::RunStatus::running) return record;
  return failed_precondition("run " + run.text() + " has " +
                             (record.status == wire::RunStatus::failed ? "failed" : "finished") + " already");
}

Status Runs::start(Batch& batch, const wire::RunStartRequest& request, const std::string& principal) const {
  wire::RunRecord run;
  run.run = request.run;
  run.tenant = request.tenant;
  run.model = request.model;
  run.name = request.name;
  run.description = request.description;
  run.properties = request.properties;
  run.params_json = request.params_json;
  RETURN_IF_ERROR(check_start(run));
  ASSIGN_OR_RETURN(run.params_json, with_params({}, request.params_json));
  ASSIGN_OR_RETURN(const auto taken, store_.get(keys::run_by_uuid(request.tenant, request.run)));
  if (taken) return Status(Code::already_exists, "run " + request.run.text());
  run.spec = request.spec;
  run.dataset = request.dataset;
  run.principal = principal;
  run.created_us = batch.time_us();
  run.epoch = batch.epoch();
  put_start(batch, run);
  return {};
}

Status Runs::log(Batch& batch, const wire::RunLogRequest& request) const {
  if (request.metrics.empty() && request.params_json.empty()) {
    return invalid_argument("metrics: neither points nor parameters to log");
  }
  RETURN_IF_ERROR(check_points(request.metrics));
  ASSIGN_OR_RETURN(const wire::RunRecord run, running(request.tenant, request.run));
  if (!request.params_json.empty()) {
    wire::RunState state = state_of(run);
    ASSIGN_OR_RETURN(state.params_json, with_params(run.params_json, request.params_json));
    put_state(batch, run, state, batch.epoch());
  }
  if (request.metrics.empty()) return {};
  wire::RunLast last{run.metrics};
  put_points(batch, run, request.metrics, last);
  RETURN_IF_ERROR(check_metrics(last.metrics));
  batch.put(keys::run_part_at(run.tenant, run.run, RunPart::last, batch.epoch()), wire::encode(last));
  return {};
}

Status Runs::end(Batch& batch, const wire::RunEndRequest& request) const {
  if (request.status == wire::RunStatus::running) return invalid_argument("status: finished or failed");
  RETURN_IF_ERROR(model::check_description(request.message).at("message"));
  ASSIGN_OR_RETURN(const wire::RunRecord run, running(request.tenant, request.run));
  wire::RunState state = state_of(run);
  state.status = request.status;
  state.ended_us = batch.time_us();
  state.message = request.message;
  put_state(batch, run, state, batch.epoch());
  put_end(batch, run, request.status, batch.epoch());
  return {};
}

Status Runs::attach(Batch& batch, const wire::RunAttachRequest& request) const {
  RETURN_IF_ERROR(check_run_file(request.name, request.content.size()));
  ASSIGN_OR_RETURN(const wire::RunRecord run, running(request.tenant, request.run));
  wire::RunState state = state_of(run);
  std::erase_if(state.files, [&](const wire::RunFile& file) { return file.name == request.name; });
  if (state.files.size() >= kMaxRunFiles) {
    return invalid_argument("name: the run has " + std::to_string(kMaxRunFiles) + " files already");
  }
  const Hash256 hash = blake2b_256(request.content);
  state.files.push_back({request.name, hash, request.content.size(), batch.time_us()});
  std::ranges::sort(state.files, {}, &wire::RunFile::name);
  put_state(batch, run, state, batch.epoch());
  const std::string key = keys::run_file(run.tenant, hash);
  ASSIGN_OR_RETURN(const auto kept, store_.get(key));
  if (!kept) batch.put(key, request.content);
  return {};
}

Result<wire::RunMetricsReply> Runs::metrics(const wire::RunMetricsRequest& request) const {
  RETURN_IF_ERROR(get(request.tenant, request.run).status());
  ASSIGN_OR_RETURN(const PageCursor page, PageCursor::parse(request.cursor));
  const std::uint64_t epoch = page.epoch == 0 ? store_.epoch() : page.epoch;
  if (epoch > store_.epoch()) return failed_precondition("cursor: of an epoch that lies ahead: read anew");
  const std::string prefix = keys::run_part(request.tenant, request.run, RunPart::points);
  const std::string range = request.name.empty() ? prefix : keys::index_number(prefix, request.name);
  wire::RunMetricsReply reply;
  std::string last;
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek(page.position.empty() ? range : prefix + page.position + '\0');
  for (; cursor->valid() && cursor->key().starts_with(range); cursor->next()) {
    const std::string_view tail = cursor->key().substr(prefix.size());
    ASSIGN_OR_RETURN(auto at, run_point_of(tail, cursor->value()));
    if (at.epoch > epoch) continue;
    if (reply.points.size() == page_size(request.limit)) {
      reply.cursor = PageCursor{epoch, last}.text();
      break;
    }
    reply.points.push_back(std::move(at.point));
    last = tail;
  }
  RETURN_IF_ERROR(cursor->status());
  return reply;
}

Result<wire::RunFileReply> Runs::file(const wire::RunFileRequest& request) const {
  ASSIGN_OR_RETURN(const wire::RunRecord run, get(request.tenant, request.run));
  const auto file = std::ranges::find(run.files, request.name, &wire::RunFile::name);
  if (file == run.files.end()) return not_found("file " + request.name + " of run " + request.run.text());
  ASSIGN_OR_RETURN(auto content, store_.get(keys::run_file(request.tenant, file->hash)));
  if (!content) return corrupt("file " + request.name + " of run " + request.run.text() + " is gone");
  if (blake2b_256(*content) != file->hash) {
    return corrupt("file " + request.name + " of run " + request.run.text() + " no longer has its hash");
  }
  return wire::RunFileReply{*file, *std::move(content)};
}

}  // namespace espalier::registry
