#include "registry/registry.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/version.h"
#include "metrics/disk.h"
#include "model/ids.h"
#include "registry/change.h"
#include "registry/differences.h"
#include "registry/moving/import.h"
#include "registry/operations.h"
#include "registry/promote.h"
#include "registry/publish.h"
#include "registry/quarantine.h"
#include "registry/rollback.h"
#include "registry/search/search.h"
#include "registry/space/erasure.h"
#include "registry/tag_history.h"
#include "registry/upkeep/migrate.h"
#include "registry/upkeep/upkeep.h"

namespace espalier::registry {
namespace {

Status check_model_names(std::string_view tenant, std::string_view model) {
  RETURN_IF_ERROR(model::check_name("tenant", tenant));
  return model::check_name("model", model);
}

Status check_under(const std::vector<std::string>& under) {
  return model::Partition::from_values(under).status().at("under");
}

}  // namespace

Registry::Registry(Files& files, const Clock& clock, std::unique_ptr<LevelDbStore> store, const std::string& folder,
                   const RegistryOptions& options)
    : options_(options),
      folder_(folder),
      process_(UuidSource(clock).next()),
      started_us_(clock.monotonic_us()),
      store_(std::move(store)),
      records_(files, *store_, folder + "/artefacts", options.segment_bytes),
      jobs_(records_, clock, options.background_work),
      upkeep_(std::make_unique<upkeep::Upkeep>(records_, clock, options.upkeep_slice_us)),
      clock_(clock),
      leases_(options.lease_us),
      served_times_(clock) {
  records_.feed.keep(options.kept_epochs);
}

Registry::~Registry() = default;

Result<std::unique_ptr<Registry>> Registry::open(Files& files, const Clock& clock, const std::string& folder,
                                                 RegistryOptions options) {
  RETURN_IF_ERROR(files.create_directories(folder));
  ASSIGN_OR_RETURN(auto store, LevelDbStore::open(files, clock, folder + "/store", options.store));
  RETURN_IF_ERROR(upkeep::migrate(*store));
  log::info("registry", "open", {{"folder", folder}, {"generation", store->generation()}, {"epoch", store->epoch()}});
  std::unique_ptr<Registry> registry(new Registry(files, clock, std::move(store), folder, options));
  RETURN_IF_ERROR(registry->jobs_.load());
  return registry;
}

template <class Request>
Result<Registry::Page> Registry::page(const Request& request) {
  Page page;
  std::uint64_t epoch = request.epoch;
  std::int64_t time_us = request.time_us;
  ASSIGN_OR_RETURN(page.cursor, PageCursor::parse(request.cursor));
  if (page.cursor.epoch != 0) epoch = page.cursor.epoch, time_us = 0;
  if (request.model.empty()) {
    ASSIGN_OR_RETURN(page.epoch, records_.feed.as_of(epoch, time_us));
  } else {
    ASSIGN_OR_RETURN(page.epoch, records_.imports.as_of(records_.feed, request.tenant, request.model, epoch, time_us));
  }
  return page;
}

template <class Request, class Put>
Result<wire::EpochReply> Registry::record(const Principal& principal, const Request& request, Put put) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  return change<wire::EpochReply>(principal, request, {}, [&](Batch& batch) -> Result<wire::EpochReply> {
    RETURN_IF_ERROR(put(batch));
    return wire::EpochReply{store_->generation(), batch.epoch()};
  });
}

Status Registry::settle() {
  is_group_pending_ = true;
  if (is_in_group_) return {};
  const Group group = end_group();
  return group.changes.ok() ? group.uploads : group.changes;
}

Registry::Group Registry::end_group() {
  is_in_group_ = false;
  if (!std::exchange(is_group_pending_, false)) return {};
  Group group;
  group.uploads = records_.artefacts.settle_group();
  group.changes = store_->sync();
  // One that began in this group has seen what isn't on the disk.
  if (!group.changes.ok()) upkeep_->drop_all();
  if (!group.changes.ok() || !group.uploads.ok()) forget_counts();
  return group;
}

