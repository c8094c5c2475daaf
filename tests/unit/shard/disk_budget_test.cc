// A shard's disk budget: its pack's files are never larger, the least recently used leaves make room, and what is asked
// for is fetched again (docs/shard-memory.md).
#include <filesystem>
#include <set>

#include "model/pack_format.h"
#include "shard/budget.h"
#include "tests/unit/shard/feed_fixture.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

TEST(DiskShares, LeaveCompactionASegmentAndSomethingToGiveBack) {
  for (const std::uint64_t budget : {kLeastDiskBudget, std::uint64_t{100} << 20, std::uint64_t{1} << 40}) {
    const DiskShares shares = disk_shares(budget);
    EXPECT_GT(shares.segment, 0u) << budget;
    EXPECT_LE(shares.segment, 64u << 20) << budget;
    EXPECT_EQ(shares.added + shares.segment, budget);
    EXPECT_LT(shares.live, (shares.added - shares.segment) / 8 * 7) << budget;
  }
}

constexpr unsigned kMany = 200;

std::string leaf(unsigned i) { return "usa/ca/town" + std::to_string(i); }

class DiskBudget : public FeedFixture {
 protected:
  /// `segment`: of another size than the budget gives them.
  void begin(std::uint64_t budget, std::size_t nodes_at_once = 1000, std::uint64_t segment = 0) {
    budget_ = budget;
    FeedOptions options;
    options.nodes_at_once = nodes_at_once;
    options.disk_budget = budget;
    model::PackOptions pack_options{1u << 16};
    if (budget != 0) {
      options.disk = disk_shares(budget);
      if (segment != 0) options.disk.segment = segment, options.disk.added = budget - segment;
      pack_options = {options.disk.segment, options.disk.added};
    }
    disk_ = options.disk;
    FeedFixture::begin(options, pack_options);
    registry_.artefacts_per_fetch = 7;
    registry_.before_fetch = [this] { check_disk(); };
  }
  /// A release of the leaves, and of the nodes above them with the first.
  void release(unsigned first, unsigned count, unsigned number) {
    std::vector<FakeRegistry::Entry> entries;
    if (registry_.epoch() == 0) entries = {{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}};
    for (unsigned i = first; i < first + count; ++i) {
      entries.push_back({leaf(i), EntryKind::version, number + i, number + i * 1.0});
    }
    registry_.release(entries);
  }
  std::uint64_t disk_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& file : std::filesystem::directory_iterator(dir_.path() + "/pack")) sum += file.file_size();
    return sum;
  }
  void check_disk() {
    EXPECT_LE(disk_bytes(), budget_);
    EXPECT_LE(pack_->live_bytes(), disk_.live);
  }
  void step() {
    clock_.advance(1'000'000);
    EXPECT_OK(feed_->step());
    check_disk();
  }
  void look() {
    for (int i = 0; i < 3; ++i) step();
  }
  std::set<std::string> exact() {
    std::set<std::string> found;
    each_node(live_->current(), [&](const Model&, const Tag&, const Node& node) {
      if (node.partition.size() == 3 && node.wanted.is_ready()) found.insert("usa/ca/" + node.partition[2]);
    });
    return found;
  }
  std::uint64_t framed() const { return model::frame_bytes(artefact_of(1).size()); }

  std::uint64_t budget_ = 0;
  DiskShares disk_;
};

constexpr std::uint64_t kSmallBudget = 128u << 10;

TEST_F(DiskBudget, AReleaseComesInAsFarAsItFitsAndTheRestIsAnsweredForAbove) {
  begin(kSmallBudget);
  release(0, kMany, 1000);
  ASSERT_OK(feed_->sync());
  check_disk();
  const std::size_t fit = disk_.live / framed() - 2;
  ASSERT_LT(fit, kMany);
  EXPECT_EQ(exact().size(), fit);
  for (unsigned i = 0; i < kMany; ++i) {
    const std::string said = ask(leaf(i));
    EXPECT_TRUE(said == std::to_string(1000 + i) + " exact" || said == "2 over_budget") << said;
  }
  ASSERT_FALSE(registry_.acks.empty());
  EXPECT_TRUE(registry_.acks.back().failed.empty());
}

TEST_F(DiskBudget, TheLeastRecentlyUsedLeavesMakeRoomForARelease) {
  begin(kSmallBudget);
  release(0, 100, 1000);
  ASSERT_OK(feed_->sync());
  ASSERT_EQ(exact().size(), 100u);
  clock_.advance(5'000'000);
  for (unsigned i = 0; i < 50; ++i) ask(leaf(i));
  clock_.advance(5'000'000);
  release(100, 60, 1000);
  look();
  const auto in = exact();
  for (unsigned i = 0; i < 50; ++i) EXPECT_TRUE(in.contains(leaf(i))) << i;
  for (unsigned i = 100; i < 160; ++i) EXPECT_TRUE(in.contains(leaf(i))) << i;
  EXPECT_LT(in.size(), 160u);
  EXPECT_EQ(ask("usa"), "2 exact");
  EXPECT_GT(feed_->evicted(), 0u);
}

