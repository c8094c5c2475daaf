// Collections: what rules keep, what goes, in which order, and what is then refused.
#include <algorithm>
#include <filesystem>
#include <functional>

#include "registry/keys.h"
#include "registry/space/marks.h"
#include "tests/unit/registry/raw_store.h"
#include "tests/unit/registry/space_fixture.h"

namespace espalier::registry {
namespace {

using Collecting = SpaceFixture;
using testing::FaultyFiles;

TEST_F(Collecting, WithoutARuleNothingGoes) {
  for (std::uint32_t n = 1; n <= 3; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
  ASSERT_OK_AND_ASSIGN(const auto receipt, collect(1));
  EXPECT_EQ(receipt.versions, 0u);
  EXPECT_EQ(receipt.artefacts, 0u);
  EXPECT_EQ(held(), "1 2 3");
}

TEST_F(Collecting, TheNewestOfEachNodeAndWhatTagsNameStay) {
  for (std::uint32_t n = 1; n <= 5; ++n) {
    ASSERT_OK(publish(n, {{{}, n, float(n)}, {{"usa"}, 10 + n, float(10 + n)}}));
  }
  ASSERT_OK(move(6, {entry({}, 1)}, "pinned"));
  set_rule(1, [](auto& rule) { rule.keep_last = 2; });
  ASSERT_OK_AND_ASSIGN(const auto receipt, collect(1));
  EXPECT_EQ(held(), "1 4 5 14 15");
  EXPECT_EQ(receipt.versions, 5u);
  EXPECT_EQ(receipt.artefacts, 5u);
  EXPECT_GT(receipt.artefact_bytes, 0u);
  EXPECT_GT(receipt.finished_us, 0);
  EXPECT_EQ(receipt.principal, "local");
}

TEST_F(Collecting, WhatACertainTagHasEverNamedStays) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}, "candidate"));
  ASSERT_OK(move(2, {entry({}, 1)}));
  for (std::uint32_t n = 3; n <= 5; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}, "candidate"));
  ASSERT_OK(move(6, {entry({}, 5)}));
  set_rule(1, [](auto& rule) {
    rule.keep_tagged = true;
    rule.tagged = {"production"};
  });
  ASSERT_OK(collect(1));
  EXPECT_EQ(held(), "1 5");
}

TEST_F(Collecting, WhatWasMadeOrNamedLatelyStays) {
  constexpr std::int64_t kDay = 86'400'000'000;
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  clock_.advance(kDay);
  ASSERT_OK(publish(2, {{{}, 2, 2}}));
  clock_.advance(10 * kDay);
  ASSERT_OK(publish(3, {{{}, 3, 3}}));
  clock_.advance(2 * kDay);
  ASSERT_OK(publish(4, {{{}, 4, 4}}));
  set_rule(1, [](auto& rule) { rule.keep_days = 3; });
  ASSERT_OK(collect(1));
  EXPECT_EQ(held(), "2 3 4") << "2 answered until two days ago";
}

TEST_F(Collecting, VersionsThatShareAnArtefactKeepItUntilTheLastGoes) {
  ASSERT_OK(publish(1, {{{}, 1, 7}, {{"usa"}, 2, 7}}));
  ASSERT_OK(publish(2, {{{}, 3, 8}}));
  ASSERT_OK(move(3, {entry({"usa"}, 2)}, "pinned"));
  set_rule(1, [](auto&) {});
  ASSERT_OK_AND_ASSIGN(const auto first, collect(1));
  EXPECT_EQ(first.versions, 1u);
  EXPECT_EQ(first.artefacts, 0u);
  ASSERT_OK(move(4, {unset({"usa"})}, "pinned"));
  ASSERT_OK_AND_ASSIGN(const auto second, collect(2));
  EXPECT_EQ(second.versions, 1u);
  EXPECT_EQ(second.artefacts, 1u);
  EXPECT_EQ(held(), "3");
}

