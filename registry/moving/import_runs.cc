#include "registry/moving/import_runs.h"

#include <algorithm>

#include "common/bytes.h"
#include "common/hash.h"
#include "model/properties.h"
#include "registry/keys.h"
#include "registry/reading.h"
#include "registry/records/params.h"
#include "registry/upkeep/key_parts.h"
#include "wire/messages.h"

namespace espalier::registry {
namespace {

using keys::RunPart;

constexpr std::size_t kMaxPrincipalBytes = 1024;

bool is_in_order(const wire::RunFile& a, const wire::RunFile& b) { return a.name < b.name; }

}  // namespace

Status ImportedRuns::take_run(std::string_view key, std::string_view value, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));  // built alike
  ASSIGN_OR_RETURN(auto run, wire::decode<wire::RunRecord>(value));
  if (run.run != parts.release || run.tenant != tenant_ || run.model != model_) {
    return invalid_argument("says that it is another run");
  }
  const bool is_start = run.status == wire::RunStatus::running && run.ended_us == 0 && run.message.empty() &&
                        run.metrics.empty() && run.files.empty();
  if (!is_start) return invalid_argument("says more than a run's start does");
  RETURN_IF_ERROR(check_start(run));
  if (run.principal.size() > kMaxPrincipalBytes || !is_utf8(run.principal)) {
    return invalid_argument("principal: at most " + std::to_string(kMaxPrincipalBytes) + " bytes of UTF-8");
  }
  if (run.created_us < 0 || run.created_us >= batch_.time_us()) {
    return invalid_argument("created_us: ahead of this registry's clock");
  }
  ASSIGN_OR_RETURN(const auto taken, records_.store.get(keys::run_by_uuid(tenant_, run.run)));
  if (taken || runs_.contains(run.run)) return Status(Code::already_exists, "run " + run.run.text());
  run.epoch = epoch;
  put_start(batch_, run);
  runs_.emplace(run.run, std::move(run));
  return {};
}

Result<wire::RunRecord*> ImportedRuns::find(const Uuid& uuid) {
  if (const auto known = runs_.find(uuid); known != runs_.end()) return &known->second;
  const Status missing = not_found("run " + uuid.text() + " of this model");
  ASSIGN_OR_RETURN(const auto key, records_.store.get(keys::run_by_uuid(tenant_, uuid)));
  if (!key || !key->starts_with(keys::of_model(keys::Table::run, tenant_, model_))) return missing;
  ASSIGN_OR_RETURN(const auto start, records_.store.get(*key));
  if (!start) return missing;
  ASSIGN_OR_RETURN(auto run, records_.runs.read(*key, *start, kNow));
  return &runs_.emplace(uuid, std::move(run)).first->second;
}

Status ImportedRuns::take_part(std::string_view key, std::string_view value, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::run_parts(key));
  ASSIGN_OR_RETURN(wire::RunRecord* const run, find(parts.run));
  if (run->status != wire::RunStatus::running) return invalid_argument("the run has ended before");
  switch (static_cast<RunPart>(parts.part)) {
    case RunPart::state: return take_state(*run, value, epoch);
    case RunPart::points: return take_point(*run, parts.tail, value, epoch);
    case RunPart::last: break;
  }
  return invalid_argument("what no history has of a run");
}

Status ImportedRuns::take_state(wire::RunRecord& run, std::string_view value, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(auto state, wire::decode<wire::RunState>(value));
  ASSIGN_OR_RETURN(const std::string params, with_params(run.params_json, state.params_json));
  if (params != state.params_json) return invalid_argument("params_json: lacks what was set before, or isn't in order");
  RETURN_IF_ERROR(check_files(run, state));
  RETURN_IF_ERROR(model::check_description(state.message).at("message"));
  const bool has_ended = state.status != wire::RunStatus::running;
  if (has_ended != (state.ended_us > 0)) return invalid_argument("ended_us: not that of its status");
  if (state.ended_us >= batch_.time_us()) return invalid_argument("ended_us: ahead of this registry's clock");
  const std::string at = keys::run_part_at(tenant_, run.run, RunPart::state, epoch);
  ASSIGN_OR_RETURN(const auto twice, records_.store.get(at));
  if (twice || !keys_.insert(at).second) return invalid_argument("comes twice");
  put_state(batch_, run, state, epoch);
  if (has_ended) put_end(batch_, run, state.status, epoch);
  run.status = state.status;
  run.ended_us = state.ended_us;
  run.message = std::move(state.message);
  run.params_json = std::move(state.params_json);
  run.files = std::move(state.files);
  return {};
}

Status ImportedRuns::check_files(const wire::RunRecord& run, const wire::RunState& state) {
  if (state.files.size() > kMaxRunFiles) {
    return invalid_argument("files: " + std::to_string(state.files.size()) + " of them, at most " +
                            std::to_string(kMaxRunFiles) + " are allowed");
  }
  if (std::ranges::adjacent_find(state.files, std::not_fn(is_in_order)) != state.files.end()) {
    return invalid_argument("files: not in order, or one twice");
  }
  for (const wire::RunFile& file : state.files) {
    RETURN_IF_ERROR(check_run_file(file.name, file.bytes).at("files"));
    const auto is_it = [&](const wire::RunFile& had) { return had.hash == file.hash && had.bytes == file.bytes; };
    if (std::ranges::any_of(run.files, is_it)) continue;
    auto came = files_.find(file.hash);
    if (came == files_.end()) {
      ASSIGN_OR_RETURN(const auto content, records_.store.get(keys::run_file(tenant_, file.hash)));
      if (!content) return not_found("file " + file.hash.hex() + " (" + file.name + ")");
      came = files_.emplace(file.hash, content->size()).first;
    }
    if (came->second != file.bytes) return invalid_argument("files: " + file.name + " has another size");
  }
  return {};
}

Status ImportedRuns::take_point(wire::RunRecord& run, std::string_view tail, std::string_view value,
                                std::uint64_t epoch) {
  ASSIGN_OR_RETURN(const RunPointAt at, run_point_of(tail, value));
  RETURN_IF_ERROR(check_run_point(at.point));
  if (at.number >= kMaxRunPoints) return invalid_argument("a request has no so many points");
  const std::string points = keys::run_part(tenant_, run.run, RunPart::points);
  const std::string key = keys::run_point(points, at.point.name, at.point.step, epoch, at.number);
  ASSIGN_OR_RETURN(const auto twice, records_.store.get(key));
  if (twice || !keys_.insert(key).second) return invalid_argument("comes twice");
  add_point(run.metrics, at.point);
  RETURN_IF_ERROR(check_metrics(run.metrics));
  batch_.put(key, value);
  measured_.insert(run.run);
  return {};
}

Status ImportedRuns::take_file(std::string_view key, std::string_view value) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::hash_parts(key));
  if (parts.tenant != tenant_) return invalid_argument("of another tenant");
  RETURN_IF_ERROR(check_run_file("file", value.size()));
  if (blake2b_256(value) != parts.hash) return invalid_argument("its bytes don't have that hash");
  files_.emplace(parts.hash, value.size());
  const std::string at = keys::run_file(tenant_, parts.hash);
  ASSIGN_OR_RETURN(const auto kept, records_.store.get(at));
  if (!kept) batch_.put(at, value);
  return {};
}

void ImportedRuns::end_commit(std::uint64_t epoch) {
  for (const Uuid& run : measured_) {
    const wire::RunLast last{runs_.at(run).metrics};
    batch_.put(keys::run_part_at(tenant_, run, RunPart::last, epoch), wire::encode(last));
  }
  measured_.clear();
}

}  // namespace espalier::registry
