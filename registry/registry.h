// The registry's operations: one method for each op of wire/messages.h, knowing nothing of sockets.
//
// Every method takes who is asking first and refuses by names alone what that principal may not do. A change with an
// idem is applied once; sent again within a day it gets the same reply. What a change returns is on disk. The epochs in
// replies are those of changes (docs/registry-keys.md); requests take them, and 0 for the newest.
//
// Thread safety: one thread owns a Registry. Ownership: `files` and `clock` outlive it; bytes from fetch() stay mapped
// until work() is called. Errors: invalid_argument names the member of the request; not_found for what is missing or
// another tenant's; resource_exhausted and unavailable while the disk takes nothing: reads go on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/files.h"
#include "common/principal.h"
#include "registry/acks.h"
#include "registry/audit.h"
#include "registry/leases.h"
#include "registry/leveldb_store.h"
#include "registry/records.h"
#include "registry/registry_metrics.h"
#include "registry/served_times.h"
#include "registry/space/jobs.h"
#include "wire/audit_messages.h"
#include "wire/dataset_messages.h"
#include "wire/key_messages.h"
#include "wire/log_level.h"
#include "wire/membership_messages.h"
#include "wire/messages.h"
#include "wire/moving_messages.h"
#include "wire/process_status.h"
#include "wire/quarantine_messages.h"
#include "wire/run_messages.h"
#include "wire/search_messages.h"
#include "wire/space_messages.h"
#include "wire/status_messages.h"
#include "wire/tag_messages.h"
#include "wire/upkeep_messages.h"

namespace espalier::registry {

namespace upkeep {
class Upkeep;
}

struct RegistryOptions {
  LevelDbOptions store;
  /// What one request of a search may do before it gives what it has: 20,000 steps through indexes are about 20 ms.
  std::size_t search_work = 20'000;
  /// What one step of a check or an archive may take; the last record may take it beyond.
  std::int64_t upkeep_slice_us = 10'000;
  /// Changes of the last so many epochs stay in the feed; 0: all. Readers further behind take a snapshot.
  std::uint64_t kept_epochs = 1'000'000;
  /// What one slice of background work looks at: 4,000 records are about 10 ms.
  std::size_t background_work = 4'000;
  std::uint64_t segment_bytes = kSegmentBytes;  ///< of a tenant's packs
  /// A shard that isn't heard of for so long is gone.
  std::int64_t lease_us = 10'000'000;
};

class Registry {
 public:
  using Bodies = std::vector<std::string_view>;

  /// Opens or makes the registry in `folder`: records in folder/store, artefacts in folder/artefacts.
  static Result<std::unique_ptr<Registry>> open(Files& files, const Clock& clock, const std::string& folder,
                                                RegistryOptions options = {});
  ~Registry();

  Result<wire::HelloReply> hello(const Principal& principal, const wire::HelloRequest& request);
  Result<wire::StatusReply> status(const Principal& principal, const wire::StatusRequest& request);

  Result<wire::EpochReply> join(const Principal& principal, const wire::JoinRequest& request);
  Result<wire::EpochReply> leave(const Principal& principal, const wire::LeaveRequest& request);
  /// As of now; the lease is in memory. not_found: the shard isn't in the view, and has to join; a process that was
  /// drained is told that it is draining. failed_precondition: a newer process of its name has the lease.
  Result<wire::RenewReply> renew(const Principal& principal, const wire::RenewRequest& request);
  /// failed_precondition: nobody would be left to hand over to, or it is still joining.
  Result<wire::EpochReply> drain(const Principal& principal, const wire::DrainRequest& request);
  Result<wire::EpochReply> set_tenant(const Principal& principal, const wire::SetTenantRequest& request);
  Result<wire::ViewReply> view(const Principal& principal, const wire::ViewRequest& request);

  // Who may do what (docs/keys.md).
  Result<wire::EpochReply> key_create(const Principal& principal, const wire::KeyCreateRequest& request);
  Result<wire::EpochReply> key_limit(const Principal& principal, const wire::KeyLimitRequest& request);
  Result<wire::EpochReply> key_rotate(const Principal& principal, const wire::KeyRotateRequest& request);
  Result<wire::EpochReply> key_revoke(const Principal& principal, const wire::KeyRevokeRequest& request);
  /// As of now, like feed().
  Result<wire::KeysReply> keys(const Principal& principal, const wire::KeysRequest& request);

  /// Who changed what (docs/audit.md).
  Result<wire::AuditReply> audit(const Principal& principal, const wire::AuditRequest& request);
  /// What a tenant may have, and has (docs/quotas.md).
  Result<wire::EpochReply> set_quota(const Principal& principal, const wire::SetQuotaRequest& request);
  Result<wire::QuotaReply> quota(const Principal& principal, const wire::QuotaRequest& request);

