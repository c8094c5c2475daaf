// Space on a shard: what no tag names goes after a while, what answers moves under the readers, and nothing of an
// erased tenant is left.
#include "shard/space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "shard/feed.h"
#include "tests/support/faulty_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/shard/fake_registry.h"
#include "tests/unit/shard/table_builder.h"

namespace espalier::shard {
namespace {

using testing::FaultyFiles;
using wire::EntryKind;

constexpr int kNodes = 12;

class ShardSpace : public ::testing::Test {
 protected:
  void SetUp() override { start(); }

  void start() {
    feed_.reset();
    space_.reset();
    admission_.reset();
    live_.emplace(std::make_unique<const ModelTable>());
    auto pack = model::Pack::open(files_, dir_ / "pack", {8192});
    ASSERT_OK(pack);
    pack_ = *std::move(pack);
    admission_.emplace(*pack_, damage_);
    space_.emplace(SpaceOptions{}, *pack_, *admission_, damage_, clock_);
    FeedOptions options;
    options.self.name = "s0";
    feed_.emplace(options, registry_, *admission_, *space_, scrub_, damage_, *live_, state_, clock_);
  }
  /// Every node anew, in artefacts that no other release has.
  void release(int number, const std::string& tenant = "acme") {
    std::vector<FakeRegistry::Entry> entries;
    for (int i = 0; i < kNodes; ++i) {
      const auto version = static_cast<unsigned>(100 * number + i);
      entries.push_back({i == 0 ? "" : "land" + std::to_string(i), EntryKind::version, version, bias_of(number, i)});
    }
    registry_.release(entries, "production", tenant);
  }
  static double bias_of(int number, int node) { return 100.0 * number + node; }
  /// Until there is nothing to do but wait.
  void settle() {
    for (int i = 0; i < 200; ++i) ASSERT_OK(feed_->step());
  }
  /// Until the epoch is acknowledged.
  void acknowledge(std::uint64_t epoch) {
    for (int i = 0; i < 200; ++i) {
      ASSERT_OK(feed_->step());
      if (!registry_.acks.empty() && registry_.acks.back().epoch >= epoch) return;
    }
    FAIL() << "epoch " << epoch << " is not acknowledged";
  }
  /// Of the nodes of acme/total, how many are ready and answer with the release's own artefact.
  int answering(int number) const {
    int count = 0;
    const Model* model = live_->current().models.find(model::model_key("acme", "total"));
    if (model == nullptr) return 0;
    model->find_tag("production")->nodes.for_each([&](const auto& node) {
      const bool is_its =
          node->wanted.version.bytes[15] + 256u * node->wanted.version.bytes[14] >= 100u * unsigned(number);
      if (!node->wanted.is_ready() || !is_its) return;
      if (admission_->is_current(node->wanted.artefact, *node->wanted.servable)) ++count;
    });
    return count;
  }
  std::uint64_t disk_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& file : std::filesystem::directory_iterator(dir_ / "pack")) {
      if (file.path().extension() == ".pack") sum += file.file_size();
    }
    return sum;
  }
  /// Whether any file of the shard's folder has these bytes.
  bool is_on_disk(const std::string& bytes) const {
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(in), {}};
      if (content.find(bytes) != std::string::npos) return true;
    }
    return false;
  }

  testing::TempDir dir_;
  ManualClock clock_;
  FaultyFiles files_;
  FakeRegistry registry_;
  StateFile state_{files_, dir_ / "state"};
  std::unique_ptr<model::Pack> pack_;
  std::optional<LiveTable> live_;
  std::optional<Admission> admission_;
  std::optional<Space> space_;
  Damage damage_;
  Scrub scrub_{0, damage_, clock_};
  std::optional<Feed> feed_;
};

TEST_F(ShardSpace, WhatNoTagNamesGoesAfterAWhile) {
  for (int number = 1; number <= 8; ++number) {
    release(number);
    ASSERT_OK(feed_->sync());
  }
  settle();
  const std::uint64_t before = disk_bytes();
  EXPECT_TRUE(admission_->has(blake2b_256(artefact_of(bias_of(7, 1))))) << "a way back";
  clock_.advance(SpaceOptions{}.look_every_us);
  settle();
  EXPECT_TRUE(admission_->has(blake2b_256(artefact_of(bias_of(7, 1))))) << "it has only now been seen";
  clock_.advance(SpaceOptions{}.keep_unused_us);
  settle();
  EXPECT_LT(disk_bytes(), before / 2);
  EXPECT_FALSE(admission_->has(blake2b_256(artefact_of(bias_of(7, 1)))));
  EXPECT_EQ(answering(8), kNodes) << "each from where its artefact is now";
  start();
  ASSERT_OK(feed_->restore());
  EXPECT_EQ(answering(8), kNodes);
}

