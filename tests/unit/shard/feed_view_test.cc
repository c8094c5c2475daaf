// What views do to a shard: what it holds, whether it joins, and who it is to the registry.
#include "tests/unit/shard/feed_fixture.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

class FeedAndView : public FeedFixture {
 protected:
  void SetUp() override { begin(); }
};

TEST_F(FeedAndView, AnotherViewMovesLeavesOnlyAndLosesNothingWanted) {
  std::vector<FakeRegistry::Entry> entries = {{"", EntryKind::version, 1, 1}};
  for (unsigned i = 0; i < 40; ++i) {
    entries.push_back({"usa/ca/t" + std::to_string(i), EntryKind::version, 100 + i, 100.0 + i});
  }
  registry_.release(entries);
  ASSERT_OK(feed_->sync());
  const auto count_exact = [&] {
    int exact = 0;
    for (unsigned i = 0; i < 40; ++i) {
      const std::string got = answer("usa/ca/t" + std::to_string(i));
      if (got == std::to_string(100 + i) + " exact") {
        ++exact;
      } else {
        EXPECT_EQ(got, "1 cold");
      }
    }
    return exact;
  };
  EXPECT_EQ(count_exact(), 40);
  registry_.set_shards({"s0", "s1", "s2", "s3"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(count_exact(), 40) << "a router may not have heard of the view yet";
  clock_.advance(FeedOptions().old_view_us);
  ASSERT_OK(feed_->step());
  const int held = count_exact();
  EXPECT_GT(held, 5);
  EXPECT_LT(held, 35) << "two of four shards hold a leaf";
  EXPECT_EQ(answer(""), "1 exact");
  registry_.set_shards({"s0"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(count_exact(), 40);
  EXPECT_TRUE(registry_.acks.back().failed.empty());
}

TEST_F(FeedAndView, ATenantMayComeAndGoWithTheView) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  registry_.release({{"", EntryKind::version, 2, 2}}, "production", "zenith");
  ASSERT_OK(feed_->sync());
  registry_.set_shards({"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"});
  ASSERT_OK(feed_->step());
  clock_.advance(FeedOptions().old_view_us);
  ASSERT_OK(feed_->step());
  int held = 0;
  live_->current().models.for_each([&](const auto& model) {
    held += model->is_held;
    EXPECT_EQ(model->tags.empty(), !model->is_held);
  });
  EXPECT_LT(held, 2) << "with these names at most one of the two stays";
  registry_.set_shards({"s0"});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answer(""), "1 exact");
  EXPECT_EQ(answer("", "production", "zenith"), "2 exact");
}

TEST_F(FeedAndView, WhoeverWasDrainedDoesNotJoinAgainAndOthersDo) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  ASSERT_OK(feed_->sync());
  registry_.set_shards({"a"});  // its lease had ended, say
  ASSERT_OK(feed_->step());
  ASSERT_OK(feed_->step());
  EXPECT_FALSE(feed_->is_drained());
  EXPECT_EQ(registry_.joins, 2);
  registry_.set_shards({"a", "s0"}, cluster::ShardState::draining);
  ASSERT_OK(feed_->step());
  EXPECT_FALSE(feed_->is_drained());
  EXPECT_EQ(answer(""), "1 exact");
  registry_.set_shards({"a"});
  ASSERT_OK(feed_->step());
  ASSERT_OK(feed_->step());
  EXPECT_TRUE(feed_->is_drained());
  EXPECT_EQ(registry_.joins, 2);
  EXPECT_EQ(answer(""), "1 exact") << "it is asked by routers that have not heard of it";
}

TEST_F(FeedAndView, WhoeverSleptThroughItsDrainingAsksBeforeItJoinsAgain) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->step());
  const int joins = registry_.joins;
  registry_.set_shards({"a"});
  registry_.was_drained = true;
  ASSERT_OK(feed_->step());
  ASSERT_OK(feed_->step());
  EXPECT_TRUE(feed_->is_drained());
  EXPECT_EQ(registry_.joins, joins);
}

TEST_F(FeedAndView, OneThatEndedWhileDrainingJoinsWhenItIsStartedAgain) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  ASSERT_OK(feed_->sync());
  registry_.set_shards({"a", "s0"}, cluster::ShardState::draining);
  ASSERT_OK(feed_->step());
  ASSERT_OK(feed_->save());
  registry_.set_shards({"a"});
  begin();
  ASSERT_OK(feed_->restore());
  const int joins = registry_.joins;
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->step());
  EXPECT_FALSE(feed_->is_drained());
  EXPECT_EQ(registry_.joins, joins + 1);
}

TEST_F(FeedAndView, OfSeveralViewsTheNewestIsFetchedOnce) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  ASSERT_OK(feed_->sync());
  for (int i = 0; i < 6; ++i) registry_.set_shards({"s0", "s1"});
  const int views = registry_.views;
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.views, views + 1);
  EXPECT_EQ(registry_.acks.back().epoch, registry_.epoch());
}

TEST_F(FeedAndView, ReleasesAreTakenInWhileAnotherProcessOfItsNameHasTheLease) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  registry_.join_code = Code::failed_precondition;
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(answer(""), "1 exact");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.joins, 2);
}

TEST_F(FeedAndView, AcknowledgesAgainWhenIdleAndJoinsWhenForgotten) {
  registry_.release({{"", EntryKind::version, 1, 1}});
  ASSERT_OK(feed_->sync());
  const std::size_t acks = registry_.acks.size();
  ASSERT_OK(feed_->step());
  ASSERT_EQ(registry_.acks.size(), acks + 1);
  EXPECT_EQ(registry_.acks.back().epoch, feed_->epoch());
  registry_.ack_code = Code::not_found;
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.joins, 1);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.joins, 2);
}

}  // namespace
}  // namespace espalier::shard
