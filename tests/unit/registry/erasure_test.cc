// The erasure of a tenant: nothing of it is left, whatever happens meanwhile, and nobody else notices.
#include "tests/unit/registry/erasing_fixture.h"

namespace espalier::registry {
namespace {

TEST_F(Erasing, LeavesNothingInAnyFile) {
  fill();
  ASSERT_FALSE(files_with(kMarker).empty());
  ASSERT_OK_AND_ASSIGN(const auto receipt, erase(1));
  EXPECT_EQ(receipt.kind, wire::ReceiptKind::erasure);
  EXPECT_EQ(receipt.versions, 8u);
  EXPECT_EQ(receipt.artefacts, 3u) << "those of the collected versions went before";
  EXPECT_GT(receipt.records, 30u);
  EXPECT_GT(receipt.disk_before, 0u);
  EXPECT_EQ(receipt.disk_after, 0u);
  EXPECT_EQ(artefacts_of(receipt), 3u);
  expect_gone(1);
  expect_other_whole();
  expect_sound();
  open();
  expect_gone(1);
}

// A table that is missing here is one that nobody has decided about: does an erasure take it?
TEST_F(Erasing, TakesEveryTable) {
  fill();
  const auto before = tables();
  for (const char table : keys::kTablesOfTenants) {
    // While something is under way; the mark; imported histories, which have a test of their own.
    if (std::string_view("qZHh").find(table) != std::string_view::npos) continue;
    EXPECT_GT(before.contains(table) ? before.at(table) : 0, 0) << table << " has no record in this test";
  }
  const std::string others = "GBEeFfCWLJIi";
  for (const char table : keys::kTables) {
    const bool is_tenants = keys::kTablesOfTenants.find(table) != std::string_view::npos;
    EXPECT_NE(is_tenants, others.find(table) != std::string::npos) << table;
  }
  ASSERT_OK(erase(1));
  const std::map<char, int> after = {{'Z', 1}, {'Q', 2}, {'j', 1}};
  EXPECT_EQ(tables(), after) << "the mark, the receipt and its items, and who erased it";
}

TEST_F(Erasing, TakesWhatWasRemovedAndWrittenOverBefore) {
  store_options_.write_buffer_bytes = 1;  // LevelDB's least: 64 KiB
  start_anew();
  for (std::uint32_t n = 1; n <= 120; ++n) {
    Proposal proposal = propose(n, {{{}, n, float(n)}, {{kMarker + std::to_string(n)}, 1000 + n, float(n)}});
    proposal.request.run_json = R"({"run": ")" + kMarker + std::string(2000, 'x') + "\"}";
    ASSERT_OK(publish(proposal));
    if (n % 40 == 0) open();
  }
  clock_.advance(2 * kDayUs);  // kept replies expire
  for (std::uint32_t n = 221; n <= 250; ++n) ASSERT_OK(publish_other(n));
  set_rule(1, [](auto& rule) { rule.keep_last = 1; });
  ASSERT_OK(collect(7));
  ASSERT_FALSE(files_with(kMarker).empty());
  ASSERT_OK(erase(1));
  expect_gone(1);
  expect_other_whole();
  expect_sound();
}

TEST_F(Erasing, ADryRunCountsTheSameAndChangesNothing) {
  fill();
  const auto before = tables();
  ASSERT_OK_AND_ASSIGN(const auto plan, erase(9, true));
  EXPECT_TRUE(plan.dry_run);
  EXPECT_EQ(held(), "2 4 104") << "all that is not collected";
  ASSERT_OK_AND_ASSIGN(const auto named, registry_->receipt_items(local_, {"acme", uuid('q', 9), {}}));
  EXPECT_TRUE(named.items.empty());
  EXPECT_EQ(tables(), before);
  EXPECT_CODE(receipt_of(9), Code::not_found) << "a plan is not kept";
  ASSERT_OK_AND_ASSIGN(const auto receipt, erase(1));
  EXPECT_EQ(plan.versions, receipt.versions);
  EXPECT_EQ(plan.artefacts, receipt.artefacts);
  EXPECT_EQ(plan.artefact_bytes, receipt.artefact_bytes);
  EXPECT_EQ(plan.records, receipt.records);
  EXPECT_EQ(plan.disk_before, receipt.disk_before);
}

TEST_F(Erasing, FromItsFirstCommitOnTheTenantIsAsOneThatThereNeverWas) {
  fill();
  const Hash256 artefact = blake2b_256(small_artefact(2));
  const auto unknown = [&](const std::string& tenant) {
    std::vector<std::string> errors;
    const auto ask = [&](auto operation, auto request) {
      request.tenant = tenant;
      if constexpr (requires { request.model; }) request.model = "total";
      if constexpr (requires { request.tag; }) request.tag = "production";
      if constexpr (requires { request.idem; }) request.idem = uuid('j', static_cast<std::uint32_t>(errors.size()) + 1);
      std::string text = ((*registry_).*operation)(local_, request).status().text();
      if (const auto at = text.find(tenant); at != std::string::npos) text.replace(at, tenant.size(), "TENANT");
      errors.push_back(text);
    };
    ask(&Registry::versions, wire::VersionsRequest());
    ask(&Registry::releases, wire::ReleasesRequest());
    ask(&Registry::tag_entries, wire::TagEntriesRequest());
    ask(&Registry::tag_history, wire::TagHistoryRequest());
    ask(&Registry::retention, wire::RetentionRequest());
    wire::SetRetentionRequest rule;
    ask(&Registry::set_retention, rule);
    wire::CollectRequest collect;
    collect.receipt = uuid('q', 60);
    ask(&Registry::collect, collect);
    wire::RollbackRequest back;
    back.release = uuid('r', 70);
    back.to.release = uuid('r', 1);
    ask(&Registry::rollback, back);
    wire::OverlayRequest overlay;
    overlay.on = "staging";
    ask(&Registry::overlay, overlay);
    wire::ReleaseDiffRequest diff;
    diff.from = uuid('r', 1);
    diff.to = uuid('r', 2);
    ask(&Registry::release_diff, diff);
    wire::RollbackPreviewRequest preview;
    preview.to.release = uuid('r', 1);
    ask(&Registry::rollback_preview, preview);
    wire::SearchRequest search;
    search.kind = "versions";
    ask(&Registry::search, search);
    search.kind = "runs";
    ask(&Registry::search, search);
    wire::RunsRequest runs;
    runs.runs = {uuid('n', 1)};
    ask(&Registry::runs, runs);
    wire::DatasetsRequest datasets;
    datasets.datasets = {blake2b_256(kMarker)};
    ask(&Registry::datasets, datasets);
    wire::RunFileRequest file;
    file.run = uuid('n', 1);
    file.name = "notes";
    ask(&Registry::run_file, file);
    wire::RunMetricsRequest metrics;
    metrics.run = uuid('n', 1);
    ask(&Registry::run_metrics, metrics);
    wire::RunEndRequest end;
    end.run = uuid('n', 1);
    ask(&Registry::run_end, end);
    wire::PromoteRequest promote;
    promote.release = uuid('r', 71);
    promote.from = "staging";
    promote.to = "production";
    ask(&Registry::promote, promote);
    return errors;
  };
  const auto expect_same = [](const std::vector<std::string>& a, const std::vector<std::string>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], b[i]) << i;
  };
  const auto never = unknown("nobody");
  ASSERT_OK(registry_->erase(local_, erasing(1)));
  for (int slice = 0; registry_->next_work_us() >= 0; ++slice) {
    if (slice % 16 == 0) {
      expect_same(unknown("acme"), never);
      std::vector<std::string_view> bodies;
      ASSERT_OK_AND_ASSIGN(const auto fetched, registry_->fetch(local_, {"acme", {artefact}}, bodies));
      EXPECT_EQ(fetched.missing.size(), 1u);
      EXPECT_EQ(fetched.answered, 1u);
      wire::SearchRequest search;
      search.kind = "runs";
      ASSERT_OK_AND_ASSIGN(const auto runs, registry_->search(local_, search));
      EXPECT_TRUE(runs.rows.empty());
      search.kind = "datasets";
      for (const char* tenant : {"", "acme"}) {
        search.tenant = tenant;
        ASSERT_OK_AND_ASSIGN(const auto datasets, registry_->search(local_, search));
        EXPECT_TRUE(datasets.rows.empty());
      }
      ASSERT_OK_AND_ASSIGN(const auto models, registry_->models(local_, {}));
      ASSERT_EQ(models.models.size(), 1u);
      EXPECT_EQ(models.models[0].tenant, "globex");
      expect_other_whole();
    }
    work();
  }
  expect_same(unknown("acme"), never);
}