TEST_F(DiskBudget, ALeafThatWentIsFetchedAgainWhenItIsAskedFor) {
  begin(kSmallBudget);
  release(0, kMany, 1000);
  ASSERT_OK(feed_->sync());
  look();
  std::string wish;
  const auto in = exact();
  for (unsigned i = 0; i < kMany && wish.empty(); ++i) {
    if (!in.contains(leaf(i))) wish = leaf(i);
  }
  const int fetches = registry_.fetches;
  ask(wish);
  look();
  EXPECT_EQ(registry_.fetches, fetches) << "one look does not drive others out";
  ask(wish);
  look();
  EXPECT_EQ(registry_.fetches, fetches + 1);
  EXPECT_TRUE(ask(wish).ends_with("exact"));
  EXPECT_EQ(exact().size(), in.size());
}

TEST_F(DiskBudget, WhatIsAskedForAgainAndAgainIsNotOvertakenByWhatWasAskedForOnce) {
  begin(kSmallBudget);
  release(0, kMany, 1000);
  ASSERT_OK(feed_->sync());
  look();
  std::vector<std::string> wishes;
  const auto in = exact();
  for (unsigned i = 0; i < kMany; ++i) {
    ask(leaf(i));
    if (!in.contains(leaf(i)) && wishes.size() < 10) wishes.push_back(leaf(i));
  }
  ASSERT_EQ(wishes.size(), 10u);
  look();
  for (const std::string& wish : wishes) ask(wish);
  look();
  for (const std::string& wish : wishes) EXPECT_TRUE(ask(wish).ends_with("exact")) << wish;
  EXPECT_EQ(exact().size(), in.size());
}

TEST_F(DiskBudget, HoldsThroughReleaseAfterReleaseOfAllLeaves) {
  begin(kSmallBudget);
  release(0, kMany, 1000);
  ASSERT_OK(feed_->sync());
  for (unsigned round = 2; round < 30; ++round) {
    for (unsigned i = 0; i < 40; ++i) ask(leaf(i));
    release(0, kMany, 1000 * round);
    for (int i = 0; i < 4; ++i) {
      step();
      for (unsigned n = 0; n < kMany; ++n) {
        const std::string said = ask(leaf(n));
        const std::string own = std::to_string(1000 * round + n) + " exact";
        const bool is_right = said == own || said.ends_with(" previous") || said == "2 over_budget";
        ASSERT_TRUE(is_right) << said << " where " << own << " was wanted";
      }
    }
    ASSERT_TRUE(registry_.acks.back().failed.empty());
  }
  EXPECT_EQ(ask("usa"), "2 exact");
  // What is asked for has the newest release in the end: as many as there is room for.
  for (int i = 0; i < 40; ++i) {
    for (unsigned n = 0; n < kMany; ++n) ask(leaf(n));
    step();
  }
  EXPECT_GT(exact().size(), 100u);
}

TEST_F(DiskBudget, HoldsAlsoWhereArtefactsNeverFillTheFiles) {
  begin(kSmallBudget, 1000, framed() * 17 / 10);
  release(0, kMany, 1000);
  ASSERT_OK(feed_->sync());
  for (unsigned round = 2; round < 8; ++round) {
    release(0, kMany, 1000 * round);
    look();
    for (unsigned n = 0; n < kMany; ++n) EXPECT_NE(ask(leaf(n)), "no_model") << n;
  }
  EXPECT_EQ(ask("usa"), "2 exact");
  EXPECT_GT(exact().size(), 0u);
}

TEST_F(DiskBudget, TheHottestLeavesAreTheFirstToHaveANewRelease) {
  begin(kSmallBudget);
  release(0, 120, 1000);
  ASSERT_OK(feed_->sync());
  clock_.advance(5'000'000);
  for (unsigned i = 30; i < 60; ++i) ask(leaf(i));
  clock_.advance(1'000'000);
  release(0, 120, 2000);
  step();
  for (unsigned i = 30; i < 60; ++i) EXPECT_EQ(ask(leaf(i)), std::to_string(2000 + i) + " exact");
}

TEST_F(DiskBudget, NothingGoesWhileTheRegistryIsAway) {
  begin(kSmallBudget);
  release(0, kMany, 1000);
  ASSERT_OK(feed_->sync());
  look();
  const auto before = exact();
  registry_.is_away = true;
  for (int i = 0; i < 4; ++i) {
    for (unsigned n = 0; n < kMany; ++n) {
      if (!before.contains(leaf(n))) ask(leaf(n));
    }
    clock_.advance(1'000'000);
    EXPECT_FALSE(feed_->step().ok());
    check_disk();
  }
  EXPECT_EQ(exact(), before);
  registry_.is_away = false;
  for (int i = 0; i < 4; ++i) {
    for (unsigned n = 0; n < kMany; ++n) {
      if (!before.contains(leaf(n))) ask(leaf(n));
    }
    look();
  }
  EXPECT_NE(exact(), before) << "what was asked for comes once it can be fetched";
}