TEST_F(ShardSpace, WhatAnswersInPlaceOfAnotherStays) {
  release(1);
  ASSERT_OK(feed_->sync());
  for (int i = 0; i < kNodes; ++i) artefact_of(bias_of(2, i));
  release(2);
  for (int i = 0; i < kNodes; ++i) registry_.lose(bias_of(2, i));
  ASSERT_OK(feed_->sync());
  for (int round = 0; round < 3; ++round) {
    clock_.advance(SpaceOptions{}.keep_unused_us);
    settle();
  }
  const Model* model = live_->current().models.find(model::model_key("acme", "total"));
  model->find_tag("production")->nodes.for_each([&](const auto& node) {
    EXPECT_FALSE(node->wanted.is_ready());
    ASSERT_TRUE(node->previous.is_ready());
    EXPECT_TRUE(admission_->has(node->previous.artefact));
  });
}

TEST_F(ShardSpace, ReadersAnswerWhileTheirArtefactsMove) {
  for (int number = 1; number <= 6; ++number) {
    release(number);
    ASSERT_OK(feed_->sync());
  }
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> answered{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      LiveTable::Reader reader(*live_);
      model::Artefact::Scratch scratch;
      const std::string key = model::model_key("acme", "total");
      while (!stop.load(std::memory_order_relaxed)) {
        const auto lease = reader.lease();
        lease->models.find(key)->find_tag("production")->nodes.for_each([&](const auto& node) {
          const bool is_whole = node->wanted.is_ready() && node->wanted.servable->artefact.replay_probes(scratch).ok();
          (is_whole ? answered : wrong).fetch_add(1, std::memory_order_relaxed);
        });
      }
    });
  }
  const std::uint64_t before = disk_bytes();
  for (int number = 7; number <= 12; ++number) {
    clock_.advance(SpaceOptions{}.keep_unused_us + SpaceOptions{}.look_every_us);
    settle();
    release(number);
    ASSERT_OK(feed_->sync());
    const std::uint64_t enough = answered + 1000;
    while (answered < enough && wrong == 0) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_LT(disk_bytes(), before);
  EXPECT_EQ(answering(12), kNodes);
}

TEST_F(ShardSpace, NothingOfAnErasedTenantIsLeftWhenItIsAcknowledged) {
  release(1);
  release(2, "globex");
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  ASSERT_TRUE(is_on_disk(artefact_of(bias_of(2, 3))));
  ASSERT_TRUE(is_on_disk("globex"));
  release(3, "globex");
  const std::uint64_t epoch = registry_.erase("globex");
  registry_.acks.clear();
  ASSERT_OK(feed_->step());
  EXPECT_EQ(live_->current().models.find(model::model_key("globex", "total")), nullptr) << "from the swap on";
  acknowledge(epoch);
  EXPECT_EQ(live_->current().models.find(model::model_key("globex", "total")), nullptr);
  EXPECT_FALSE(is_on_disk("globex"));
  for (int i = 0; i < kNodes; ++i) EXPECT_FALSE(is_on_disk(artefact_of(bias_of(2, i)))) << i;
  EXPECT_EQ(answering(1), kNodes) << "the other tenant's";
}

TEST_F(ShardSpace, OneThatWasDownForgetsTheTenantBeforeItServes) {
  release(1);
  release(2, "globex");
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  const std::uint64_t epoch = registry_.erase("globex");
  start();
  ASSERT_OK(feed_->restore());
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(live_->current().models.find(model::model_key("globex", "total")), nullptr);
  acknowledge(epoch);
  EXPECT_EQ(live_->current().models.find(model::model_key("globex", "total")), nullptr);
  EXPECT_FALSE(is_on_disk("globex"));
  EXPECT_FALSE(is_on_disk(artefact_of(bias_of(2, 1))));
  EXPECT_EQ(answering(1), kNodes);
}

TEST_F(ShardSpace, AlsoOneThatHasLostItsStateOrNeedsASnapshot) {
  release(1);
  release(2, "globex");
  ASSERT_OK(feed_->sync());
  registry_.erase("globex");
  start();  // its state was never saved
  ASSERT_OK(feed_->sync());
  acknowledge(registry_.epoch());
  EXPECT_FALSE(is_on_disk(artefact_of(bias_of(2, 1))));
  EXPECT_EQ(answering(1), kNodes);

  release(3, "initech");
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  const std::uint64_t gap = registry_.erase("initech");
  registry_.skip_change(gap);
  release(4);
  ASSERT_OK(feed_->sync());
  acknowledge(registry_.epoch());
  EXPECT_EQ(live_->current().models.find(model::model_key("initech", "total")), nullptr);
  EXPECT_FALSE(is_on_disk("initech"));
  EXPECT_FALSE(is_on_disk(artefact_of(bias_of(3, 1))));
  EXPECT_EQ(answering(4), kNodes);
}