TEST_F(Erasing, NothingCanBeMadeUnderTheNameAgain) {
  fill();
  ASSERT_OK(erase(1));
  const std::string bytes = small_artefact(4);
  EXPECT_CODE(registry_->upload(local_, {"acme", {blake2b_256(bytes)}}, {bytes}), Code::failed_precondition);
  EXPECT_CODE(publish(propose(50, {})), Code::failed_precondition);
  wire::RunStartRequest run = of_total<wire::RunStartRequest>();
  run.idem = uuid('j', 900);
  run.run = uuid('n', 1);
  EXPECT_CODE(registry_->run_start(local_, run), Code::failed_precondition);
  wire::DatasetPutRequest put;
  put.idem = uuid('j', 901);
  put.dataset.dataset = blake2b_256("another");
  put.dataset.tenant = "acme";
  put.dataset.source = "rides.csv";
  EXPECT_CODE(registry_->dataset_put(local_, put), Code::failed_precondition);
  const auto again = registry_->erase(local_, erasing(2));
  EXPECT_CODE(again, Code::failed_precondition);
  EXPECT_NE(again.status().text().find(uuid('q', 1).text()), std::string::npos) << "it names the receipt";
  EXPECT_CODE(registry_->erase(local_, erasing(3, "acme", true)), Code::failed_precondition);
  EXPECT_CODE(registry_->erase(local_, erasing(4, "nobody")), Code::not_found);
  EXPECT_CODE(registry_->erase(local_, erasing(5, "nobody", true)), Code::not_found);
  EXPECT_CODE(registry_->erase(local_, erasing(6, "No/Name")), Code::invalid_argument);
  EXPECT_CODE(registry_->verify_erasure(local_, {"acme", uuid('q', 1), "short"}), Code::invalid_argument);
  EXPECT_CODE(registry_->verify_erasure(local_, {"acme", uuid('q', 7), {}}), Code::not_found);
  EXPECT_CODE(registry_->verify_erasure(local_, {"globex", uuid('q', 1), {}}), Code::not_found);
  expect_gone(1);
}