  // What is kept, and what goes (docs/space.md).
  Result<wire::RetentionReply> retention(const Principal& principal, const wire::RetentionRequest& request);
  Result<wire::RetentionReply> set_retention(const Principal& principal, const wire::SetRetentionRequest& request);
  Result<wire::StartedReply> collect(const Principal& principal, const wire::CollectRequest& request);
  Result<wire::StartedReply> erase(const Principal& principal, const wire::EraseRequest& request);
  Result<wire::VerifyErasureReply> verify_erasure(const Principal& principal,
                                                  const wire::VerifyErasureRequest& request);
  /// As of now, like feed().
  Result<wire::ReceiptReply> receipt(const Principal& principal, const wire::ReceiptRequest& request);
  Result<wire::ReceiptItemsReply> receipt_items(const Principal& principal, const wire::ReceiptItemsRequest& request);

  // Runs (docs/runs.md) and datasets (docs/datasets.md).
  Result<wire::EpochReply> run_start(const Principal& principal, const wire::RunStartRequest& request);
  Result<wire::EpochReply> run_log(const Principal& principal, const wire::RunLogRequest& request);
  Result<wire::EpochReply> run_end(const Principal& principal, const wire::RunEndRequest& request);
  Result<wire::EpochReply> run_attach(const Principal& principal, const wire::RunAttachRequest& request);
  Result<wire::RunsReply> runs(const Principal& principal, const wire::RunsRequest& request);
  Result<wire::RunMetricsReply> run_metrics(const Principal& principal, const wire::RunMetricsRequest& request);
  Result<wire::RunFileReply> run_file(const Principal& principal, const wire::RunFileRequest& request);
  Result<wire::EpochReply> dataset_put(const Principal& principal, const wire::DatasetPutRequest& request);
  Result<wire::DatasetsReply> datasets(const Principal& principal, const wire::DatasetsRequest& request);

  /// A slice of what is done beside requests; between two of them, or when there are none.
  void work() {
    if (jobs_.step()) ++activity_;
  }
  /// When work() has something to do: 0 at once, -1 nothing, else in so many microseconds.
  std::int64_t next_work_us() const { return jobs_.next_us(); }

  /// Ends leases, and makes the view's transitions that are due (docs/membership.md). Outside of a group.
  void tend_view();
  /// When tend_view() is to be called again: in so many microseconds.
  std::int64_t next_view_us() const;

  /// As of now: waiting for more is the server's.
  Result<wire::FeedReply> feed(const Principal& principal, const wire::FeedRequest& request);
  Result<wire::EntriesReply> changed_entries(const Principal& principal, const wire::ChangedEntriesRequest& request);
  Result<wire::AckReply> ack(const Principal& principal, const wire::AckRequest& request);
  /// As of now, like feed().
  Result<wire::WaitReply> wait(const Principal& principal, const wire::WaitRequest& request);

  Result<wire::ModelsReply> models(const Principal& principal, const wire::ModelsRequest& request);
  Result<wire::EntriesReply> tag_entries(const Principal& principal, const wire::TagEntriesRequest& request);
  Result<wire::VersionsReply> versions(const Principal& principal, const wire::VersionsRequest& request);
  Result<wire::ReleasesReply> releases(const Principal& principal, const wire::ReleasesRequest& request);
  Result<wire::SearchReply> search(const Principal& principal, const wire::SearchRequest& request);

  Result<wire::UploadReply> upload(const Principal& principal, const wire::UploadRequest& request,
                                   const Bodies& bodies);
  Result<wire::FetchReply> fetch(const Principal& principal, const wire::FetchRequest& request, Bodies& bodies);

  Result<wire::ReleaseReply> publish(const Principal& principal, const wire::PublishRequest& request,
                                     const Bodies& bodies);
  Result<wire::ReleaseReply> move(const Principal& principal, const wire::MoveRequest& request, const Bodies& bodies);
  Result<wire::ReleaseReply> rollback(const Principal& principal, const wire::RollbackRequest& request);
  Result<wire::ReleaseReply> promote(const Principal& principal, const wire::PromoteRequest& request);
  Result<wire::EpochReply> quarantine(const Principal& principal, const wire::QuarantineRequest& request);
  Result<wire::EpochReply> overlay(const Principal& principal, const wire::OverlayRequest& request);

  Result<wire::DifferencesReply> rollback_preview(const Principal& principal,
                                                  const wire::RollbackPreviewRequest& request);
  Result<wire::DifferencesReply> release_diff(const Principal& principal, const wire::ReleaseDiffRequest& request);
  Result<wire::TagHistoryReply> tag_history(const Principal& principal, const wire::TagHistoryRequest& request);

  /// A slice of moving a model's history in (docs/moving.md).
  Result<wire::ImportReply> import_history(const Principal& principal, const wire::ImportRequest& request,
                                           const Bodies& bodies);

  Result<wire::CheckReply> check(const Principal& principal, const wire::CheckRequest& request);
  /// `bodies` stay until the next call of check() or archive(), for this session or another.
  Result<wire::ArchiveReply> archive(const Principal& principal, const wire::ArchiveRequest& request, Bodies& bodies);