TEST_F(Collecting, AnotherModelsVersionsKeepWhatTheyShare) {
  ASSERT_OK(publish(1, {{{}, 1, 7}}));
  Proposal other = propose(2, {{{}, 2, 7}});
  other.request.model = "other";
  other.request.spec_json = spec_json("other", {"country", "state"});
  ASSERT_OK(publish(other));
  ASSERT_OK(publish(3, {{{}, 3, 8}}));
  set_rule(1, [](auto&) {});
  ASSERT_OK_AND_ASSIGN(const auto receipt, collect(1, "total"));
  EXPECT_EQ(receipt.versions, 1u);
  EXPECT_EQ(receipt.artefacts, 0u);
}

TEST_F(Collecting, UploadsThatNobodyNamedGoAfterADay) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  upload(small_artefact(20));
  clock_.advance(23 * 3'600'000'000ll);
  ASSERT_OK_AND_ASSIGN(const auto early, collect(1));
  EXPECT_EQ(early.artefacts, 0u);
  upload(small_artefact(21));
  clock_.advance(2 * 3'600'000'000ll);
  ASSERT_OK_AND_ASSIGN(const auto late, collect(2));
  EXPECT_EQ(late.artefacts, 1u);
  EXPECT_FALSE(has_artefact(20));
  EXPECT_TRUE(has_artefact(21));
  EXPECT_TRUE(has_artefact(1));
}

TEST_F(Collecting, ADryRunSaysWhatWouldGoAndChangesNothing) {
  for (std::uint32_t n = 1; n <= 3; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
  set_rule(1, [](auto& rule) { rule.keep_last = 1; });
  const std::uint64_t epoch = registry_->hello(local_, {})->epoch;
  ASSERT_OK_AND_ASSIGN(const auto plan, collect(1, "", true));
  EXPECT_TRUE(plan.dry_run);
  const auto planned = items(1);
  EXPECT_CODE(registry_->receipt_items(local_, {"globex", plan.receipt, ""}), Code::not_found) << "another tenant";
  EXPECT_EQ(held(), "1 2 3");
  EXPECT_EQ(registry_->hello(local_, {})->epoch, epoch);
  ASSERT_OK_AND_ASSIGN(const auto receipt, collect(2));
  EXPECT_EQ(plan.versions, receipt.versions);
  EXPECT_EQ(plan.artefacts, receipt.artefacts);
  EXPECT_EQ(plan.artefact_bytes, receipt.artefact_bytes);
  EXPECT_EQ(planned, items(2));
  EXPECT_EQ(planned.size(), 4u);
}

TEST_F(Collecting, HistoryStaysAndGoingBackIsRefused) {
  for (std::uint32_t n = 1; n <= 3; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}, {{"usa"}, 9, 9}}));
  const auto as_of = [&](std::uint32_t release) {
    auto one = of_total<wire::ReleasesRequest>();
    one.release = uuid('r', release);
    return state(registry_->releases(local_, one)->releases[0].epoch);
  };
  set_rule(1, [](auto&) {});
  ASSERT_OK(collect(1));
  EXPECT_EQ(as_of(1), "/=1 usa=9");
  auto one = of_total<wire::VersionsRequest>();
  one.version = uuid('v', 1);
  ASSERT_OK_AND_ASSIGN(const auto found, registry_->versions(local_, one));
  EXPECT_EQ(found.versions[0].metrics_json, R"({"rmse": 1.5})");
  EXPECT_GT(found.versions[0].collected_us, 0);
  one.version = uuid('v', 3);
  EXPECT_EQ(registry_->versions(local_, one)->versions[0].collected_us, 0);

  const std::string before = state();
  const auto back = roll_back(10, 1);
  EXPECT_CODE(back, Code::failed_precondition);
  EXPECT_NE(back.status().message().find("acme/total"), std::string::npos) << back.status().text();
  EXPECT_NE(back.status().message().find("was collected"), std::string::npos) << back.status().text();
  EXPECT_CODE(move(11, {entry({}, 2)}), Code::failed_precondition);
  EXPECT_CODE(move(12, {entry({}, 2)}, "fresh"), Code::failed_precondition);
  EXPECT_EQ(state(), before);
  // The same version, its artefact uploaded again: a collected version doesn't come back.
  EXPECT_CODE(publish(13, {{{}, 2, 2}}), Code::failed_precondition);
  // The same bytes under a new version do.
  EXPECT_OK(publish(14, {{{}, 14, 2}}));
}