TEST_F(Erasing, TheFeedTellsOfItAndHasNoGap) {
  fill();
  ASSERT_OK_AND_ASSIGN(const auto started, registry_->erase(local_, erasing(1)));
  finish_work();
  wire::FeedRequest request;
  request.generation = started.generation;
  request.credit = 1000;
  ASSERT_OK_AND_ASSIGN(const auto feed, registry_->feed(local_, request));
  std::uint64_t previous = 0;
  std::size_t blanks = 0;
  for (const auto& change : feed.changes) {
    EXPECT_EQ(change.previous, previous);
    previous = change.epoch;
    EXPECT_EQ(change.tenant == "acme", change.epoch == started.epoch) << change.epoch;
    const bool is_blank = change.kind == wire::ChangeKind::erased && change.tenant.empty();
    EXPECT_TRUE(!is_blank || moved(change.epoch).empty());
    blanks += is_blank;
  }
  EXPECT_EQ(previous, feed.newest);
  EXPECT_EQ(blanks, 5u);
}

TEST_F(Erasing, ShardsThatHaveNotAcknowledgedAreNamed) {
  fill();
  ASSERT_OK(join("s0", 1));
  ASSERT_OK_AND_ASSIGN(const auto started, registry_->erase(local_, erasing(1)));
  finish_work();
  ASSERT_OK_AND_ASSIGN(const auto waiting, registry_->receipt(local_, {"acme", uuid('q', 1), 0}));
  EXPECT_EQ(waiting.missing, std::vector<std::string>{"s0"});
  const wire::AckRequest ack{"s0", started.generation, started.epoch, {}};
  ASSERT_OK(registry_->ack(local_, ack));
  ASSERT_OK_AND_ASSIGN(const auto done, registry_->receipt(local_, {"acme", uuid('q', 1), 0}));
  EXPECT_TRUE(done.missing.empty());
}

TEST_F(Erasing, TakesThePlaceOfACollectionThatRuns) {
  fill();
  ASSERT_OK(begin_collection(8));
  for (int i = 0; i < 5; ++i) registry_->work();
  ASSERT_OK(erase(1));
  expect_gone(1);
  EXPECT_CODE(receipt_of(8), Code::not_found);
}

TEST_F(Erasing, IsOnceForAnIdem) {
  fill();
  ASSERT_OK_AND_ASSIGN(const auto first, registry_->erase(local_, erasing(1)));
  finish_work();
  ASSERT_OK_AND_ASSIGN(const auto again, registry_->erase(local_, erasing(1)));
  EXPECT_EQ(first.epoch, again.epoch);
  EXPECT_LT(registry_->next_work_us(), 0);
}

TEST_F(Erasing, OthersPublishAndAreCheckedInEverySlice) {
  fill();
  ASSERT_OK(registry_->erase(local_, erasing(1)));
  std::uint32_t n = 30;
  for (int slice = 0; registry_->next_work_us() >= 0; ++slice) {
    if (slice % 3 == 0) {
      ASSERT_OK(publish_other(++n));
    }
    if (slice % 23 == 0) {
      wire::CheckRequest request;
      request.session = uuid('s', static_cast<std::uint32_t>(slice + 1));
      for (bool done = false; !done; ++request.step) {
        ASSERT_OK_AND_ASSIGN(const wire::CheckReply reply, registry_->check(local_, request));
        for (const auto& finding : reply.findings) {
          ADD_FAILURE() << slice << ": " << finding.table << " " << finding.key << ": " << finding.what;
        }
        done = reply.done;
      }
    }
    work();
  }
  EXPECT_GT(n, 40u);
  expect_gone(1);
  expect_other_whole();
  wire::VersionsRequest request;
  request.tenant = "globex";
  request.model = "total";
  ASSERT_OK_AND_ASSIGN(const auto versions, registry_->versions(local_, request));
  EXPECT_EQ(versions.versions.size(), 3 + n - 30);
  expect_sound();
}

