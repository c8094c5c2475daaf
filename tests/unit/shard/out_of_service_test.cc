// What goes out of service: ahead of what is fetched, and on the disk before it is acknowledged.
#include "tests/unit/shard/feed_fixture.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

class OutOfService : public FeedFixture {
 protected:
  void SetUp() override {
    registry_.release({{"", EntryKind::version, 1, 1},
                       {"usa", EntryKind::version, 2, 2},
                       {"usa/ca", EntryKind::version, 3, 3},
                       {"peru", EntryKind::version, 4, 4}});
    begin();
    ASSERT_OK(feed_->sync());
    registry_.artefacts_per_fetch = 1;
  }

  void begin() {
    FeedOptions options;
    options.process = uuid_of(77);
    FeedFixture::begin(options);
  }
  /// What these nodes answer whenever something is about to be fetched.
  void watch(std::vector<std::string> partitions) {
    registry_.before_fetch = [this, partitions = std::move(partitions)] {
      std::string all;
      for (const std::string& partition : partitions) all += (all.empty() ? "" : ", ") + answer(partition);
      seen_.push_back(all);
    };
  }

  std::vector<std::string> seen_;
};

TEST_F(OutOfService, QuarantineDoesNotWaitForWhatCameWithIt) {
  registry_.release({{"chad", EntryKind::version, 5, 5}, {"fiji", EntryKind::version, 6, 6}});
  registry_.quarantine(3);
  watch({"usa/ca", "chad"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen_, std::vector<std::string>(2, "2 quarantined, 1 no_version"));
  EXPECT_EQ(answer("fiji"), "6 exact");
  EXPECT_EQ(answer("usa/ca"), "2 quarantined");
}

TEST_F(OutOfService, RemovalsDoNotWaitForWhatCameWithThem) {
  registry_.release({{"chad", EntryKind::version, 5, 5}});
  registry_.release({{"peru", EntryKind::removed}, {"usa/ca", EntryKind::unset}});
  watch({"peru", "usa/ca", "chad"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen_, std::vector<std::string>(1, "1 removed, 2 no_version, 1 no_version"));
  EXPECT_EQ(answer("chad"), "5 exact");
  EXPECT_EQ(answer("peru"), "1 removed");
  EXPECT_EQ(registry_.acks.back().epoch, feed_->epoch());
}

TEST_F(OutOfService, ARemovalHoldsWhileALaterReleaseOfTheNodeIsFetched) {
  registry_.release({{"peru", EntryKind::removed}});
  registry_.release({{"peru", EntryKind::version, 14, 14}});
  watch({"peru"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen_, std::vector<std::string>(1, "1 removed"));
  EXPECT_EQ(answer("peru"), "14 exact");
}

TEST_F(OutOfService, WhatIsBackAlreadyAnswersOn) {
  registry_.release({{"peru", EntryKind::removed}});
  registry_.release({{"peru", EntryKind::version, 4, 4}, {"chad", EntryKind::version, 5, 5}});
  watch({"peru"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen_, std::vector<std::string>(1, "4 exact"));
  EXPECT_EQ(answer("peru"), "4 exact");
}

TEST_F(OutOfService, AReleaseThatDoesMoreThanRemoveIsSwappedInAsAWhole) {
  registry_.release({{"peru", EntryKind::removed}, {"usa/ca", EntryKind::version, 13, 13}});
  watch({"peru", "usa/ca"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen_, std::vector<std::string>(1, "4 exact, 3 exact"));
  EXPECT_EQ(answer("peru"), "1 removed");
  EXPECT_EQ(answer("usa/ca"), "13 exact");
}

TEST_F(OutOfService, AnErasedTenantDoesNotWaitForWhatCameWithIt) {
  registry_.release({{"", EntryKind::version, 7, 7}}, "production", "zenith");
  ASSERT_OK(feed_->step());
  ASSERT_NE(live_->current().models.find(model::model_key("zenith", "total")), nullptr);
  registry_.release({{"chad", EntryKind::version, 5, 5}});
  registry_.erase("zenith");
  registry_.before_fetch = [&] {
    EXPECT_EQ(live_->current().models.find(model::model_key("zenith", "total")), nullptr);
    seen_.emplace_back();
  };
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen_.size(), 1u);
}

TEST_F(OutOfService, NothingOfASnapshotWaitsForItsFetch) {
  registry_.skip_change(registry_.release({{"peru", EntryKind::removed}}));
  registry_.release({{"usa", EntryKind::unset}});
  registry_.release({{"chad", EntryKind::version, 5, 5}, {"fiji", EntryKind::version, 6, 6}});
  registry_.quarantine(3);
  watch({"peru", "usa", "usa/ca", "chad"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.snapshots, 2);
  EXPECT_EQ(seen_, std::vector<std::string>(2, "1 removed, 1 no_version, 1 quarantined, 1 no_version"));
  EXPECT_EQ(answer("chad"), "5 exact");
  EXPECT_EQ(answer("peru"), "1 removed");
}

TEST_F(OutOfService, NorOfAnotherGenerationsThoughItsEpochsBeginAnew) {
  for (int i = 0; i < 5; ++i) registry_.release({{"peru", EntryKind::version, 4, 4}});
  ASSERT_OK(feed_->step());
  registry_.begin_generation(7);
  registry_.release({{"", EntryKind::version, 1, 1}, {"peru", EntryKind::removed}, {"chad", EntryKind::version, 5, 5}});
  watch({"peru", "usa/ca", ""});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen_, std::vector<std::string>(1, "1 removed, 1 no_version, 1 exact"));
  EXPECT_EQ(answer("chad"), "5 exact");
  EXPECT_EQ(answer("peru"), "1 removed");
}

TEST_F(OutOfService, WhatComesWhileASnapshotIsFetchedDoesNotWaitEither) {
  registry_.skip_change(registry_.release({{"chad", EntryKind::version, 5, 5}}));
  registry_.release({{"fiji", EntryKind::version, 6, 6}});
  registry_.before_fetch = [&] {
    seen_.push_back(answer("peru") + ", " + answer("usa/ca"));
    if (seen_.size() == 1) {
      registry_.release({{"peru", EntryKind::removed}});
      registry_.quarantine(3);
    }
  };
  const std::uint64_t swaps = feed_->swaps();
  ASSERT_OK(feed_->step());
  EXPECT_EQ(seen_, (std::vector<std::string>{"4 exact, 3 exact", "1 removed, 2 quarantined"}));
  EXPECT_EQ(answer("peru"), "1 removed") << "the snapshot is from before";
  EXPECT_EQ(answer("usa/ca"), "2 quarantined");
  EXPECT_EQ(feed_->swaps(), swaps + 3);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("peru"), "1 removed");
  EXPECT_EQ(registry_.snapshots, 2);
}

TEST_F(OutOfService, ARollbackIsSavedWithinASecond) {
  ASSERT_OK(feed_->save());
  registry_.release({{"usa", EntryKind::version, 12, 12}});
  ASSERT_OK(feed_->step());
  ASSERT_OK(feed_->save());
  const std::uint64_t epoch = registry_.release({{"usa", EntryKind::version, 2, 2}});
  ASSERT_OK(feed_->step());
  ASSERT_EQ(registry_.acks.back().epoch, epoch);
  clock_.advance(1'000'000);
  registry_.release({{"chad", EntryKind::version, 5, 5}});  // not even a quiet moment is needed
  ASSERT_OK(feed_->step());
  registry_.is_away = true;
  begin();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answer("usa"), "2 exact");
}

TEST_F(OutOfService, WhatCanNotBeSavedIsSaidButNotAcknowledged) {
  files_.fail_all(Status(Code::resource_exhausted, "no space left on device"), testing::FaultyFiles::kChanges);
  const std::uint64_t epoch = registry_.release({{"peru", EntryKind::removed}});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("peru"), "1 removed");
  EXPECT_EQ(registry_.acks.back().epoch, 0u);
  EXPECT_EQ(registry_.acks.back().held, epoch);
  EXPECT_EQ(registry_.acks.back().process, uuid_of(77));
  EXPECT_NE(registry_.acks.back().unsaved.find("no space left"), std::string::npos) << registry_.acks.back().unsaved;
  const std::size_t acks = registry_.acks.size();
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.acks.size(), acks) << "not at every turn";
  clock_.advance(1'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.acks.size(), acks + 1) << "but again: the registry may have started anew";
  const std::uint64_t later = registry_.release({{"chad", EntryKind::version, 5, 5}});
  clock_.advance(10'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("chad"), "5 exact") << "a full disk is no reason to take nothing in";
  EXPECT_EQ(registry_.acks.back().held, later);
  files_.heal();
  clock_.advance(1'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.acks.back().epoch, later);
  EXPECT_EQ(registry_.acks.back().held, 0u);
}

TEST_F(OutOfService, AnErasureThatCanNotBeSavedIsSaidToo) {
  registry_.release({{"", EntryKind::version, 7, 7}}, "production", "zenith");
  ASSERT_OK(feed_->step());
  files_.fail_all(Status(Code::resource_exhausted, "no space left on device"), testing::FaultyFiles::kChanges);
  const std::uint64_t epoch = registry_.erase("zenith");
  const auto is_said = [&] { return registry_.acks.back().held == epoch; };
  for (int i = 0; i < 10 && !is_said(); ++i) {
    ASSERT_OK(feed_->step());
    clock_.advance(1'000'000);
  }
  EXPECT_TRUE(is_said());
  files_.heal();
  const auto is_acknowledged = [&] { return registry_.acks.back().epoch == epoch; };
  for (int i = 0; i < 10 && !is_acknowledged(); ++i) {
    ASSERT_OK(feed_->step());
    clock_.advance(1'000'000);
  }
  EXPECT_TRUE(is_acknowledged());
}

}  // namespace
}  // namespace espalier::shard
