// A shard's memory budget: which leaves make room, and which come back (docs/shard-memory.md).
#include "shard/budget.h"

#include <map>
#include "tests/unit/shard/feed_fixture.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

struct BudgetCase {
  std::string what;
  std::vector<BudgetItem> items;  ///< bytes, used, asked, is_in, may_go
  std::uint64_t budget;
  std::vector<std::size_t> out, in;
  std::uint64_t bytes;
};

TEST(ChooseForBudget, LetsTheLeastRecentlyUsedGoAndWhatIsAskedForComeBack) {
  const BudgetCase cases[] = {
      {"all fits", {{10, 1, 0, true, true}, {10, 2, 0, true, true}}, 20, {}, {}, 20},
      {"the least recently used goes", {{10, 5, 0, true, true}, {10, 2, 0, true, true}}, 19, {1}, {}, 10},
      {"as many as it takes",
       {{10, 3, 0, true, true}, {10, 2, 0, true, true}, {10, 1, 0, true, true}},
       10,
       {2, 1},
       {},
       10},
      {"what must stay stays", {{10, 1, 0, true, false}, {10, 2, 0, true, true}}, 10, {1}, {}, 10},
      {"also where it is too much", {{10, 1, 0, true, false}, {10, 2, 0, true, true}}, 5, {1}, {}, 10},
      {"a wish comes back where there is room", {{10, 1, 0, true, true}, {10, 9, 1, false, true}}, 20, {}, {1}, 20},
      {"nobody asked for it", {{10, 1, 0, true, true}, {10, 9, 0, false, true}}, 20, {}, {}, 10},
      {"one look is not enough to drive others out", {{10, 1, 0, true, true}, {10, 9, 1, false, true}}, 10, {}, {}, 10},
      {"two are", {{10, 1, 0, true, true}, {10, 9, 2, false, true}}, 10, {0}, {1}, 10},
      {"but not what was used later", {{10, 9, 0, true, true}, {10, 8, 5, false, true}}, 10, {}, {}, 10},
      {"nor what must stay", {{10, 1, 0, true, false}, {10, 8, 5, false, true}}, 10, {}, {}, 10},
      {"a large one takes several places, or none",
       {{10, 1, 0, true, true}, {10, 2, 0, true, true}, {10, 9, 0, true, true}, {15, 8, 2, false, true}},
       30,
       {0, 1},
       {3},
       25},
      {"none", {{10, 1, 0, true, true}, {10, 9, 0, true, true}, {15, 8, 2, false, true}}, 20, {}, {}, 20},
      {"what must be in comes in, and others go for it",
       {{10, 9, 0, true, true}, {10, 8, 0, true, true}, {10, 0, 0, false, false}},
       20,
       {1},
       {2},
       20},
      {"what is new goes in the place of what was used earlier",
       {{10, 1, 0, true, true}, {10, 9, 0, true, true}, {10, 8, 0, false, true, true}, {10, 7, 0, false, true, true}},
       20,
       {0},
       {2},
       20},
      {"an eighth of the budget at a time",
       {{8, 1, 0, true, true}, {8, 2, 0, true, true}, {8, 9, 2, false, true}, {8, 8, 2, false, true}},
       16,
       {0},
       {2},
       16},
  };
  for (const BudgetCase& c : cases) {
    const BudgetChoice choice = choose_for_budget(c.items, c.budget);
    EXPECT_EQ(choice.out, c.out) << c.what;
    EXPECT_EQ(choice.in, c.in) << c.what;
    EXPECT_EQ(choice.bytes, c.bytes) << c.what;
  }
}

TEST(LastUse, ItsCopiesGoOnForThemselves) {
  LastUse use;
  use.note(1'000'000);
  LastUse copy = use;
  copy.note(9'000'000);
  EXPECT_LT(use.at(), copy.at());
  EXPECT_EQ(LastUse::time_of(1'000'000), use.at());
}

const std::vector<std::string> kLeaves = {"usa/ca/fresno", "usa/ca/davis", "usa/tx/waco", "peru/lima/lince",
                                          "peru/lima/ate"};