TEST_F(Collecting, APublishOfACollectedArtefactIsRefused) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  ASSERT_OK(publish(2, {{{}, 2, 2}}));
  Proposal late = propose(3, {{{}, 3, 2}});
  late.versions[0].artefact = blake2b_256(small_artefact(1));
  set_rule(1, [](auto&) {});
  ASSERT_OK(collect(1));
  EXPECT_CODE(publish(late), Code::not_found);
}

TEST_F(Collecting, IsOnceForAnIdemAndHasItsReceiptForGood) {
  for (std::uint32_t n = 1; n <= 3; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
  set_rule(1, [](auto&) {});
  ASSERT_OK_AND_ASSIGN(const auto first, collect(1));
  ASSERT_OK_AND_ASSIGN(const auto again, collect(1));
  EXPECT_EQ(first.finished_us, again.finished_us);
  open();
  ASSERT_OK_AND_ASSIGN(const auto later, receipt_of(1));
  EXPECT_EQ(wire::encode(later), wire::encode(first));
  EXPECT_EQ(items(1).size(), 4u);
  wire::CollectRequest other{uuid('k', 9), "acme", "", uuid('q', 1), false};
  EXPECT_CODE(registry_->collect(local_, other), Code::already_exists);
}

TEST_F(Collecting, RefusesWhatIsNotThereAndWhoMayNot) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  const auto code = [&](const std::string& tenant, const std::string& model) {
    return registry_->collect(local_, {uuid('k', 50), tenant, model, uuid('q', 50), false}).status().code();
  };
  EXPECT_EQ(code("acme", "other"), Code::not_found);
  EXPECT_EQ(code("nobody", ""), Code::not_found);
  EXPECT_EQ(code("No Name", ""), Code::invalid_argument);
  const Principal reader = Principal("reader").grant("acme", {.read = true});
  EXPECT_CODE(registry_->collect(reader, {uuid('k', 50), "acme", "", uuid('q', 50), false}), Code::permission_denied);
  EXPECT_CODE(registry_->set_retention(reader, {uuid('k', 51), "acme", "total", {}}), Code::permission_denied);
  const Principal other = Principal("other").grant("globex", {.read = true, .publish = true});
  EXPECT_CODE(registry_->receipt(other, {"acme", uuid('q', 50), 0}), Code::permission_denied);
  EXPECT_CODE(registry_->receipt(local_, {"acme", uuid('q', 50), 0}), Code::not_found);
  EXPECT_CODE(registry_->retention(local_, {"acme", "other"}), Code::not_found);
}

TEST_F(Collecting, RulesHaveAHistory) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  ASSERT_OK_AND_ASSIGN(const auto none, registry_->retention(local_, {"acme", "total"}));
  ASSERT_EQ(none.rules.size(), 1u);
  EXPECT_TRUE(none.rules[0].keep_all);
  set_rule(1, [](auto& rule) { rule.keep_last = 3; });
  set_rule(2, [](auto& rule) { rule.keep_days = 4; });
  ASSERT_OK_AND_ASSIGN(const auto two, registry_->retention(local_, {"acme", "total"}));
  ASSERT_EQ(two.rules.size(), 2u);
  EXPECT_EQ(two.rules[0].keep_days, 4u);
  EXPECT_EQ(two.rules[1].keep_last, 3u);
  EXPECT_GT(two.rules[0].time_us, two.rules[1].time_us);
  EXPECT_EQ(two.rules[0].principal, "local");
}