TEST_F(ShardSpace, ASnapshotAlsoForgetsWhatOnlyThePackStillHas) {
  release(1);
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  release(2, "globex");
  ASSERT_OK(feed_->sync());  // its state doesn't know of it
  registry_.skip_change(registry_.erase("globex"));
  release(3);
  start();
  ASSERT_OK(feed_->restore());
  ASSERT_OK(feed_->sync());
  acknowledge(registry_.epoch());
  EXPECT_FALSE(is_on_disk(artefact_of(bias_of(2, 1))));
  EXPECT_EQ(answering(3), kNodes);
}

TEST_F(ShardSpace, ADamagedStateThatWasSetAsideGoesWithAnErasure) {
  release(1);
  release(2, "globex");
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  std::fstream(dir_ / "state", std::ios::in | std::ios::out | std::ios::binary).put('?');
  const std::uint64_t epoch = registry_.erase("globex");
  start();
  EXPECT_CODE(feed_->restore(), Code::corrupt);
  ASSERT_TRUE(is_on_disk("globex"));
  ASSERT_OK(feed_->sync());
  acknowledge(epoch);
  EXPECT_FALSE(is_on_disk("globex"));
}

TEST_F(ShardSpace, AnErasureThatTheDiskRefusesIsNotAcknowledged) {
  release(1);
  release(2, "globex");
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  const std::uint64_t epoch = registry_.erase("globex");
  registry_.acks.clear();
  const auto is_held_only = [](const wire::AckRequest& ack) { return ack.epoch == 0 && ack.held != 0; };
  files_.fail_all(Status(Code::resource_exhausted, "no space"), FaultyFiles::kPreallocate | FaultyFiles::kWrite);
  settle();
  EXPECT_EQ(live_->current().models.find(model::model_key("globex", "total")), nullptr) << "nobody gets an answer";
  EXPECT_TRUE(std::ranges::all_of(registry_.acks, is_held_only));
  // What needs no space goes on.
  registry_.release({{"land1", EntryKind::removed, 0, 0}});
  settle();
  EXPECT_EQ(answering(1), kNodes - 1);
  EXPECT_TRUE(std::ranges::all_of(registry_.acks, is_held_only));
  files_.heal();
  acknowledge(epoch);
  EXPECT_FALSE(is_on_disk("globex"));
  EXPECT_FALSE(is_on_disk(artefact_of(bias_of(2, 1))));
  EXPECT_EQ(answering(1), kNodes - 1);
}

TEST_F(ShardSpace, AFullDiskLeavesWhatAnswersUntilThereIsRoom) {
  release(1);
  ASSERT_OK(feed_->sync());
  files_.fail_all(Status(Code::resource_exhausted, "no space"), FaultyFiles::kPreallocate | FaultyFiles::kWrite);
  release(2);
  ASSERT_OK(feed_->step());
  int kept = 0;
  each_node(live_->current(), [&](const Model&, const Tag&, const Node& node) {
    kept += node.previous.is_ready() && node.not_ready == wire::Reason::over_budget;
  });
  // The segment that is open may have room for some.
  EXPECT_EQ(kept + answering(2), kNodes);
  EXPECT_GT(kept, 0);
  EXPECT_EQ(registry_.acks.back().failed.size(), static_cast<std::size_t>(kept));
  files_.heal();
  clock_.advance(3'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(answering(2), kNodes);
  ASSERT_OK(feed_->step());
  EXPECT_TRUE(registry_.acks.back().failed.empty());
}

TEST_F(ShardSpace, OneThatEndsBeforeItsFilesAreCleanBeginsAgain) {
  release(1);
  release(2, "globex");
  ASSERT_OK(feed_->sync());
  ASSERT_OK(feed_->save());
  const std::uint64_t epoch = registry_.erase("globex");
  files_.fail_all(Status(Code::resource_exhausted, "no space"), FaultyFiles::kPreallocate);
  settle();
  ASSERT_OK(feed_->save());  // at its end: the state that it has must not say that the erasure is done
  files_.heal();
  registry_.acks.clear();
  start();
  ASSERT_OK(feed_->restore());
  ASSERT_OK(feed_->sync());
  EXPECT_EQ(live_->current().models.find(model::model_key("globex", "total")), nullptr);
  acknowledge(epoch);
  EXPECT_FALSE(is_on_disk("globex"));
  EXPECT_FALSE(is_on_disk(artefact_of(bias_of(2, 1))));
}

}  // namespace
}  // namespace espalier::shard
