// Changes behind the horizon go from the feed; a reader who misses one takes a snapshot; history stays whole.
#include "registry/upkeep/check.h"
#include "registry/upkeep/stopped.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

class FeedHorizonTest : public RegistryFixture {
 protected:
  FeedHorizonTest() { open_keeping(6); }
  void open_keeping(std::uint64_t epochs) {
    registry_.reset();
    RegistryOptions options;
    options.kept_epochs = epochs;
    auto registry = Registry::open(files_, clock_, folder_.path(), options);
    ASSERT_OK(registry);
    registry_ = *std::move(registry);
  }
  /// Releases from `first` to `last`, each of its own node too.
  void publish_some(std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t i = first; i <= last; ++i) {
      clock_.advance(1'000'000);
      const auto reply = publish(i, {{{}, i}});
      ASSERT_OK(reply);
      epochs_.push_back(reply->epoch);
    }
  }
  wire::FeedReply feed(std::uint64_t after) {
    wire::FeedRequest request;
    request.generation = registry_->hello(local_, {})->generation;
    request.after = after;
    const auto reply = registry_->feed(local_, request);
    EXPECT_OK(reply);
    return *reply;
  }
  std::vector<std::uint64_t> epochs_;
};

TEST_F(FeedHorizonTest, AReaderWhoMissesAChangeTakesASnapshotAndNobodySeesAGap) {
  publish_some(1, 30);
  const std::uint64_t newest = epochs_.back();
  EXPECT_TRUE(feed(0).snapshot_required);
  std::size_t resumed = 0;
  for (const std::uint64_t after : epochs_) {
    const auto reply = feed(after);
    if (reply.snapshot_required) {
      EXPECT_LT(after, newest - 6);
      EXPECT_TRUE(reply.changes.empty());
      wire::ChangedEntriesRequest entries;
      entries.epoch = after;
      EXPECT_CODE(registry_->changed_entries(local_, entries), Code::failed_precondition);
      continue;
    }
    ++resumed;
    std::uint64_t expected = after;
    for (const auto& change : reply.changes) {
      EXPECT_EQ(change.previous, expected);
      expected = change.epoch;
      EXPECT_EQ(moved(change.epoch).substr(0, 2), "/=");
    }
    EXPECT_EQ(expected, newest);
  }
  EXPECT_GE(resumed, 3u);
  EXPECT_LT(resumed, 10u);
}

TEST_F(FeedHorizonTest, HistoryStaysWhole) {
  publish_some(1, 30);
  for (std::uint32_t i = 0; i < 30; ++i) {
    EXPECT_EQ(state(epochs_[i]), "/=" + std::to_string(i + 1));
    wire::TagEntriesRequest request = of_total<wire::TagEntriesRequest>();
    request.tag = "production";
    request.time_us = 1'700'000'000'000'000 + (i + 1) * 1'000'000 + 500'000;
    const auto as_of = registry_->tag_entries(local_, request);
    ASSERT_OK(as_of);
    EXPECT_EQ(as_of->entries.at(0).version, uuid('v', i + 1));
  }
  registry_.reset();
  const auto stopped = upkeep::open_stopped(files_, clock_, folder_.path());
  ASSERT_OK(stopped);
  const auto check = upkeep::Check::start(*stopped->records);
  ASSERT_OK((*check)->run_to_the_end(clock_));
  for (const auto& finding : (*check)->findings().take()) ADD_FAILURE() << finding.table << finding.key << finding.what;
}

TEST_F(FeedHorizonTest, AShorterHorizonIsReachedAndAnotherOneKeepsAll) {
  open_keeping(0);
  publish_some(1, 20);
  EXPECT_EQ(feed(0).changes.size(), 20u);
  open_keeping(4);
  publish_some(21, 30);
  EXPECT_TRUE(feed(epochs_[24]).snapshot_required);
  EXPECT_FALSE(feed(epochs_[28]).snapshot_required);
}

}  // namespace
}  // namespace espalier::registry