/// What was made of changes that may not count after all, or may count although they failed.
void Registry::forget_counts() {
  records_.audit.forget_tags();
  records_.quotas.forget_all();
}

Result<wire::HelloReply> Registry::hello(const Principal& principal, const wire::HelloRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  wire::HelloReply reply;
  reply.generation = store_->generation();
  ASSIGN_OR_RETURN(reply.epoch, records_.feed.newest());
  reply.version = std::string(version());
  return reply;
}

Result<wire::StatusReply> Registry::status(const Principal& principal, const wire::StatusRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  wire::StatusReply reply;
  reply.generation = store_->generation();
  ASSIGN_OR_RETURN(reply.epoch, records_.feed.newest());
  reply.version = std::string(version());
  served_times_.report(reply);
  reply.jobs = jobs_.size();
  constexpr std::int64_t kDayUs = 86'400'000'000;
  ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
  std::erase_if(lost_, [&](const wire::LostShard& lost) {
    return clock_.wall_us() - lost.lost_us > kDayUs ||
           std::ranges::any_of(view.shards, [&](const auto& shard) { return shard.name == lost.name; });
  });
  reply.lost = lost_;
  reply.health = health();
  return reply;
}

wire::Health Registry::health() const {
  wire::Health health;
  health.process = process_;
  health.wall_us = clock_.wall_us();
  health.running_us = clock_.monotonic_us() - started_us_;
  const metrics::Disk disk = metrics::disk_of(folder_);
  health.disk_free = disk.free_bytes;
  health.disk_size = disk.size_bytes;
  health.is_disk_read_only = disk.is_read_only;
  if (!is_writing()) health.problems.push_back({"not_writing", "no change is taken since a write failed"});
  if (!view_waits_for_.empty()) health.problems.push_back({"view_waits", view_waits_for_});
  if (const std::string why = jobs_.waits_for(); !why.empty()) health.problems.push_back({"job_waits", why});
  return health;
}

RegistryMetrics::Gauges Registry::gauges() {
  RegistryMetrics::Gauges gauges;
  gauges.generation = store_->generation();
  const auto newest = records_.feed.newest();
  if (newest.ok()) gauges.epoch = *newest;
  gauges.being_served = served_times_.being_served();
  gauges.folder = folder_;
  gauges.is_writing = is_writing();
  gauges.jobs = jobs_.size();
  gauges.are_jobs_stuck = !jobs_.waits_for().empty();
  const auto view = records_.membership.view(store_->epoch());
  if (!view.ok()) return gauges;
  for (const cluster::ShardInfo& shard : view->shards) {
    gauges.shards.push_back(
        {shard.name, std::string(cluster::shard_state_name(shard.state)), acks_.newest(shard.name)});
  }
  return gauges;
}

Result<wire::RetentionReply> Registry::set_retention(const Principal& principal,
                                                     const wire::SetRetentionRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  RETURN_IF_ERROR(check_rule(request.rule));
  return change<wire::RetentionReply>(
      principal, request, {}, [&](Batch& batch, AuditNote& note) -> Result<wire::RetentionReply> {
        RETURN_IF_ERROR(records_.models.get(request.tenant, request.model, store_->epoch()).status());
        ASSIGN_OR_RETURN(const wire::RetentionRule before, records_.retention.rule(request.tenant, request.model));
        note = {"model " + request.model, audit::rule_json(before), audit::rule_json(request.rule)};
        return wire::RetentionReply{
            {Retention::put(batch, request.tenant, request.model, request.rule, principal.name())}};
      });
}

