#include "tests/unit/shard/feed_fixture.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

class FeedTest : public FeedFixture {
 protected:
  void SetUp() override { begin(); }
};

TEST_F(FeedTest, ASnapshotBringsEverythingAsOfOneEpoch) {
  registry_.release(
      {{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}, {"usa/ca", EntryKind::version, 3, 3}});
  registry_.release({{"usa", EntryKind::version, 12, 12}, {"usa/ca", EntryKind::unset}});
  registry_.release({{"peru", EntryKind::removed}}, "canary");
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(answer(""), "1 exact");
  EXPECT_EQ(answer("usa"), "12 exact");
  EXPECT_EQ(answer("usa/ca"), "12 no_version");
  EXPECT_EQ(answer("peru", "canary"), "no_model");
  EXPECT_EQ(answer("", "staging"), "no such tag");
  EXPECT_EQ(registry_.joins, 1);
  ASSERT_FALSE(registry_.acks.empty());
  EXPECT_EQ(registry_.acks.back().epoch, 4u) << "three releases and its own joining";
  EXPECT_TRUE(registry_.acks.back().failed.empty());
}

TEST_F(FeedTest, ReleasesThatPiledUpAreTakenInByOneSwap) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  ASSERT_OK(feed_->sync());
  const std::uint64_t swaps = feed_->swaps();
  registry_.release({{"", EntryKind::version, 2, 2}, {"usa", EntryKind::version, 3, 3}});
  registry_.release({{"usa", EntryKind::version, 4, 4}, {"peru", EntryKind::version, 5, 5}});
  const std::uint64_t newest = registry_.release({{"peru", EntryKind::unset}});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(feed_->swaps(), swaps + 1);
  EXPECT_EQ(feed_->epoch(), newest);
  EXPECT_EQ(answer("usa"), "4 exact");
  EXPECT_EQ(answer("peru"), "2 no_version");
  EXPECT_EQ(registry_.acks.back().epoch, newest);
  const Model* model = live_->current().models.find(model::model_key("acme", "total"));
  EXPECT_EQ(model->epoch, newest);
  EXPECT_EQ(model->find_tag("production")->release_epoch, newest);
}

TEST_F(FeedTest, AChangeOfSeveralTagsIsTakenInByOneSwap) {
  registry_.release({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}});
  ASSERT_OK(feed_->sync());
  const std::uint64_t swaps = feed_->swaps();
  registry_.release({{"", EntryKind::version, 3, 3}});
  registry_.also({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::removed}}, "archived");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(feed_->swaps(), swaps + 1);
  EXPECT_EQ(answer("usa"), "2 exact");
  EXPECT_EQ(answer(""), "3 exact");
  EXPECT_EQ(answer("", "archived"), "1 exact");
  EXPECT_EQ(answer("usa", "archived"), "1 removed");
  const Model* model = live_->current().models.find(model::model_key("acme", "total"));
  EXPECT_NE(model->find_tag("archived")->release, model->find_tag("production")->release);
  EXPECT_EQ(model->find_tag("archived")->release_epoch, feed_->epoch());
}