class MemoryBudget : public FeedFixture {
 protected:
  void SetUp() override {
    std::vector<FakeRegistry::Entry> entries = {{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}};
    unsigned number = 10;
    for (const std::string& leaf : kLeaves) entries.push_back({leaf, EntryKind::version, number++, number * 1.0});
    registry_.release(entries);
  }
  /// With room for the inner nodes and this many leaves: their artefacts are equally large.
  void begin(double leaves, std::size_t nodes_at_once = 1000) {
    FeedOptions options;
    options.nodes_at_once = nodes_at_once;
    options.memory_budget = static_cast<std::uint64_t>((2 + leaves) * static_cast<double>(artefact_of(1).size()));
    budget_ = options.memory_budget;
    pack_files_ = &files_;
    FeedFixture::begin(options);
  }
  /// The shard looks at its memory, and what it then wants comes in.
  void look() {
    for (int i = 0; i < 3; ++i) {
      clock_.advance(1'000'000);
      ASSERT_OK(feed_->step());
    }
    check_bytes();
  }
  /// Adds up what may answer, each artefact once.
  void check_bytes() {
    std::map<Hash256, std::uint64_t> in;
    each_node(live_->current(), [&](const Model&, const Tag&, const Node& node) {
      for (const Answer* answer : {&node.wanted, &node.previous}) {
        if (answer->servable != nullptr) in[answer->artefact] = answer->servable->bytes().size();
      }
    });
    std::uint64_t sum = 0;
    for (const auto& [hash, bytes] : in) sum += bytes;
    EXPECT_EQ(feed_->memory_bytes(), sum);
    EXPECT_LE(sum, std::max<std::uint64_t>(budget_, 2 * artefact_of(1).size()));
  }
  int exact() {
    int count = 0;
    each_node(live_->current(), [&](const Model&, const Tag&, const Node& node) {
      count += node.partition.size() == 3 && node.wanted.is_ready();
    });
    return count;
  }

  std::uint64_t budget_ = 0;
};

TEST_F(MemoryBudget, TheLeastRecentlyUsedLeavesGoAndInnerNodesStay) {
  begin(2.5);
  ASSERT_OK(feed_->sync());
  clock_.advance(5'000'000);
  ask("usa/tx/waco");
  ask("peru/lima/ate");
  look();
  EXPECT_EQ(ask("usa/tx/waco"), "12 exact");
  EXPECT_EQ(ask("peru/lima/ate"), "14 exact");
  EXPECT_EQ(ask("usa/ca/fresno"), "2 over_budget");
  EXPECT_EQ(ask("peru/lima/lince"), "1 over_budget");
  EXPECT_EQ(ask("usa"), "2 exact");
  EXPECT_EQ(feed_->evicted(), 3u);
}

TEST_F(MemoryBudget, InnerNodesStayWhereTheyAloneAreTooMuch) {
  begin(-1);
  ASSERT_OK(feed_->sync());
  look();
  EXPECT_EQ(ask("usa"), "2 exact");
  EXPECT_EQ(ask("peru"), "1 no_version");
  EXPECT_EQ(exact(), 0);
}

TEST_F(MemoryBudget, WhatIsAskedForAgainComesBackInThePlaceOfWhatIsNot) {
  begin(2.5);
  ASSERT_OK(feed_->sync());
  look();
  ASSERT_EQ(exact(), 2);
  std::string wish;
  for (const std::string& leaf : kLeaves) {
    if (ask(leaf).ends_with("over_budget")) wish = leaf;
  }
  for (int i = 0; i < 2; ++i) look();  // everything was asked for once: nothing changes
  EXPECT_TRUE(ask(wish).ends_with("over_budget"));
  look();
  ask(wish);
  look();
  EXPECT_TRUE(ask(wish).ends_with("exact"));
  EXPECT_EQ(exact(), 2);
}

TEST_F(MemoryBudget, AScanDoesNotDriveOutWhatIsAskedForAllTheTime) {
  begin(2.5);
  ASSERT_OK(feed_->sync());
  clock_.advance(5'000'000);
  ask("usa/tx/waco");
  ask("peru/lima/ate");
  look();
  for (int pass = 0; pass < 4; ++pass) {
    for (const std::string& leaf : kLeaves) {
      clock_.advance(300'000);
      ask(leaf);
      clock_.advance(300'000);
      EXPECT_EQ(ask("usa/tx/waco"), "12 exact");
      EXPECT_EQ(ask("peru/lima/ate"), "14 exact");
    }
    look();
  }
}

TEST_F(MemoryBudget, ANewVersionOfALeafThatWentIsNotFetched) {
  begin(2.5);
  ASSERT_OK(feed_->sync());
  clock_.advance(5'000'000);
  ask("usa/tx/waco");
  ask("peru/lima/ate");
  look();
  const int fetches = registry_.fetches;
  registry_.release({{"usa/ca/fresno", EntryKind::version, 50, 50}});
  look();
  EXPECT_EQ(registry_.fetches, fetches);
  EXPECT_EQ(ask("usa/ca/fresno"), "2 over_budget");
  EXPECT_TRUE(registry_.acks.back().failed.empty()) << "it is as it should be";
  for (int i = 0; i < 3; ++i) {
    ask("usa/ca/fresno");
    look();
  }
  EXPECT_EQ(ask("usa/ca/fresno"), "50 exact");
}

TEST_F(MemoryBudget, WhatNobodyAnswersForAnyMoreComesBackBeforeTheQuarantineIsAcknowledged) {
  begin(2.5);
  ASSERT_OK(feed_->sync());
  clock_.advance(5'000'000);
  ask("usa/tx/waco");
  ask("peru/lima/ate");
  look();
  ASSERT_EQ(ask("peru/lima/lince"), "1 over_budget");
  registry_.acks.clear();
  registry_.quarantine(1);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("peru/lima/lince"), "13 exact");
  EXPECT_EQ(ask("peru/lima/ate"), "14 exact");
  EXPECT_EQ(ask("usa/ca/fresno"), "2 over_budget");
  ASSERT_FALSE(registry_.acks.empty());
  look();
  EXPECT_EQ(ask("peru/lima/lince"), "13 exact") << "it does not go either";
  EXPECT_EQ(ask("peru/lima/ate"), "14 exact");
}

TEST_F(MemoryBudget, WhatNobodyAnswersForAnyMoreComesBackWhenTheNodeAboveIsTakenAway) {
  begin(2.5);
  ASSERT_OK(feed_->sync());
  clock_.advance(5'000'000);
  ask("usa/tx/waco");
  ask("peru/lima/ate");
  look();
  registry_.release({{"", EntryKind::unset}});
  ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("peru/lima/lince"), "13 exact");
}