Result<wire::StartedReply> Registry::collect(const Principal& principal, const wire::CollectRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  if (!request.model.empty()) RETURN_IF_ERROR(model::check_name("model", request.model));
  RETURN_IF_ERROR(check_collectable(request.tenant, request.model));
  wire::Receipt receipt;
  receipt.receipt = request.receipt;
  receipt.tenant = request.tenant;
  receipt.model = request.model;
  receipt.principal = principal.name();
  receipt.dry_run = request.dry_run;
  if (request.dry_run) return plan(std::move(receipt));
  ASSIGN_OR_RETURN(const auto reply, change<wire::StartedReply>(principal, request, {}, [&](Batch& batch) {
                     return prepare_job(receipt, batch);
                   }));
  RETURN_IF_ERROR(start_job(request.tenant, reply.receipt));
  return reply;
}

Result<wire::EpochReply> Registry::run_start(const Principal& principal, const wire::RunStartRequest& request) {
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  return record(principal, request, [&](Batch& batch) -> Status {
    RETURN_IF_ERROR(records_.erased.check(request.tenant));
    RETURN_IF_ERROR(records_.imports.check_none_under_way(request.tenant, request.model));
    return records_.runs.start(batch, request, principal.name());
  });
}

Result<wire::EpochReply> Registry::run_log(const Principal& principal, const wire::RunLogRequest& request) {
  return record(principal, request, [&](Batch& batch) { return records_.runs.log(batch, request); });
}

Result<wire::EpochReply> Registry::run_end(const Principal& principal, const wire::RunEndRequest& request) {
  return record(principal, request, [&](Batch& batch) { return records_.runs.end(batch, request); });
}

Result<wire::EpochReply> Registry::run_attach(const Principal& principal, const wire::RunAttachRequest& request) {
  return record(principal, request, [&](Batch& batch) { return records_.runs.attach(batch, request); });
}

Result<wire::StartedReply> Registry::erase(const Principal& principal, const wire::EraseRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  wire::Receipt receipt;
  receipt.receipt = request.receipt;
  receipt.kind = wire::ReceiptKind::erasure;
  receipt.tenant = request.tenant;
  receipt.principal = principal.name();
  receipt.dry_run = request.dry_run;
  if (request.dry_run) {
    RETURN_IF_ERROR(check_erasable(request.tenant));
    return plan(std::move(receipt));
  }
  ASSIGN_OR_RETURN(const auto reply,
                   change<wire::StartedReply>(principal, request, {}, [&](Batch& batch) -> Result<wire::StartedReply> {
                     RETURN_IF_ERROR(check_erasable(request.tenant));
                     RETURN_IF_ERROR(prepare_erasure(records_, receipt, batch));
                     ASSIGN_OR_RETURN(wire::StartedReply started, prepare_job(receipt, batch));
                     started.epoch = batch.epoch();
                     return started;
                   }));
  RETURN_IF_ERROR(start_job(request.tenant, reply.receipt));
  return reply;
}

Result<wire::EpochReply> Registry::dataset_put(const Principal& principal, const wire::DatasetPutRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  return change<wire::EpochReply>(principal, request, {}, [&](Batch& batch) -> Result<wire::EpochReply> {
    RETURN_IF_ERROR(records_.erased.check(request.dataset.tenant));
    ASSIGN_OR_RETURN(const std::uint64_t epoch, records_.datasets.put(batch, request.dataset, principal.name()));
    return wire::EpochReply{store_->generation(), epoch};
  });
}

Result<wire::FeedReply> Registry::feed(const Principal& principal, const wire::FeedRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  return records_.feed.after(request);
}

Result<wire::EntriesReply> Registry::changed_entries(const Principal& principal,
                                                     const wire::ChangedEntriesRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  ASSIGN_OR_RETURN(const std::uint64_t collected, records_.feed.collected());
  if (request.epoch != 0 && request.epoch <= collected) {
    return failed_precondition("epoch: change " + std::to_string(request.epoch) + " is collected: take a snapshot");
  }
  ASSIGN_OR_RETURN(const wire::Change change, records_.feed.get(request.epoch));
  ASSIGN_OR_RETURN(const PageCursor cursor, PageCursor::parse(request.cursor));
  return records_.tags.changed(request, change, cursor);
}