TEST_F(DiskBudget, ARestartHasWhatTheDiskHas) {
  begin(kSmallBudget);
  release(0, kMany, 1000);
  ASSERT_OK(feed_->sync());
  look();
  ASSERT_OK(feed_->save());
  const auto before = exact();
  for (const std::size_t at_once : {1000, 10}) {
    begin(kSmallBudget, at_once);
    ASSERT_OK(feed_->restore());
    feed_->open();
    registry_.is_away = true;
    for (int i = 0; i < 40; ++i) static_cast<void>(feed_->step());
    check_disk();
    EXPECT_EQ(exact(), before);
    for (unsigned i = 0; i < kMany; ++i) {
      EXPECT_EQ(ask(leaf(i)).ends_with(" exact"), before.contains(leaf(i)));
      EXPECT_FALSE(ask(leaf(i)).ends_with("cold"));
    }
    registry_.is_away = false;
  }
}

TEST_F(DiskBudget, AStartWithASmallerOneIsWithinItBeforeItAnswers) {
  for (const std::size_t at_once : {1000, 10}) {
    begin(0);
    registry_.before_fetch = {};
    if (registry_.epoch() == 0) release(0, kMany, 1000);
    ASSERT_OK(feed_->sync());
    ASSERT_OK(feed_->save());
    ASSERT_EQ(exact().size(), kMany);
    registry_.is_away = true;
    begin(kSmallBudget, at_once);
    ASSERT_OK(feed_->restore());
    check_disk();
    feed_->open();
    for (int i = 0; i < 60; ++i) static_cast<void>(feed_->step());
    check_disk();
    EXPECT_EQ(exact().size(), disk_.live / framed() - 2);
    EXPECT_EQ(ask("usa"), "2 exact");
    for (unsigned i = 0; i < kMany; ++i) {
      const std::string said = ask(leaf(i));
      EXPECT_TRUE(said == std::to_string(1000 + i) + " exact" || said == "2 over_budget") << said;
    }
    registry_.is_away = false;
    std::filesystem::remove_all(dir_.path() + "/pack");
    std::filesystem::remove(dir_.path() + "/state");
  }
}

TEST_F(DiskBudget, WhatNobodyAnswersForAnyMoreIsFetchedBeforeTheQuarantineIsAcknowledged) {
  begin(kSmallBudget);
  release(0, kMany, 1000);
  registry_.release({{"peru/lima/ate", EntryKind::version, 500, 500}});
  ASSERT_OK(feed_->sync());
  for (int i = 0; i < 4; ++i) {
    for (unsigned n = 0; n < kMany; ++n) ask(leaf(n));
    look();
  }
  ASSERT_EQ(ask("peru/lima/ate"), "1 over_budget");
  registry_.acks.clear();
  registry_.quarantine(1);
  step();
  EXPECT_EQ(ask("peru/lima/ate"), "500 exact");
  look();
  EXPECT_EQ(ask("peru/lima/ate"), "500 exact");
}

/// Nodes that must stay: inner ones, or leaves that nobody answers for.
class DiskBudgetOfWhatMustStay : public DiskBudget, public ::testing::WithParamInterface<bool> {};

TEST_P(DiskBudgetOfWhatMustStay, IsNotFetchedOverAndOverWhereItDoesNotFit) {
  const bool are_inner = GetParam();
  begin(kSmallBudget);
  registry_.fetches = 0;
  std::vector<FakeRegistry::Entry> entries;
  const auto name = [&](unsigned i) { return (are_inner ? "usa/state" : "peru/lima/town") + std::to_string(i); };
  if (are_inner) entries = {{"", EntryKind::version, 1, 1}};
  for (unsigned i = 0; i < kMany; ++i) entries.push_back({name(i), EntryKind::version, 1000 + i, 1000.0 + i});
  registry_.release(entries);
  ASSERT_OK(feed_->sync());
  const auto count = [&] {
    std::size_t ready = 0;
    for (unsigned i = 0; i < kMany; ++i) {
      const std::string said = ask(name(i));
      if (said == std::to_string(1000 + i) + " exact")
        ++ready;
      else
        EXPECT_EQ(said, are_inner ? "1 over_budget" : "no_model");
    }
    return ready;
  };
  const std::size_t fit = disk_.live / framed() - (are_inner ? 1 : 0);
  ASSERT_LT(fit, kMany);
  EXPECT_EQ(count(), fit);
  const int fetches = registry_.fetches;
  for (int i = 0; i < 30; ++i) step();
  EXPECT_EQ(registry_.fetches, fetches) << "nothing that comes would stay";
  EXPECT_EQ(count(), fit);

  std::vector<FakeRegistry::Entry> gone;
  for (unsigned i = 0; i < kMany / 2; ++i) gone.push_back({name(i), EntryKind::unset});
  registry_.release(gone);
  for (int i = 0; i < 100; ++i) step();
  for (unsigned i = kMany / 2; i < kMany; ++i) EXPECT_EQ(ask(name(i)), std::to_string(1000 + i) + " exact");
}

INSTANTIATE_TEST_SUITE_P(InnerNodesOrLeavesWithNobodyAbove, DiskBudgetOfWhatMustStay, ::testing::Bool());

}  // namespace
}  // namespace espalier::shard
