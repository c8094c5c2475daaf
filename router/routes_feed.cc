#include "router/routes_feed.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/log.h"
#include "model/ids.h"

namespace espalier::router {
namespace {

constexpr std::int64_t kWaitUs = 10'000'000;
constexpr std::int64_t kTimeoutUs = 5'000'000;
constexpr int kFirstBackoffMs = 100;
constexpr int kLongestBackoffMs = 5000;

}  // namespace

RoutesFeed::RoutesFeed(client::RegistryClient& registry, LiveRoutes& live, const StopSignals& stop,
                       std::function<void()> published)
    : registry_(registry), live_(live), stop_(stop), published_(std::move(published)) {}

void RoutesFeed::run() {
  int backoff_ms = kFirstBackoffMs;
  while (!stop_.requested()) {
    const Status status = step();
    live_.collect();
    if (status.ok()) {
      backoff_ms = kFirstBackoffMs;
      continue;
    }
    if (stop_.requested()) return;
    log::warn("router", "registry not read, the routes stay", {{"in_ms", backoff_ms}, {"why", status}});
    if (stop_.wait(backoff_ms)) return;
    backoff_ms = std::min(backoff_ms * 2, kLongestBackoffMs);
  }
}

Status RoutesFeed::step() { return needs_all_ ? read_all() : follow(); }

Status RoutesFeed::read_all() {
  // What changes while this is read is told by the feed after the epoch noted first.
  ASSIGN_OR_RETURN(const wire::HelloReply hello, ask(wire::HelloRequest{"router"}));
  ASSIGN_OR_RETURN(wire::ViewReply view, ask(wire::ViewRequest{}));
  SnapshotMap<ModelShape> models;
  RETURN_IF_ERROR(read_models({}, {}, models));
  generation_ = hello.generation;
  cursor_ = hello.epoch;
  needs_all_ = false;
  publish(std::move(view.view), std::move(models));
  return {};
}

Status RoutesFeed::follow() {
  wire::FeedRequest request;
  request.generation = generation_;
  request.after = cursor_;
  request.wait_us = kWaitUs;
  ASSIGN_OR_RETURN(const wire::FeedReply reply, ask(request));
  if (reply.snapshot_required || reply.generation != generation_) {
    needs_all_ = true;
    return {};
  }
  std::set<std::pair<std::string, std::string>> changed;
  bool has_new_view = false;
  std::uint64_t cursor = cursor_;
  for (const wire::Change& change : reply.changes) {
    if (change.previous != cursor) {
      log::warn("router", "gap in the change feed", {{"expected", cursor}, {"got", change.previous}});
      needs_all_ = true;
      return {};
    }
    cursor = change.epoch;
    if (change.kind == wire::ChangeKind::view) {
      has_new_view = true;
      continue;
    }
    if (change.kind == wire::ChangeKind::erased) {
      needs_all_ = true;
      return {};
    }
    const ModelShape* known = live_.current().models.find(model::model_key(change.tenant, change.model));
    if (known == nullptr || known->levels != change.levels) changed.emplace(change.tenant, change.model);
  }
  SnapshotMap<ModelShape> models = live_.current().models;
  for (const auto& [tenant, model] : changed) RETURN_IF_ERROR(read_models(tenant, model, models));
  cluster::View view = live_.current().view;
  if (has_new_view) {
    ASSIGN_OR_RETURN(wire::ViewReply fresh, ask(wire::ViewRequest{}));
    view = std::move(fresh.view);
  }
  cursor_ = cursor;
  if (has_new_view || !changed.empty()) publish(std::move(view), std::move(models));
  return {};
}

/// All models, or one, into `models`.
Status RoutesFeed::read_models(const std::string& tenant, const std::string& model, SnapshotMap<ModelShape>& models) {
  SnapshotMap<ModelShape>::Editor editor(models);
  wire::ModelsRequest request;
  request.tenant = tenant;
  request.model = model;
  do {
    ASSIGN_OR_RETURN(wire::ModelsReply page, ask(request));
    if (request.epoch == 0) request.epoch = page.epoch;
    for (const wire::ModelRecord& record : page.models) {
      editor.set(std::make_shared<const ModelShape>(
          ModelShape{model::model_key(record.tenant, record.model), static_cast<std::uint32_t>(record.levels.size())}));
    }
    request.cursor = std::move(page.cursor);
  } while (!request.cursor.empty());
  models = editor.finish();
  return {};
}

void RoutesFeed::publish(cluster::View view, SnapshotMap<ModelShape> models) {
  auto routes = std::make_unique<Routes>(std::move(view));
  routes->number = ++number_;
  routes->generation = generation_;
  routes->epoch = cursor_;
  routes->models = std::move(models);
  log::info("router", "routes",
            {{"epoch", cursor_},
             {"view", routes->view.number},
             {"shards", routes->view.shards.size()},
             {"models", routes->models.size()}});
  live_.publish(std::move(routes));
  published_();
}

template <class Request>
auto RoutesFeed::ask(const Request& request) -> Result<typename client::ReplyTo<Request>::type> {
  const Result<client::Answer> answer = wait_for(registry_.post(request, {}, kTimeoutUs));
  if (!answer.ok()) return answer.status();
  return client::RegistryClient::reply_to<Request>(*answer);
}

Result<client::Answer> RoutesFeed::wait_for(client::Ticket ticket) {
  client::Answer answer;
  for (;;) {
    while (registry_.poll(answer, 0)) {
      if (answer.ticket == ticket) return answer;
    }
    wire::Poller poller;
    poller.add(registry_.socket());
    const std::size_t stop = poller.add_fd(stop_.fd());
    if (poller.wait(registry_.next_event_us()) && poller.ready(stop)) {
      registry_.forget(ticket);
      return unavailable("stopping");
    }
  }
}

}  // namespace espalier::router