Result<wire::ModelsReply> Registry::models(const Principal& principal, const wire::ModelsRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  if (!request.model.empty()) RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  ASSIGN_OR_RETURN(const Page at, page(request));
  const auto may_follow = [&](std::string_view tenant) { return principal.may_follow(tenant); };
  ASSIGN_OR_RETURN(wire::ModelsReply reply, records_.models.page(request, at.cursor, at.epoch, may_follow));
  reply.generation = store_->generation();
  return reply;
}

Result<wire::EntriesReply> Registry::tag_entries(const Principal& principal, const wire::TagEntriesRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_names(request.tenant, request.model, request.tag));
  RETURN_IF_ERROR(check_under(request.under));
  ASSIGN_OR_RETURN(const Page at, page(request));
  ASSIGN_OR_RETURN(const auto model, records_.models.get(request.tenant, request.model, at.epoch));
  if (!std::ranges::binary_search(model.tags, request.tag)) {
    return not_found("tag " + request.tag + " of model " + request.tenant + "/" + request.model);
  }
  return records_.tags.page(request, at.cursor, at.epoch);
}

Result<wire::VersionsReply> Registry::versions(const Principal& principal, const wire::VersionsRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  RETURN_IF_ERROR(check_under(request.under));
  ASSIGN_OR_RETURN(const Page at, page(request));
  RETURN_IF_ERROR(records_.models.get(request.tenant, request.model, at.epoch).status());
  ASSIGN_OR_RETURN(wire::VersionsReply reply, records_.versions.page(request, at.cursor, at.epoch));
  RETURN_IF_ERROR(records_.collected.fill_in(request.tenant, reply.versions));
  return reply;
}

Result<wire::ReleasesReply> Registry::releases(const Principal& principal, const wire::ReleasesRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  ASSIGN_OR_RETURN(const Page at, page(request));
  RETURN_IF_ERROR(records_.models.get(request.tenant, request.model, at.epoch).status());
  return records_.releases.page(request, at.cursor, at.epoch);
}

Result<wire::SearchReply> Registry::search(const Principal& principal, const wire::SearchRequest& request) {
  return search::search(records_, principal, request, options_.search_work);
}

Result<wire::AuditReply> Registry::audit(const Principal& principal, const wire::AuditRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  return records_.audit.page(request, options_.search_work / 4);  // each is decoded
}

Result<wire::CheckReply> Registry::check(const Principal& principal, const wire::CheckRequest& request) {
  return upkeep_->check(principal, request);
}

Result<wire::LogLevelReply> Registry::log_level(const Principal& principal, const wire::LogLevelRequest& request) {
  return wire::change_log_level(principal, request);
}

Result<wire::ProcessReply> Registry::process(const Principal& principal, const wire::ProcessRequest& request) {
  return wire::process_status(principal, request);
}

Result<wire::ArchiveReply> Registry::archive(const Principal& principal, const wire::ArchiveRequest& request,
                                             Bodies& bodies) {
  return upkeep_->archive(principal, request, bodies);
}

Result<wire::ImportReply> Registry::import_history(const Principal& principal, const wire::ImportRequest& request,
                                                   const Bodies& bodies) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  RETURN_IF_ERROR(records_.erased.check(request.tenant));
  if (request.step == wire::ImportStep::look) return look_at_import(records_, request, bodies);
  return change<wire::ImportReply>(principal, request, bodies, [&](Batch& batch) {
    return prepare_import(records_, principal, request, bodies, batch);
  });
}

Result<wire::UploadReply> Registry::upload(const Principal& principal, const wire::UploadRequest& request,
                                           const Bodies& bodies) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(records_.erased.check(request.tenant));
  ASSIGN_OR_RETURN(const std::uint64_t bytes, check_room(request, bodies));
  ASSIGN_OR_RETURN(const wire::UploadReply reply, records_.artefacts.upload(request.tenant, request.artefacts, bodies));
  records_.quotas.uploaded(request.tenant, bytes);
  if (!records_.artefacts.is_settled()) RETURN_IF_ERROR(settle());
  return reply;
}

