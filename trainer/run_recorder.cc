#include "trainer/run_recorder.h"

#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>

#include "common/log.h"
#include "trainer/profile.h"

namespace espalier::trainer {
namespace {

using nlohmann::json;

constexpr std::size_t kMostUnansweredLogs = 64;

void add_metrics(const Metrics& metrics, model::Task task, const std::string& behind,
                 std::vector<wire::RunPoint>& points) {
  const json document = json::parse(metrics.json(task));
  for (const auto& [name, value] : document.items()) points.push_back({name + behind, 0, value.get<double>(), 0});
}

/// Of the whole tree, of each level by itself, and what the stages took.
std::vector<wire::RunPoint> points_of(const model::Spec& spec, const TrainedTree& tree, double read_seconds) {
  std::vector<wire::RunPoint> points;
  add_metrics(tree.held_out, spec.task, "", points);
  const std::vector<Metrics> by_depth = metrics_by_depth(tree);
  for (std::size_t depth = 0; depth < by_depth.size(); ++depth) {
    add_metrics(by_depth[depth], spec.task, "." + level_name(spec, depth), points);
  }
  points.push_back({"nodes", 0, static_cast<double>(tree.nodes.size()), 0});
  points.push_back({"seconds.read", 0, read_seconds, 0});
  points.push_back({"seconds.features", 0, tree.seconds.features, 0});
  points.push_back({"seconds.choose", 0, tree.seconds.choose, 0});
  points.push_back({"seconds.fit", 0, tree.seconds.fit, 0});
  return points;
}

}  // namespace

Status RunRecorder::start(const model::Spec& spec, const SourceOptions& options, const Source& source,
                          const RunAs& as) {
  for (const TenantRows& tenant : source.tenants) {
    wire::DatasetPutRequest put{uuids_.next(), dataset_of(options, source, tenant)};
    RETURN_IF_ERROR(post(put).at("tenant " + tenant.tenant));
    wire::RunStartRequest start;
    start.idem = uuids_.next();
    start.tenant = tenant.tenant;
    start.model = spec.model;
    start.run = uuids_.next();
    start.name = as.name;
    start.description = as.description;
    start.properties = as.properties;
    start.params_json = spec_params_json(spec);
    start.spec = spec.hash();
    start.dataset = put.dataset.dataset;
    runs_.push_back({tenant.tenant, {start.run, start.dataset}});
    RETURN_IF_ERROR(post(start).at("tenant " + tenant.tenant));
  }
  while (unanswered_ > 0) RETURN_IF_ERROR(await_one());
  return {};
}

template <class Request>
Status RunRecorder::post(const Request& request) {
  while (unanswered_ >= kMostUnansweredLogs) RETURN_IF_ERROR(await_one());
  registry_.post(request);
  ++unanswered_;
  return {};
}

Status RunRecorder::await_one() {
  client::Answer answer;
  while (!registry_.poll(answer, 1'000'000)) continue;
  --unanswered_;
  // All that is posted here is answered alike.
  return client::RegistryClient::reply_to<wire::RunStartRequest>(answer).status();
}

RunRecorder::Started& RunRecorder::of(const std::string& tenant) {
  const auto started = std::ranges::find(runs_, tenant, &Started::tenant);
  assert(started != runs_.end() && "a tenant of the source");
  return *started;
}

Status RunRecorder::log(const model::Spec& spec, const TrainedTree& tree, double read_seconds) {
  wire::RunLogRequest log;
  log.idem = uuids_.next();
  log.tenant = tree.tenant;
  log.run = of(tree.tenant).origin.run;
  log.params_json = params_json(spec, tree);
  log.metrics = points_of(spec, tree, read_seconds);
  return registry_.call(log).status().at("run " + log.run.text());
}

Status RunRecorder::finish(const std::string& tenant) {
  Started& started = of(tenant);
  started.may_fail = false;
  return end(started, wire::RunStatus::finished, "");
}

Status RunRecorder::end(const Started& started, wire::RunStatus status, const std::string& message) {
  wire::RunEndRequest end;
  end.idem = uuids_.next();
  end.tenant = started.tenant;
  end.run = started.origin.run;
  end.status = status;
  end.message = message;
  return registry_.call(end).status().at("run " + end.run.text());
}

void RunRecorder::fail(const Status& why) {
  std::string message = why.text().substr(0, model::kMaxDescriptionBytes);
  if (!model::check_description(message).ok()) message = "the reason is not UTF-8";
  for (const Started& started : runs_) {
    if (!started.may_fail) continue;
    const Status ended = end(started, wire::RunStatus::failed, message);
    if (ended.ok()) continue;
    log::warn("trainer", "a run could not be ended", {{"error", ended}});
    // Each other one would wait as long.
    if (ended.code() == Code::unavailable) return;
  }
}

}  // namespace espalier::trainer
