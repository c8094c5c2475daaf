// A start that finds very many nodes: by steps, answering meanwhile (docs/shard-memory.md).
#include <filesystem>
#include "tests/unit/shard/feed_fixture.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

class ShardStart : public FeedFixture {
 protected:
  void SetUp() override {
    release_ = registry_.release({{"", EntryKind::version, 1, 1},
                                  {"usa", EntryKind::version, 2, 2},
                                  {"usa/ca/fresno", EntryKind::version, 3, 3},
                                  {"usa/ca/davis", EntryKind::version, 4, 4},
                                  {"usa/tx/waco", EntryKind::version, 5, 5},
                                  {"peru/lima/lince", EntryKind::version, 6, 6}});
  }

  void begin() {
    FeedOptions options;
    options.nodes_at_once = 2;
    FeedFixture::begin(options, {1u << 20}, true);
  }
  /// One begins on an empty disk, and takes everything in.
  void run_once() {
    begin();
    ASSERT_OK(feed_->sync());
    finish();
    ASSERT_OK(feed_->save());
  }
  void finish() {
    for (int i = 0; i < 20 && counts().ready < counts().wanted; ++i) {
      const Status status = feed_->step();
      ASSERT_TRUE(status.ok() || registry_.is_away) << status.text();
    }
    ASSERT_EQ(counts().ready, counts().wanted);
  }
  const NodeCounts& counts() const { return live_->current().counts; }
  bool is_starting() const { return live_->current().is_starting; }

  void expect_all_exact() {
    EXPECT_EQ(answer("usa/ca/fresno"), "3 exact");
    EXPECT_EQ(answer("usa/ca/davis"), "4 exact");
    EXPECT_EQ(answer("usa/tx/waco"), "5 exact");
    EXPECT_EQ(answer("peru/lima/lince"), "6 exact");
  }

  std::uint64_t release_ = 0;
};

TEST_F(ShardStart, FromAnEmptyDiskInnerNodesAnswerForLeavesThatStillArrive) {
  begin();
  EXPECT_TRUE(is_starting());
  registry_.is_away = true;
  EXPECT_FALSE(feed_->sync().ok());
  EXPECT_TRUE(is_starting()) << "it has nothing to answer with";
  registry_.is_away = false;
  ASSERT_OK(feed_->sync());
  EXPECT_FALSE(is_starting());
  EXPECT_EQ(answer("usa"), "2 exact");
  EXPECT_EQ(answer("usa/ca/fresno"), "2 cold");
  EXPECT_EQ(answer("peru/lima/lince"), "1 cold");
  EXPECT_EQ(counts().wanted, 6u);
  EXPECT_EQ(counts().ready, 2u);
  EXPECT_EQ(counts().not_ready[static_cast<std::size_t>(wire::Reason::cold)], 4u);
  EXPECT_TRUE(registry_.acks.empty()) << "not before everything is in";
  registry_.artefacts_per_fetch = 1;
  std::uint64_t ready = counts().ready;
  while (counts().ready < 6) {
    ASSERT_TRUE(registry_.acks.empty());
    ASSERT_OK(feed_->step());
    EXPECT_GE(counts().ready, ready) << "what answered goes on answering";
    ready = counts().ready;
  }
  expect_all_exact();
  ASSERT_OK(feed_->step());
  ASSERT_FALSE(registry_.acks.empty());
  EXPECT_GE(registry_.acks.back().epoch, release_);
  EXPECT_TRUE(registry_.acks.back().failed.empty());
}

TEST_F(ShardStart, FromItsDiskItNeedsNoRegistry) {
  run_once();
  const int fetches = registry_.fetches;
  begin();
  registry_.is_away = true;
  ASSERT_OK(feed_->restore());
  EXPECT_TRUE(is_starting()) << "the registry may know better";
  EXPECT_FALSE(feed_->sync().ok());
  feed_->open();
  EXPECT_FALSE(is_starting());
  EXPECT_EQ(answer("usa/tx/waco"), "2 cold");
  finish();
  expect_all_exact();
  EXPECT_EQ(registry_.fetches, fetches);
}