Result<wire::FetchReply> Registry::fetch(const Principal& principal, const wire::FetchRequest& request,
                                         Bodies& bodies) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  ASSIGN_OR_RETURN(const auto erased, records_.erased.find(request.tenant));
  if (!erased) return records_.artefacts.fetch(request, bodies);
  // Its artefacts may be there for a while; nobody gets them any more.
  wire::FetchReply nothing;
  nothing.missing = request.artefacts;
  nothing.answered = static_cast<std::uint32_t>(request.artefacts.size());
  return nothing;
}

Result<wire::ReleaseReply> Registry::publish(const Principal& principal, const wire::PublishRequest& request,
                                             const Bodies& bodies) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  return change<wire::ReleaseReply>(principal, request, bodies, [&](Batch& batch) {
    return prepare_publish(records_, principal, request, bodies, batch);
  });
}

Result<wire::ReleaseReply> Registry::move(const Principal& principal, const wire::MoveRequest& request,
                                          const Bodies& bodies) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  return change<wire::ReleaseReply>(principal, request, bodies, [&](Batch& batch) {
    return prepare_move(records_, principal, request, bodies, batch);
  });
}

Result<wire::ReleaseReply> Registry::rollback(const Principal& principal, const wire::RollbackRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_names(request.tenant, request.model, request.tag));
  RETURN_IF_ERROR(check_under(request.under));
  return change<wire::ReleaseReply>(
      principal, request, {}, [&](Batch& batch) { return prepare_rollback(records_, principal, request, batch); });
}

Result<wire::ReleaseReply> Registry::promote(const Principal& principal, const wire::PromoteRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  return change<wire::ReleaseReply>(principal, request, {},
                                    [&](Batch& batch) { return prepare_promote(records_, principal, request, batch); });
}

Result<wire::EpochReply> Registry::quarantine(const Principal& principal, const wire::QuarantineRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  return change<wire::EpochReply>(principal, request, {},
                                  [&](Batch& batch) { return prepare_quarantine(records_, request, batch); });
}

Result<wire::EpochReply> Registry::overlay(const Principal& principal, const wire::OverlayRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  return change<wire::EpochReply>(principal, request, {}, [&](Batch& batch, AuditNote& note) {
    const auto before = records_.models.get(request.tenant, request.model, store_->epoch());
    if (before.ok()) note.before = audit::overlay_json(*before, request.tag);
    if (!request.on.empty()) note.after = "{\"on\":\"" + request.on + "\"}";
    return prepare_overlay(records_, request, batch);
  });
}

Result<wire::DifferencesReply> Registry::rollback_preview(const Principal& principal,
                                                          const wire::RollbackPreviewRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_names(request.tenant, request.model, request.tag));
  RETURN_IF_ERROR(check_under(request.under));
  return preview_rollback(records_, principal, request, options_.search_work);
}

Result<wire::DifferencesReply> Registry::release_diff(const Principal& principal,
                                                      const wire::ReleaseDiffRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_model_names(request.tenant, request.model));
  RETURN_IF_ERROR(check_under(request.under));
  // Its records may be there for a while; releases are found without the model.
  ASSIGN_OR_RETURN(const auto erased, records_.erased.find(request.tenant));
  if (erased) return not_found("release " + request.from.text());
  return registry::release_diff(records_, request, options_.search_work);
}

Result<wire::TagHistoryReply> Registry::tag_history(const Principal& principal,
                                                    const wire::TagHistoryRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_names(request.tenant, request.model, request.tag));
  RETURN_IF_ERROR(check_under(request.under));
  return registry::tag_history(records_, request);
}

}  // namespace espalier::registry
