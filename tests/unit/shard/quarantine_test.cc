// Versions that are taken out of service (docs/quarantine.md).
#include <gtest/gtest.h>

#include <optional>

#include "shard/fallback.h"
#include "shard/feed.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/shard/fake_registry.h"
#include "tests/unit/shard/table_builder.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

class Quarantine : public ::testing::Test {
 protected:
  void SetUp() override {
    registry_.release({{"", EntryKind::version, 1, 1},
                       {"usa", EntryKind::version, 2, 2},
                       {"usa/ca/fresno", EntryKind::version, 3, 3}});
    begin();
  }

  /// A shard process begins on the same folder.
  void begin() {
    feed_.reset();
    admission_.reset();
    live_.emplace(std::make_unique<ModelTable>());
    pack_ = std::move(*model::Pack::open(Files::system(), dir_.path() + "/pack", {1u << 20}));
    admission_.emplace(*pack_, damage_);
    FeedOptions options;
    options.self.name = "s0";
    space_.emplace(SpaceOptions{}, *pack_, *admission_, damage_, clock_);
    feed_.emplace(options, registry_, *admission_, *space_, scrub_, damage_, *live_, state_, clock_);
  }
  std::string answer(const std::string& partition, const std::string& tag = "production") {
    const Model* model = live_->current().models.find(model::model_key("acme", "total"));
    const Result<Choice> choice = choose(*model, *model->find_tag(tag), path_of(partition));
    if (!choice.ok()) return std::string(code_name(choice.status().code()));
    return std::to_string(choice->answer->version.bytes[15]) + " " + std::string(wire::reason_name(choice->reason));
  }
  testing::TempDir dir_;
  ManualClock clock_;
  FakeRegistry registry_;
  StateFile state_{Files::system(), dir_.path() + "/state"};
  std::unique_ptr<model::Pack> pack_;
  std::optional<LiveTable> live_;
  std::optional<Admission> admission_;
  std::optional<Space> space_;
  Damage damage_;
  Scrub scrub_{0, damage_, clock_};
  std::optional<Feed> feed_;
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