TEST_F(Collecting, WhatIsPublishedOrMovedBetweenTwoSlicesWinsOrIsRefused) {
  // At every place in the collection: the version is kept with its artefact, or refused and gone.
  for (int slices = 0;; ++slices) {
    SCOPED_TRACE(slices);
    start_anew();
    for (std::uint32_t n = 1; n <= 6; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
    set_rule(1, [](auto&) {});
    Proposal reuse = propose(20, {{{"usa"}, 20, 2}});
    reuse.request.replace = false;
    ASSERT_OK(begin_collection(1));
    int done = 0;
    for (; done < slices && registry_->next_work_us() == 0; ++done) registry_->work();
    const bool was_over = done < slices;
    const auto moved = move(21, {entry({}, 3)}, "pinned");
    const auto published = publish(reuse);
    finish_work();
    const std::string now = held();
    EXPECT_EQ(now.find('3') != std::string::npos, moved.ok()) << now << " " << moved.status().text();
    EXPECT_TRUE(moved.ok() || moved.status().code() == Code::failed_precondition) << moved.status().text();
    EXPECT_TRUE(published.ok() || published.status().code() == Code::not_found) << published.status().text();
    EXPECT_TRUE(!published.ok() || has_artefact(2));
    EXPECT_TRUE(has_artefact(6));
    if (was_over) break;
    ASSERT_LT(slices, 1000);
  }
}

TEST_F(Collecting, TheBaseOfAnUploadBetweenTwoSlicesStays) {
  const std::string base = small_artefact(1);
  const std::string child = artefact_on(blake2b_256(base), 50);
  int kept = 0;
  for (int slices = 0;; ++slices) {
    SCOPED_TRACE(slices);
    start_anew();
    for (std::uint32_t n = 1; n <= 8; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
    set_rule(1, [](auto&) {});
    ASSERT_OK(begin_collection(1));
    int done = 0;
    for (; done < slices && registry_->next_work_us() == 0; ++done) registry_->work();
    const bool was_over = done < slices;
    const bool was_there = has_artefact(1);
    if (was_there) {
      upload(child);
      ++kept;
    }
    finish_work();
    EXPECT_EQ(has_artefact(1), was_there);
    EXPECT_TRUE(has_artefact(8));
    if (was_over) break;
    ASSERT_LT(slices, 1000);
  }
  EXPECT_GT(kept, 5);
}

TEST_F(Collecting, MarksAnewWhenTheHorizonPassesChangesItHasNotRead) {
  kept_epochs_ = 6;
  for (int slices = 0;; ++slices) {
    SCOPED_TRACE(slices);
    start_anew();
    for (std::uint32_t n = 1; n <= 4; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
    set_rule(1, [](auto&) {});
    ASSERT_OK(begin_collection(1));
    int done = 0;
    for (; done < slices && registry_->next_work_us() == 0; ++done) registry_->work();
    const bool was_over = done < slices;
    const auto moved = move(21, {entry({}, 3)}, "pinned");
    for (std::uint32_t n = 30; n < 45; ++n) ASSERT_OK(move(n, {entry({}, 4)}, "tag" + std::to_string(n)));
    for (int i = 0; i < 1000 && registry_->next_work_us() == 0; ++i) registry_->work();
    EXPECT_EQ(registry_->next_work_us(), -1) << receipt_of(1)->waits_for;
    EXPECT_EQ(held(), moved.ok() ? "3 4" : "4") << moved.status().text();
    if (was_over) break;
    ASSERT_LT(slices, 1000);
  }
}

TEST_F(Collecting, KeepsAllThatAChangeNamesWhenTheHorizonPassesItBetweenTwoPages) {
  constexpr std::uint32_t kNodes = 1030;  // a page has 1,024
  kept_epochs_ = 6;
  open();
  std::vector<Node> first, second;
  std::vector<wire::TagEntry> all;
  for (std::uint32_t n = 0; n < kNodes; ++n) {
    const Path partition{"s" + std::to_string(n)};
    first.push_back({partition, 10'000 + n, 7});
    second.push_back({partition, 20'000 + n, 8});
    all.push_back(entry(partition, 10'000 + n));
  }
  ASSERT_OK(publish(1, first));
  ASSERT_OK(publish(2, second));
  set_rule(1, [](auto&) {});
  ASSERT_OK(begin_collection(1));
  while (receipt_of(1)->disk_before == 0) registry_->work();
  ASSERT_OK(move(3, all, "pinned"));
  registry_->work();
  for (std::uint32_t n = 30; n < 45; ++n) {
    ASSERT_OK(move(n, {entry({"s0"}, 20'000)}, "tag" + std::to_string(n)));
  }
  finish_work();
  EXPECT_EQ(receipt_of(1)->versions, 0u);
}

TEST_F(Collecting, TakesFewRecordsASlice) {
  for (std::uint32_t n = 1; n <= 30; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}, {{"usa"}, 100 + n, float(n)}}));
  set_rule(1, [](auto&) {});
  ASSERT_OK(begin_collection(1));
  int slices = 0;
  for (; registry_->next_work_us() == 0; ++slices) {
    registry_->work();
    EXPECT_EQ(state(), "/=30 usa=130");
  }
  EXPECT_GT(slices, 20);
  EXPECT_EQ(held(), "30 130");
}

TEST_F(Collecting, TheFilesOnDiskShrink) {
  for (std::uint32_t n = 1; n <= 40; ++n)
    ASSERT_OK(publish(n, {{{}, n, float(n)}, {{"usa"}, 100 + n, 1000 + float(n)}}));
  upload_unnamed(80);
  const std::uint64_t before = disk_bytes();
  set_rule(1, [](auto& rule) { rule.keep_last = 1; });
  clock_.advance(25 * 3'600'000'000ll);
  ASSERT_OK_AND_ASSIGN(const auto receipt, collect(1));
  EXPECT_LT(disk_bytes(), before / 2);
  EXPECT_EQ(receipt.disk_before, before);
  EXPECT_EQ(receipt.disk_after, disk_bytes());
  EXPECT_TRUE(has_artefact(40));
  open();
  EXPECT_TRUE(has_artefact(40));
  EXPECT_FALSE(has_artefact(39));
}

TEST_F(Collecting, AStopBetweenAnyTwoSlicesIsTakenUpByTheNextStart) {
  for (int slices = 0;; ++slices) {
    SCOPED_TRACE(slices);
    start_anew();
    for (std::uint32_t n = 1; n <= 6; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
    set_rule(1, [](auto& rule) { rule.keep_last = 2; });
    ASSERT_OK(begin_collection(1));
    for (int i = 0; i < slices && registry_->next_work_us() == 0; ++i) registry_->work();
    const bool was_over = registry_->next_work_us() < 0;
    open();
    expect_whole();
    finish_work();
    expect_whole();
    EXPECT_EQ(held(), "5 6");
    ASSERT_OK_AND_ASSIGN(const auto receipt, receipt_of(1));
    EXPECT_EQ(receipt.versions, 4u);
    EXPECT_EQ(receipt.artefacts, 4u);
    EXPECT_EQ(items(1).size(), 8u);
    if (was_over) break;
    ASSERT_LT(slices, 1000);
  }
}

TEST_F(Collecting, ACrashAtAnyCallOfTheFilesLosesNothing) {
  for (std::uint64_t n = 0;; ++n) {
    SCOPED_TRACE(n);
    start_anew();
    upload_unnamed(12);
    for (std::uint32_t i = 1; i <= 4; ++i) ASSERT_OK(publish(i, {{{}, i, float(i)}}));
    set_rule(1, [](auto& rule) { rule.keep_last = 1; });
    clock_.advance(25 * 3'600'000'000ll);
    ASSERT_OK(begin_collection(1));
    files_.crash_at(n);
    for (int i = 0; i < 200 && registry_->next_work_us() == 0; ++i) registry_->work();
    registry_.reset();
    files_.crash();
    const bool was_reached = files_.was_reached();
    open();
    expect_whole();
    finish_work();
    EXPECT_EQ(held(), "4");
    ASSERT_OK_AND_ASSIGN(const auto receipt, receipt_of(1));
    EXPECT_GT(receipt.finished_us, 0);
    if (!was_reached) break;
    ASSERT_LT(n, 500u);
  }
}

TEST_F(Collecting, AFailedCommitIsTriedAgainAndSaysWhy) {
  for (std::uint32_t n = 1; n <= 4; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
  set_rule(1, [](auto&) {});
  ASSERT_OK(begin_collection(1));
  env_.tear_next_append();
  while (registry_->next_work_us() == 0) registry_->work();
  EXPECT_GT(registry_->next_work_us(), 0);
  ASSERT_OK_AND_ASSIGN(const auto waiting, receipt_of(1));
  EXPECT_NE(waiting.waits_for.find("No space left"), std::string::npos) << waiting.waits_for;
  clock_.advance(Jobs::kRetryUs);
  finish_work();
  EXPECT_EQ(held(), "4");
  ASSERT_OK_AND_ASSIGN(const auto receipt, receipt_of(1));
  EXPECT_EQ(receipt.versions, 3u);
  EXPECT_EQ(receipt.waits_for, "");
}

TEST_F(Collecting, OneThatCantGoOnLetsThoseOfOtherTenantsPass) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  Proposal other = propose(2, {{{}, 2, 2}});
  upload(small_artefact(2), "zeta");
  upload(small_artefact(3), "zeta");
  other.request.tenant = "zeta";
  ASSERT_OK(publish(other));
  registry_.reset();
  std::string key, value;
  {
    RawStore store(folder_ / "registry");
    for (const auto& [candidate, bytes] : store.all()) {
      if (candidate.starts_with(keys::of_model(keys::Table::version, "acme", "total"))) key = candidate, value = bytes;
    }
    store.put(key, "nonsense");
  }
  open();
  clock_.advance(25 * 3'600'000'000ll);
  ASSERT_OK(begin_collection(1));
  ASSERT_OK(begin_collection(2));
  ASSERT_OK(registry_->collect(local_, {uuid('k', 3), "zeta", "", uuid('q', 3), false}));
  while (registry_->next_work_us() == 0) registry_->work();
  ASSERT_OK_AND_ASSIGN(const auto passed, registry_->receipt(local_, {"zeta", uuid('q', 3), 0}));
  EXPECT_GT(passed.receipt.finished_us, 0);
  EXPECT_EQ(passed.receipt.artefacts, 1u);
  EXPECT_NE(receipt_of(1)->waits_for, "");
  EXPECT_EQ(receipt_of(2)->waits_for, "");
  registry_.reset();
  RawStore(folder_ / "registry").put(key, value);
  open();
  finish_work();
  EXPECT_GT(receipt_of(1)->finished_us, 0);
  EXPECT_GT(receipt_of(2)->finished_us, 0);
}

TEST_F(Collecting, OnAFullDiskItWaitsAndGoesOnOnceThereIsSpace) {
  upload_unnamed(30);
  for (std::uint32_t n = 1; n <= 4; ++n) ASSERT_OK(publish(n, {{{}, n, float(n)}}));
  upload_unnamed(8);
  set_rule(1, [](auto& rule) { rule.keep_last = 1; });
  clock_.advance(25 * 3'600'000'000ll);
  ASSERT_OK(begin_collection(1));
  files_.fail_all(Status(Code::resource_exhausted, "no space"), FaultyFiles::kPreallocate | FaultyFiles::kWrite);
  const std::uint64_t before = disk_bytes();
  for (int i = 0; i < 500 && registry_->next_work_us() == 0; ++i) registry_->work();
  EXPECT_LT(disk_bytes(), before) << "segments without anything alive need no space to go";
  expect_whole();
  files_.heal();
  clock_.advance(Jobs::kRetryUs);
  finish_work();
  EXPECT_EQ(held(), "4");
  EXPECT_TRUE(has_artefact(4));
}

}  // namespace
}  // namespace espalier::registry