TEST_F(FeedTest, AnOverlayIsTakenInWithItsModelAndSurvivesARestart) {
  registry_.release({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}});
  ASSERT_OK(feed_->sync());
  const std::uint64_t epoch = registry_.overlay("canary", "production");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.acks.back().epoch, epoch);
  EXPECT_EQ(answer("usa", "canary"), "2 exact") << "it says nothing: the tag below decides";
  registry_.release({{"usa", EntryKind::version, 12, 12}, {"peru", EntryKind::version, 13, 13}}, "canary");
  registry_.damage(13);
  ASSERT_OK(feed_->step());
  const auto check = [&] {
    EXPECT_EQ(answer("usa", "canary"), "12 exact");
    EXPECT_EQ(answer("usa"), "2 exact");
    EXPECT_EQ(answer("", "canary"), "1 exact");
    EXPECT_EQ(answer("peru", "canary"), "1 corrupt");
  };
  check();
  // A change of the model that has nothing to do with it, and one that is tried again, leave it where it is.
  registry_.release({{"fiji", EntryKind::version, 4, 4}});
  ASSERT_OK(feed_->step());
  check();
  registry_.release({{"peru", EntryKind::version, 3, 3}});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("peru", "canary"), "3 overlay_not_ready");
  registry_.release({{"usa", EntryKind::removed}}, "canary");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa", "canary"), "1 removed");
  ASSERT_OK(feed_->save());
  registry_.is_away = true;
  begin();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answer("usa", "canary"), "1 removed");
  EXPECT_EQ(answer("fiji", "canary"), "4 exact");
  EXPECT_EQ(answer("peru", "canary"), "3 overlay_not_ready");
  registry_.is_away = false;
  registry_.release({{"usa", EntryKind::unset}}, "canary");
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(answer("usa", "canary"), "2 exact");
  registry_.overlay("canary", "");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("fiji", "canary"), "no_model");
}

TEST_F(FeedTest, ADamagedArtefactHoldsNobodyUpAndIsFetchedAnew) {
  registry_.release({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}});
  ASSERT_OK(feed_->sync());
  registry_.release(
      {{"", EntryKind::version, 11, 11}, {"usa", EntryKind::version, 12, 12}, {"peru", EntryKind::version, 13, 13}});
  registry_.damage(12);
  registry_.lose(13);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer(""), "11 exact");
  EXPECT_EQ(answer("usa"), "2 previous") << "a bad artefact never replaces a good one";
  EXPECT_EQ(answer("peru"), "11 cold");
  ASSERT_EQ(registry_.acks.back().failed.size(), 2u);
  EXPECT_EQ(registry_.acks.back().failed[0].partition, values_of("peru"));
  EXPECT_EQ(registry_.acks.back().failed[1].version, uuid_of(12));
  EXPECT_NE(registry_.acks.back().failed[1].why.find("corrupt"), std::string::npos);

  registry_.mend(12);
  const int fetches = registry_.fetches;
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.fetches, fetches) << "not before its time";
  clock_.advance(1'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa"), "12 exact");
  EXPECT_EQ(answer("peru"), "11 cold");
  ASSERT_EQ(registry_.acks.back().failed.size(), 1u);
  EXPECT_EQ(registry_.acks.back().failed[0].partition, values_of("peru"));
}

TEST_F(FeedTest, WhatFailedIsForgottenOnceSomethingElseIsWanted) {
  registry_.release({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}});
  registry_.lose(2);
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(answer("usa"), "1 cold");
  registry_.release({{"usa", EntryKind::unset}});
  ASSERT_OK(feed_->step());
  registry_.mend(2);
  clock_.advance(100'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa"), "1 no_version");
}

TEST_F(FeedTest, RemovalsDoNotWaitForAFetch) {
  registry_.release(
      {{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}, {"peru", EntryKind::version, 3, 3}});
  ASSERT_OK(feed_->sync());
  registry_.artefacts_per_fetch = 1;
  registry_.release(
      {{"", EntryKind::version, 11, 11}, {"usa", EntryKind::version, 12, 12}, {"peru", EntryKind::version, 13, 13}});
  std::vector<std::string> seen;
  registry_.before_fetch = [&] {
    seen.push_back(answer("usa") + ", " + answer(""));
    if (seen.size() == 1) registry_.release({{"usa", EntryKind::removed}});
  };
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen, (std::vector<std::string>{"2 exact, 1 exact", "1 removed, 1 exact", "1 removed, 1 exact"}));
  EXPECT_EQ(answer(""), "11 exact");
  EXPECT_EQ(answer("peru"), "13 exact");
  EXPECT_EQ(answer("usa"), "11 removed") << "the earlier release must not bring it back";
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa"), "11 removed");
  EXPECT_EQ(registry_.acks.back().epoch, feed_->epoch());
}

