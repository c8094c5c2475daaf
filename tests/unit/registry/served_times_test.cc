#include "registry/served_times.h"

#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

wire::StatusReply report(const ServedTimes& times) {
  wire::StatusReply status;
  times.report(status);
  return status;
}

TEST(ServedTimes, CountFromEachCommitUntilItIsServed) {
  ManualClock clock;
  ServedTimes times(clock);
  EXPECT_EQ(report(times).served.count, 0U);
  times.committed(5);
  clock.advance(10);
  times.committed(7);
  clock.advance(10);
  EXPECT_FALSE(times.waits_for(4));
  times.served(4);
  EXPECT_EQ(report(times).being_served, 2U);
  times.served(6);
  EXPECT_EQ(report(times).served.count, 1U);
  EXPECT_EQ(report(times).served.max_us, 20U);
  clock.advance(5);
  times.served(7);
  times.served(7);
  EXPECT_EQ(report(times).served.count, 2U);
  EXPECT_EQ(report(times).served.p50_us, 15U);
  EXPECT_EQ(report(times).served.p99_us, 20U);
  EXPECT_EQ(report(times).being_served, 0U);
}

TEST(ServedTimes, ACommitThatWasLostGetsNoTime) {
  ManualClock clock;
  ServedTimes times(clock);
  times.committed(5);
  times.committed(6);
  clock.advance(100);
  times.committed(5);
  EXPECT_EQ(report(times).being_served, 1U);
  clock.advance(1);
  times.served(6);
  EXPECT_EQ(report(times).served.count, 1U);
  EXPECT_EQ(report(times).served.max_us, 1U);
}

TEST(ServedTimes, WhatIsWaitedForIsBounded) {
  const ManualClock clock;
  ServedTimes times(clock);
  for (std::uint64_t epoch = 1; epoch <= ServedTimes::kMostWaiting + 3; ++epoch) times.committed(epoch);
  EXPECT_EQ(report(times).being_served, ServedTimes::kMostWaiting);
  EXPECT_EQ(report(times).not_timed, 3U);
}

class StatusTest : public RegistryFixture {
 protected:
  void join(const std::string& shard) {
    wire::JoinRequest request;
    request.idem = uuid('j', ++joined_);
    request.shard = {shard, {"ipc:///run/" + shard}, 1};
    EXPECT_OK(registry_->join(local_, request).status());
  }
  void ack(const std::string& shard, std::uint64_t epoch) {
    EXPECT_OK(registry_->ack(local_, {shard, registry_->hello(local_, {})->generation, epoch, {}}).status());
  }
  wire::StatusReply status() { return *registry_->status(local_, {}); }

  const Principal local_ = Principal::local();
  std::uint32_t joined_ = 0;
};

TEST_F(StatusTest, AReleaseIsTimedOnceAllShardsHaveAcknowledgedIt) {
  join("s0");
  join("s1");
  ASSERT_OK_AND_ASSIGN(const auto first, publish(1, {{{}, 1}}));
  EXPECT_EQ(status().being_served, 1U);
  ack("s0", first.epoch);
  EXPECT_EQ(status().served.count, 0U);
  ack("s1", first.epoch);
  EXPECT_EQ(status().served.count, 1U);
  EXPECT_EQ(status().being_served, 0U);
  EXPECT_EQ(status().epoch, first.epoch);
  EXPECT_FALSE(status().version.empty());
}

TEST_F(StatusTest, AShardThatLeavesIsNotWaitedFor) {
  join("s0");
  join("s1");
  ASSERT_OK_AND_ASSIGN(const auto first, publish(1, {{{}, 1}}));
  ack("s0", first.epoch);
  EXPECT_EQ(status().served.count, 0U);
  EXPECT_OK(registry_->leave(local_, {uuid('l', 1), "s1"}).status());
  EXPECT_EQ(status().served.count, 1U);
}

TEST_F(StatusTest, WithoutShardsNothingIsServed) {
  ASSERT_OK(publish(1, {{{}, 1}}).status());
  EXPECT_EQ(status().served.count, 0U);
  EXPECT_EQ(status().being_served, 1U);
}

TEST_F(StatusTest, AReleaseThatIsSentAgainIsTimedOnce) {
  join("s0");
  const Proposal proposal = propose(1, {{{}, 1}});
  ASSERT_OK_AND_ASSIGN(const auto first, publish(proposal));
  ack("s0", first.epoch);
  ASSERT_OK(publish(proposal).status());
  EXPECT_EQ(status().being_served, 0U);
  EXPECT_EQ(status().served.count, 1U);
}

}  // namespace
}  // namespace espalier::registry
