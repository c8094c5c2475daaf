// Versions that are taken out of service (docs/quarantine.md).
#include "tests/unit/shard/feed_fixture.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

class Quarantine : public FeedFixture {
 protected:
  void SetUp() override {
    registry_.release({{"", EntryKind::version, 1, 1},
                       {"usa", EntryKind::version, 2, 2},
                       {"usa/ca/fresno", EntryKind::version, 3, 3}});
    begin();
  }
};

TEST_F(Quarantine, TheNextNodeUpAnswersAndTheVersionAgainOnceItIsLifted) {
  ASSERT_OK(feed_->sync());
  const std::uint64_t epoch = registry_.quarantine(3);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa/ca/fresno"), "2 quarantined");
  EXPECT_EQ(answer("usa"), "2 exact");
  EXPECT_EQ(registry_.acks.back().epoch, epoch);
  const int fetches = registry_.fetches;
  registry_.quarantine(3, true);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa/ca/fresno"), "3 exact");
  EXPECT_EQ(registry_.fetches, fetches) << "it was here all the time";
}

TEST_F(Quarantine, NothingAnswersWhereTheRootIsIn) {
  ASSERT_OK(feed_->sync());
  registry_.quarantine(1);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("peru"), "no_model");
  EXPECT_EQ(answer("usa/ca/fresno"), "3 exact");
}

TEST_F(Quarantine, ItDoesNotAnswerInAnothersPlaceEither) {
  ASSERT_OK(feed_->sync());
  registry_.release({{"usa/ca/fresno", EntryKind::version, 13, 13}});
  registry_.damage(13);
  ASSERT_OK(feed_->step());
  ASSERT_EQ(answer("usa/ca/fresno"), "3 previous");
  registry_.quarantine(3);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa/ca/fresno"), "2 corrupt");
}

TEST_F(Quarantine, TheTagBelowAnswersForAnOverlay) {
  registry_.overlay("canary", "production");
  registry_.release({{"usa/ca/fresno", EntryKind::version, 23, 23}}, "canary");
  registry_.quarantine(23);
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(answer("usa/ca/fresno", "canary"), "3 overlay_not_ready");
}

TEST_F(Quarantine, ItNeverWaitsForAFetch) {
  ASSERT_OK(feed_->sync());
  registry_.artefacts_per_fetch = 1;
  // The release reads the model before the version goes into quarantine: what it read must not bring it back.
  registry_.release(
      {{"peru", EntryKind::version, 4, 4}, {"chad", EntryKind::version, 5, 5}, {"fiji", EntryKind::version, 6, 6}});
  int seen = 0;
  registry_.before_fetch = [&] {
    if (++seen == 1) registry_.quarantine(3);
    if (seen == 2) {
      EXPECT_EQ(answer("usa/ca/fresno"), "2 quarantined");
    }
  };
  ASSERT_OK(feed_->step());
  ASSERT_EQ(seen, 3);
  EXPECT_EQ(answer("peru"), "4 exact");
  EXPECT_EQ(answer("usa/ca/fresno"), "2 quarantined");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa/ca/fresno"), "2 quarantined");
}

TEST_F(Quarantine, SurvivesARestartWithoutTheRegistry) {
  ASSERT_OK(feed_->sync());
  registry_.quarantine(3);
  ASSERT_OK(feed_->step());
  ASSERT_OK(feed_->save());
  begin();
  registry_.is_away = true;
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answer("usa/ca/fresno"), "2 quarantined");
}

TEST_F(Quarantine, WhatIsOutOfServiceIsOnTheDiskBeforeItIsAcknowledged) {
  registry_.release({{"peru", EntryKind::version, 4, 4}});
  ASSERT_OK(feed_->sync());
  std::uint64_t epoch = registry_.quarantine(3);
  ASSERT_OK(feed_->step());
  ASSERT_EQ(registry_.acks.back().epoch, epoch);
  begin();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answer("usa/ca/fresno"), "2 quarantined");
  ASSERT_OK(feed_->sync());
  epoch = registry_.release({{"peru", EntryKind::removed}});
  ASSERT_OK(feed_->step());
  ASSERT_EQ(registry_.acks.back().epoch, epoch);
  begin();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answer("peru"), "1 removed");
}

TEST_F(Quarantine, AVersionAskedForByItsNameIsRefused) {
  ASSERT_OK(feed_->sync());
  registry_.quarantine(3);
  ASSERT_OK(feed_->step());
  const Model* model = live_->current().models.find(model::model_key("acme", "total"));
  const auto refused = choose_version(*model, uuid_of(3), path_of("usa/ca/fresno"));
  EXPECT_EQ(refused.status().code(), Code::failed_precondition);
  ASSERT_OK(choose_version(*model, uuid_of(2), path_of("usa/ca/fresno")));
}

}  // namespace
}  // namespace espalier::shard