TEST_F(FeedTest, AGapLeadsToASnapshot) {
  registry_.release({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}});
  ASSERT_OK(feed_->sync());
  const int snapshots = registry_.snapshots;
  registry_.skip_change(registry_.release({{"usa", EntryKind::unset}, {"peru", EntryKind::version, 3, 3}}));
  registry_.release({{"", EntryKind::version, 11, 11}});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.snapshots, snapshots + 1);
  EXPECT_EQ(answer("usa"), "11 no_version");
  EXPECT_EQ(answer("peru"), "3 exact");
  EXPECT_EQ(feed_->epoch(), 4u);
}

TEST_F(FeedTest, AnotherGenerationForgetsWhatItDoesNotName) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  registry_.release({{"usa", EntryKind::version, 2, 2}});
  registry_.release({{"peru", EntryKind::version, 3, 3}});
  ASSERT_OK(feed_->sync());
  registry_.begin_generation(7);
  registry_.release({{"", EntryKind::version, 21, 21}, {"usa", EntryKind::version, 2, 2}});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer(""), "21 exact");
  EXPECT_EQ(answer("usa"), "2 exact");
  EXPECT_EQ(answer("peru"), "21 no_version");
  // Once what it forgot is gone from the pack too.
  for (int i = 0; i < 10; ++i) ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.acks.back().generation, 7u);
  EXPECT_EQ(live_->current().generation, 7u);
}

TEST_F(FeedTest, AFetchThatBreaksOffGoesOnLater) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  ASSERT_OK(feed_->sync());
  registry_.artefacts_per_fetch = 1;
  registry_.release({{"", EntryKind::version, 11, 11}, {"usa", EntryKind::version, 12, 12}});
  int fetch = 0;
  registry_.before_fetch = [&] { registry_.is_away = ++fetch == 2; };
  EXPECT_EQ(feed_->step().code(), Code::unavailable);
  EXPECT_EQ(answer(""), "1 exact") << "nothing of a release is seen before all of it is";
  EXPECT_EQ(answer("usa"), "1 no_version");
  registry_.is_away = false;
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer(""), "11 exact");
  EXPECT_EQ(answer("usa"), "12 exact");
  EXPECT_EQ(registry_.fetches, 3) << "one at the start, and none of these twice";
}

TEST_F(FeedTest, EveryCallMayFailOnceWithoutHarm) {
  for (int failing = 0; failing < 12; ++failing) {
    SCOPED_TRACE(failing);
    const unsigned n = 100 + 10 * static_cast<unsigned>(failing);
    registry_.release({{"", EntryKind::version, n, 1.0 * n}, {"usa", EntryKind::version, n + 1, n + 1.0}});
    registry_.set_shards(failing % 2 == 0 ? std::vector<std::string>{"s0", "s1"} : std::vector<std::string>{"s0"});
    registry_.fail_call(failing);
    for (int i = 0; i < 4; ++i) {
      const Status status = failing == 0 && i == 0 ? feed_->sync() : feed_->step();
      EXPECT_TRUE(status.ok() || status.code() == Code::unavailable) << status.text();
    }
    EXPECT_EQ(answer(""), std::to_string(n) + " exact");
    EXPECT_EQ(answer("usa"), std::to_string(n + 1) + " exact");
    EXPECT_EQ(registry_.acks.back().epoch, feed_->epoch());
  }
}

TEST_F(FeedTest, ARestartAnswersFromDiskWhileTheRegistryIsAway) {
  registry_.release({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}, {"peru", EntryKind::removed}});
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  registry_.is_away = true;
  begin();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(feed_->sync().code(), Code::unavailable);
  EXPECT_EQ(answer(""), "1 exact");
  EXPECT_EQ(answer("usa"), "2 exact");
  EXPECT_EQ(answer("peru"), "1 removed");
  EXPECT_EQ(feed_->step().code(), Code::unavailable);
  EXPECT_EQ(answer("usa"), "2 exact");

  registry_.is_away = false;
  registry_.release({{"usa", EntryKind::version, 12, 12}});
  const int fetches = registry_.fetches;
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(answer("usa"), "12 exact");
  EXPECT_EQ(registry_.fetches, fetches + 1) << "only what is new";
  EXPECT_EQ(registry_.snapshots, 1) << "the feed was followed from where it stood";
}