  /// Of this process's log.
  Result<wire::LogLevelReply> log_level(const Principal& principal, const wire::LogLevelRequest& request);
  /// This process, and its host.
  Result<wire::ProcessReply> process(const Principal& principal, const wire::ProcessRequest& request);

  /// Between the two, changes are applied but not on disk: what any operation returns must not leave the process before
  /// end_group(), which brings all to the disk in one go, says what came of it.
  void begin_group() { is_in_group_ = true; }
  struct Group {
    Status uploads;  ///< not ok: no upload of the group counts
    Status changes;  ///< not ok: nothing counts that was returned since the first change of the group, reads included
  };
  Group end_group();
  /// Whether end_group() has something to bring to the disk.
  bool is_group_pending() const { return is_group_pending_; }

  /// For those who watch; what can't be read is left at zero.
  RegistryMetrics::Gauges gauges();
  /// How long releases took from commit to served; may be read by any thread.
  const Histogram& served_times() const { return served_times_.times(); }

  std::uint64_t generation() const { return store_->generation(); }
  /// Grows with everything that can end a feed's or a wait's waiting.
  std::uint64_t activity() const { return activity_; }
  /// False from a failed write until changes are taken again.
  bool is_writing() const { return store_->is_healthy(); }

 private:
  Registry(Files& files, const Clock& clock, std::unique_ptr<LevelDbStore> store, const std::string& folder,
           const RegistryOptions& options);

  /// Where a paged read stands: the first page's epoch, or that of its cursor.
  struct Page {
    PageCursor cursor;
    std::uint64_t epoch = 0;
  };
  template <class Request>
  Result<Page> page(const Request& request);
  /// Applies `prepare(batch)` once, however often the request comes, with a record of who did what; `prepare(batch,
  /// note)` says more of it there than the request does.
  template <class Reply, class Request, class Prepare>
  Result<Reply> change(const Principal& principal, const Request& request, const Bodies& bodies, Prepare prepare);
  template <class Reply, class Request>
  Status note_change(Batch& batch, const Principal& principal, const Request& request, const Reply& reply,
                     AuditNote note);
  /// What the four changes of keys have in common: `edit` makes the record out of the one before it, if there is one.
  template <class Request, class Edit>
  Result<wire::EpochReply> change_key(const Principal& principal, const Request& request, Edit edit);
  /// The same for changes of records that only have to be told by when they were made.
  template <class Request, class Put>
  Result<wire::EpochReply> record(const Principal& principal, const Request& request, Put put);
  /// Outside of a group: end_group().
  Status settle();
  /// What it says of itself in its status.
  wire::Health health() const;
  void forget_counts();

  // registry/quota_operations.cc
  Result<std::uint64_t> check_room(const wire::UploadRequest& request, const Bodies& bodies);

  // registry/space/operations.cc
  Status check_collectable(const std::string& tenant, const std::string& model);
  Status check_erasable(const std::string& tenant);
  Result<wire::StartedReply> plan(wire::Receipt receipt);
  Result<wire::StartedReply> prepare_job(wire::Receipt receipt, Batch& batch);
  Status start_job(const std::string& tenant, const Uuid& receipt);
  /// Takes the time of what all shards of the view answer from.
  void note_served(const cluster::View& view) { served_times_.served(acks_.all_have(view)); }

  // registry/membership_operations.cc
  Status check_waits_for_own(const Principal& principal, std::uint64_t epoch) const;
  Result<wire::EpochReply> change_view(const std::optional<cluster::View>& view, Batch& batch);
  Status look_at_view();
  void note_lost(const cluster::ShardInfo& shard);
  void say_who_is_waited_for(const wire::ViewReply& view, const std::vector<std::string>& names, std::int64_t now_us);
  Status commit_view(const cluster::View& from, const cluster::View& to);

  const RegistryOptions options_;
  const std::string folder_;
  const Uuid process_;
  const std::int64_t started_us_;
  std::unique_ptr<LevelDbStore> store_;
  Records records_;
  Jobs jobs_;
  std::unique_ptr<upkeep::Upkeep> upkeep_;
  const Clock& clock_;
  Leases leases_;
  std::int64_t look_at_view_us_ = 0;  ///< monotonic: then its shards' leases are looked at
  std::int64_t look_at_load_us_ = 0;  ///< monotonic: then hot nodes are worked out again
  bool is_view_due_ = true;           ///< something came that may end a transition
  bool is_view_moving_ = false;
  std::uint64_t waits_epoch_ = 0;  ///< of the view whose transition is waited for
  std::int64_t waits_since_us_ = 0, waits_said_us_ = 0;
  std::int64_t lacks_since_us_ = 0;  ///< since then it waits only for what shards can't take in
  std::string view_waits_for_;       ///< why the view can't be changed
  std::vector<wire::LostShard> lost_;
  Acks acks_;
  ServedTimes served_times_;
  std::uint64_t activity_ = 0;
  bool is_in_group_ = false;
  bool is_group_pending_ = false;
};

}  // namespace espalier::registry