TEST_F(Erasing, WhoReadsInASessionIsWaitedFor) {
  fill();
  wire::ArchiveRequest backup;
  backup.session = uuid('s', 1);
  std::vector<std::string_view> blocks;
  ASSERT_OK(registry_->archive(local_, backup, blocks));
  ASSERT_OK(registry_->erase(local_, erasing(1)));
  for (int i = 0; i < 2000; ++i) work();
  ASSERT_OK_AND_ASSIGN(const auto waiting, receipt_of(1));
  // Its artefacts went under the reader: it is told, and ends.
  for (++backup.step; registry_->archive(local_, backup, blocks).ok(); ++backup.step) ASSERT_LT(backup.step, 100u);
  finish_work();
  expect_gone(1);
}

TEST_F(Erasing, AStopBetweenAnyTwoSlicesIsTakenUpByTheNextStart) {
  for (int slices = 0;; slices += std::max(testing::kIsSanitized ? 23 : 7, slices / 3)) {
    SCOPED_TRACE(slices);
    start_anew();
    fill();
    ASSERT_OK(registry_->erase(local_, erasing(1)));
    for (int i = 0; i < slices && registry_->next_work_us() >= 0; ++i) work();
    const bool was_over = registry_->next_work_us() < 0;
    open();
    EXPECT_CODE(registry_->versions(local_, of_total<wire::VersionsRequest>()), Code::not_found);
    finish_work();
    expect_gone(1);
    expect_other_whole();
    ASSERT_OK_AND_ASSIGN(const auto receipt, receipt_of(1));
    EXPECT_EQ(receipt.versions, 8u);
    if (was_over || HasFailure()) break;
  }
}

TEST_F(Erasing, AFailedWriteIsTriedAgain) {
  fill();
  ASSERT_OK(registry_->erase(local_, erasing(1)));
  for (int i = 0; i < 10; ++i) registry_->work();
  env_.tear_next_append();
  for (int i = 0; i < 1000 && registry_->next_work_us() == 0; ++i) registry_->work();
  clock_.advance(Jobs::kRetryUs);
  finish_work();
  expect_gone(1);
  expect_other_whole();
  expect_sound();
}

/// The same on a disk that forgets what was not synced.
class ErasingAndCrashing : public Erasing {
 protected:
  ErasingAndCrashing() {
    store_options_.env = &files_env_;
    start_anew();
  }
  ~ErasingAndCrashing() override { registry_.reset(); }

  /// False: the erasure makes fewer calls than `n`.
  bool crash_at(std::uint64_t n) {
    registry_.reset();
    files_.crash();  // what is to be undone is gone with the folder
    start_anew();
    fill();
    files_.crash_at(n);
    const bool is_acknowledged = registry_->erase(local_, erasing(1)).ok();
    for (int i = 0; i < 20'000 && registry_->next_work_us() >= 0 && !files_.was_reached(); ++i) work();
    const bool was_reached = files_.was_reached();
    registry_.reset();
    files_.crash(static_cast<testing::FaultyFiles::Torn>(n % 3));
    open();
    if (registry_ == nullptr) return false;
    if (is_acknowledged) {
      EXPECT_CODE(registry_->versions(local_, of_total<wire::VersionsRequest>()), Code::not_found);
    }
    expect_other_whole();
    finish_work();
    if (is_acknowledged || receipt_of(1).ok()) {
      EXPECT_EQ(receipt_of(1)->versions, 8u);
      EXPECT_EQ(remains(1), std::vector<std::string>());
      EXPECT_EQ(files_with(kMarker), std::vector<std::string>());
    } else {
      EXPECT_EQ(held(), "2 4 104");
    }
    expect_sound();
    return was_reached;
  }

  FilesEnv files_env_{files_};
};

TEST_F(ErasingAndCrashing, ACrashBetweenAnyTwoCallsIsTakenUpByTheNextStart) {
  std::uint64_t n = 0;
  for (; crash_at(n); n += testing::kIsSanitized ? 29 : 2) {
    SCOPED_TRACE(n);
    if (HasFailure()) break;
  }
  EXPECT_GT(n, 60u);
}

}  // namespace
}  // namespace espalier::registry