TEST_F(FeedTest, WhatAnswersInsteadOfABadReleaseStillDoesAfterARestart) {
  registry_.release({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}});
  ASSERT_OK(feed_->sync());
  registry_.release({{"", EntryKind::version, 11, 11}, {"usa", EntryKind::version, 12, 12}});
  registry_.damage(11);
  registry_.damage(12);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa"), "2 previous");
  ASSERT_OK(feed_->save());
  registry_.is_away = true;
  begin();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answer(""), "1 previous");
  EXPECT_EQ(answer("usa"), "2 previous");
  EXPECT_EQ(feed_->epoch(), 3u);

  registry_.is_away = false;
  ASSERT_OK(feed_->sync());
  registry_.acks.clear();
  ASSERT_OK(feed_->step());
  ASSERT_FALSE(registry_.acks.empty());
  EXPECT_EQ(registry_.acks.back().failed.size(), 2u) << "it says so after a restart too";
  registry_.mend(12);
  clock_.advance(100'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa"), "12 exact");
}

TEST_F(FeedTest, AnotherReleaseDoesNotHideWhatFailsStill) {
  registry_.release({{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}});
  registry_.lose(2);
  ASSERT_OK(feed_->sync());
  registry_.release({{"", EntryKind::version, 3, 3}}, "production", "zenith");
  ASSERT_OK(feed_->step());
  ASSERT_EQ(registry_.acks.back().failed.size(), 1u);
  EXPECT_EQ(registry_.acks.back().failed[0].version, uuid_of(2));
}

TEST_F(FeedTest, AnotherLevelMovesWhatHangsOnIt) {
  std::vector<FakeRegistry::Entry> entries = {{"", EntryKind::version, 1, 1}};
  for (unsigned i = 0; i < 40; ++i) {
    entries.push_back({"usa/s" + std::to_string(i), EntryKind::version, 100 + i, 100.0 + i});
  }
  registry_.levels = {"country", "state"};
  registry_.set_shards({"s0", "s1", "s2", "s3"});
  registry_.release(entries);
  ASSERT_OK(feed_->sync());
  const auto held = [&] {
    int count = 0;
    for (unsigned i = 0; i < 40; ++i) count += answer("usa/s" + std::to_string(i)).ends_with("exact") ? 1 : 0;
    return count;
  };
  EXPECT_LT(held(), 35) << "two of four shards hold a leaf";
  registry_.levels = {"country", "state", "town"};
  registry_.release({{"usa", EntryKind::version, 2, 2}}, "other");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(held(), 40) << "above the last level all of the tenant's shards hold a node, under every tag";
}

TEST_F(FeedTest, WhatCameJustBeforeTheRegistryWentIsThereAfterARestart) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->step());
  ASSERT_OK(feed_->step());
  EXPECT_OK(state_.load()) << "the first state isn't left waiting for more";
  registry_.release({{"", EntryKind::version, 2, 2}});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer(""), "2 exact");
  registry_.is_away = true;
  EXPECT_EQ(feed_->step().code(), Code::unavailable);
  begin();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answer(""), "2 exact");
}

TEST_F(FeedTest, WithoutStateThereIsNoRestart) {
  EXPECT_EQ(feed_->restore().code(), Code::not_found);
  ASSERT_OK(Files::system().replace(dir_.path() + "/state", "ESPSHRD2 and then something else"));
  EXPECT_EQ(feed_->restore().code(), Code::corrupt);
  EXPECT_EQ(feed_->restore().code(), Code::not_found) << "it was set aside";
}

}  // namespace
}  // namespace espalier::shard
