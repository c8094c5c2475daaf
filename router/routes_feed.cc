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
/// So long a router that could answer from its file waits for the registry before it says that it is ready.
constexpr std::int64_t kFirstTimeoutUs = 1'000'000;
/// From one write of the routes to the next at least, and this many times as long as it took.
constexpr std::int64_t kLeastSaveWaitUs = 100'000;
constexpr std::int64_t kSaveWaitTimes = 20;
/// The first of the waits after a failed one.
constexpr std::int64_t kFailedSaveWaitUs = 2'000'000;
constexpr std::int64_t kLongestSaveWaitUs = 60'000'000;
constexpr int kFirstBackoffMs = 100;
constexpr int kLongestBackoffMs = 5000;

}  // namespace

RoutesFeed::RoutesFeed(client::RegistryClient& registry, LiveRoutes& live, RoutesFile* file, const StopSignals& stop,
                       const Clock& clock, RoutesEvents events)
    : registry_(registry),
      live_(live),
      file_(file),
      stop_(stop),
      clock_(clock),
      events_(std::move(events)),
      failed_save_wait_us_(kFailedSaveWaitUs) {}

void RoutesFeed::restore() {
  if (file_ == nullptr) return;
  Result<std::unique_ptr<Routes>> saved = file_->load();
  if (!saved.ok()) {
    if (saved.status().code() != Code::not_found) {
      log::warn("router", "no restart from disk", {{"why", saved.status()}});
    }
    return;
  }
  generation_ = (*saved)->generation;
  cursor_ = (*saved)->epoch;
  progress_.serves(cursor_, clock_.monotonic_us());
  // Read anew as soon as the registry answers: the file's epoch says when its routes came, not what was read since.
  publish((*saved)->view, (*saved)->models);
  has_unsaved_ = false;
}

void RoutesFeed::run() {
  int backoff_ms = kFirstBackoffMs;
  while (!stop_.requested()) {
    const Status status = step();
    live_.collect();
    announce();
    if (clock_.monotonic_us() >= may_save_us_) save();
    if (status.ok()) {
      backoff_ms = kFirstBackoffMs;
      continue;
    }
    if (stop_.requested()) break;
    progress_.lost(clock_.monotonic_us());
    log::warn("router", "registry not read, the routes stay", {{"in_ms", backoff_ms}, {"why", status}});
    if (stop_.wait(backoff_ms)) break;
    backoff_ms = std::min(backoff_ms * 2, kLongestBackoffMs);
  }
  save();
}

void RoutesFeed::announce() {
  if (was_announced_ || live_.current().number == 0) return;
  was_announced_ = true;
  events_.ready();
}

/// Writes what has not been written yet. The disk is busy with it a twentieth of the time at most.
void RoutesFeed::save() {
  if (file_ == nullptr || !has_unsaved_) return;
  const std::int64_t begin_us = clock_.monotonic_us();
  const Status saved = file_->save(live_.current());
  const std::int64_t end_us = clock_.monotonic_us();
  has_unsaved_ = !saved.ok();
  if (saved.ok()) {
    failed_save_wait_us_ = kFailedSaveWaitUs;
    may_save_us_ = end_us + std::max(kLeastSaveWaitUs, (end_us - begin_us) * kSaveWaitTimes);
    return;
  }
  log::warn("router", "routes not written", {{"in_us", failed_save_wait_us_}, {"why", saved}});
  may_save_us_ = end_us + failed_save_wait_us_;
  failed_save_wait_us_ = std::min(failed_save_wait_us_ * 2, kLongestSaveWaitUs);
}

Status RoutesFeed::step() { return needs_all_ ? read_all() : follow(); }

Status RoutesFeed::read_all() {
  // What changes while this is read is told by the feed after the epoch noted first.
  const bool could_answer = !was_announced_ && live_.current().number > 0;
  ASSIGN_OR_RETURN(const wire::HelloReply hello,
                   ask(wire::HelloRequest{"router"}, could_answer ? kFirstTimeoutUs : kTimeoutUs));
  ASSIGN_OR_RETURN(wire::ViewReply view, ask(wire::ViewRequest{}, kTimeoutUs));
  SnapshotMap<ModelShape> models;
  RETURN_IF_ERROR(read_models({}, {}, models));
  generation_ = hello.generation;
  cursor_ = hello.epoch;
  needs_all_ = false;
  progress_.serves(cursor_, clock_.monotonic_us());
  progress_.heard(hello.epoch, clock_.monotonic_us());
  publish(std::move(view.view), std::move(models));
  return {};
}

Status RoutesFeed::follow() {
  wire::FeedRequest request;
  request.generation = generation_;
  request.after = cursor_;
  request.wait_us = kWaitUs;
  if (has_unsaved_ && file_ != nullptr) {
    request.wait_us = std::clamp<std::int64_t>(may_save_us_ - clock_.monotonic_us(), 0, kWaitUs);
  }
  ASSIGN_OR_RETURN(const wire::FeedReply reply, ask(request, kTimeoutUs));
  if (reply.snapshot_required || reply.generation != generation_) {
    needs_all_ = true;
    return {};
  }
  progress_.heard(reply.newest, clock_.monotonic_us());
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
    ASSIGN_OR_RETURN(wire::ViewReply fresh, ask(wire::ViewRequest{}, kTimeoutUs));
    view = std::move(fresh.view);
  }
  cursor_ = cursor;
  progress_.serves(cursor_, clock_.monotonic_us());
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
    ASSIGN_OR_RETURN(wire::ModelsReply page, ask(request, kTimeoutUs));
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
  has_unsaved_ = true;
  events_.published();
}

template <class Request>
auto RoutesFeed::ask(const Request& request, std::int64_t timeout_us)
    -> Result<typename client::ReplyTo<Request>::type> {
  const Result<client::Answer> answer = wait_for(registry_.post(request, {}, timeout_us));
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