TEST_F(ShardStart, AReleaseThatComesMeanwhileIsSwappedInWhole) {
  registry_.artefacts_per_fetch = 1;
  begin();
  ASSERT_OK(feed_->sync());
  registry_.release({{"usa", EntryKind::version, 12, 12},
                     {"usa/ca/fresno", EntryKind::version, 13, 13},
                     {"usa/ca/davis", EntryKind::version, 14, 14}});
  registry_.before_fetch = [&] {
    const std::string inner = answer("usa");
    const std::string leaf = answer("usa/ca/fresno");
    EXPECT_TRUE(inner == "2 exact" ? leaf == "2 cold" || leaf == "3 exact" : leaf == "13 exact") << inner << leaf;
  };
  finish();
  EXPECT_EQ(answer("usa"), "12 exact");
  EXPECT_EQ(answer("usa/ca/fresno"), "13 exact");
  EXPECT_EQ(answer("usa/ca/davis"), "14 exact");
  EXPECT_EQ(answer("usa/tx/waco"), "5 exact");
}

TEST_F(ShardStart, ALeafThatNobodyAnswersForIsTakenInFirst) {
  registry_.release({{"", EntryKind::unset}, {"peru/lima/ate", EntryKind::version, 7, 7}});
  begin();
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(answer("peru/lima/ate"), "7 exact");
  EXPECT_EQ(answer("peru/lima/lince"), "6 exact");
  EXPECT_EQ(answer("usa/tx/waco"), "2 cold");
  finish();
}

TEST_F(ShardStart, WithoutItsPackItAsksTheRegistryBeforeItAnswers) {
  run_once();
  pack_.reset();
  std::filesystem::remove_all(dir_.path() + "/pack");
  begin();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answer("usa"), "no_model");
  EXPECT_TRUE(is_starting());
  ASSERT_OK(feed_->sync());
  EXPECT_FALSE(is_starting());
  EXPECT_EQ(answer("usa"), "2 exact");
  EXPECT_EQ(answer("usa/ca/fresno"), "2 cold");
  finish();
  expect_all_exact();
}

TEST_F(ShardStart, ALeafBelowNodesThatCannotAnswerIsInBeforeItOpens) {
  registry_.damage(1);
  registry_.damage(2);
  begin();
  ASSERT_OK(feed_->sync());
  ASSERT_FALSE(is_starting());
  expect_all_exact();
}

TEST_F(ShardStart, ALeafBelowNodesInQuarantineIsInBeforeItOpens) {
  registry_.quarantine(1);
  begin();
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(answer("peru/lima/lince"), "6 exact");
  EXPECT_EQ(answer("usa/tx/waco"), "2 cold") << "the others wait";
  finish();
  ASSERT_OK(feed_->save());
  begin();
  registry_.is_away = true;
  ASSERT_OK(feed_->restore());
  feed_->open();
  EXPECT_EQ(answer("peru/lima/lince"), "6 exact");
  EXPECT_EQ(answer("usa/tx/waco"), "2 cold");
}

TEST_F(ShardStart, WhatIsRemovedMeanwhileStaysAway) {
  begin();
  ASSERT_OK(feed_->sync());
  registry_.release({{"usa/ca/fresno", EntryKind::unset}, {"usa/ca/davis", EntryKind::removed}});
  finish();
  EXPECT_EQ(answer("usa/ca/fresno"), "2 no_version");
  EXPECT_EQ(answer("usa/ca/davis"), "2 removed");
  EXPECT_EQ(counts().wanted, 4u);
}

TEST_F(ShardStart, ADamagedLeafIsNamedWhenTheOthersAreIn) {
  registry_.damage(5);
  begin();
  ASSERT_OK(feed_->sync());
  for (int i = 0; i < 20 && counts().ready < 5; ++i) ASSERT_OK(feed_->step());
  EXPECT_EQ(answer("usa/tx/waco"), "2 corrupt");
  ASSERT_OK(feed_->step());
  ASSERT_FALSE(registry_.acks.empty());
  ASSERT_EQ(registry_.acks.back().failed.size(), 1u);
  EXPECT_EQ(registry_.acks.back().failed[0].version, uuid_of(5));
}

TEST_F(ShardStart, AFewNodesAreInBeforeItIsReady) {
  begin();
  FeedOptions options;
  options.self.name = "s0";
  feed_.emplace(options, registry_, *admission_, *space_, scrub_, damage_, *live_, state_, clock_);
  ASSERT_OK(feed_->sync());
  expect_all_exact();
}

}  // namespace
}  // namespace espalier::shard