TEST_F(MemoryBudget, AnArtefactOfTwoTagsCountsOnceAndComesInForBoth) {
  std::vector<FakeRegistry::Entry> entries = {{"", EntryKind::version, 1, 1}, {"usa", EntryKind::version, 2, 2}};
  unsigned number = 10;
  for (const std::string& leaf : kLeaves) entries.push_back({leaf, EntryKind::version, number++, number * 1.0});
  registry_.release(entries, "canary");
  begin(2.5, 2);
  ASSERT_OK(feed_->sync());
  for (int i = 0; i < 12; ++i) ASSERT_OK(feed_->step());
  look();
  EXPECT_EQ(exact(), 4) << "two artefacts, for two tags each";
  const Model* model = live_->current().models.find(model::model_key("acme", "total"));
  for (const std::string& leaf : kLeaves) {
    EXPECT_EQ(choose(*model, *model->find_tag("canary"), path_of(leaf))->answer->version,
              choose(*model, *model->find_tag("production"), path_of(leaf))->answer->version);
  }
}

TEST_F(MemoryBudget, IsKeptWhileTheRegistryIsAway) {
  begin(2.5);
  ASSERT_OK(feed_->sync());
  ASSERT_EQ(exact(), 5);
  registry_.is_away = true;
  for (int i = 0; i < 3; ++i) {
    clock_.advance(1'000'000);
    EXPECT_FALSE(feed_->step().ok());
  }
  check_bytes();
  EXPECT_EQ(exact(), 2);
}

TEST_F(MemoryBudget, AStartFromDiskKeepsItFromTheFirstAnswer) {
  begin(10);
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  begin(2.5);
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(exact(), 2);
  for (const std::string& leaf : kLeaves) EXPECT_FALSE(ask(leaf).ends_with("cold")) << leaf;
}

TEST_F(MemoryBudget, ALeafIsNotTheFirstToGoBecauseItIsNew) {
  begin(2.5);
  ASSERT_OK(feed_->sync());
  clock_.advance(5'000'000);
  ask("usa/tx/waco");
  look();
  clock_.advance(5'000'000);
  registry_.release({{"usa/ca/napa", EntryKind::version, 60, 60}});
  ASSERT_OK(feed_->step());
  ASSERT_EQ(ask("usa/tx/waco"), "12 exact");
  look();
  EXPECT_EQ(exact(), 2);
  const Node* fresh = live_->current()
                          .models.find(model::model_key("acme", "total"))
                          ->find_tag("production")
                          ->nodes.find(node_key_of({"usa", "ca", "napa"}));
  EXPECT_TRUE(fresh->wanted.is_ready());
}

TEST_F(MemoryBudget, WhatCouldNotBeStoredIsNotALeafThatMadeRoom) {
  begin(4);
  ASSERT_OK(feed_->sync());
  clock_.advance(5'000'000);
  for (const std::string& leaf : kLeaves) ask(leaf);
  registry_.release({{"usa/ca/napa", EntryKind::version, 60, 60}});
  files_.fail_all(Status(Code::resource_exhausted, "no space"),
                  testing::FaultyFiles::kPreallocate | testing::FaultyFiles::kWrite);
  ASSERT_OK(pack_->close_segment());  // one that is open has room left
  ASSERT_OK(feed_->step());
  ASSERT_EQ(ask("usa/ca/napa"), "2 over_budget");
  const int fetches = registry_.fetches;
  for (int i = 0; i < 2; ++i) {
    ask("usa/ca/napa");
    clock_.advance(100'000);
    ASSERT_OK(feed_->step());
  }
  EXPECT_EQ(registry_.fetches, fetches) << "asking does not shorten the wait for room on the disk";
  EXPECT_EQ(registry_.acks.back().failed.size(), 1u);
}

TEST_F(MemoryBudget, AStartTakesInAsMuchAsFits) {
  begin(2.5, 2);
  ASSERT_OK(feed_->sync());
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(feed_->step());
    EXPECT_LE(exact(), 2);
  }
  look();
  EXPECT_EQ(exact(), 2);
  EXPECT_FALSE(registry_.acks.empty()) << "what is left out is not waited for";
}

}  // namespace
}  // namespace espalier::shard
