#include "cli/status/problems.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace espalier::cli {
namespace {

class ProblemsTest : public ::testing::Test {
 protected:
  ProblemsTest() {
    evidence_.wall_us = 1'763'672'558'000'000;
    evidence_.registry = asked("registry", "registry");
    evidence_.status.epoch = 12;
    evidence_.keys.emplace();
    for (const char* name : {"r0", "r1"}) {
      AskedRouter router;
      router.asked = asked("router", name);
      router.status.shards = {{"s0", 1, 1, 0}, {"s1", 1, 1, 0}};
      evidence_.routers.push_back(router);
    }
    for (const char* name : {"s0", "s1", "s2"}) {
      AskedShard shard;
      shard.asked = asked("shard", name);
      shard.is_in_view = true;
      shard.status.epoch = 12;
      evidence_.shards.push_back(shard);
    }
  }

  static Asked asked(const std::string& role, const std::string& name) {
    Asked asked;
    asked.role = role;
    asked.name = name;
    asked.reach = Reach::answers;
    asked.version = "0.1.0";
    asked.health.disk_size = 100ull << 30;
    asked.health.disk_free = 50ull << 30;
    return asked;
  }

  /// "kind about" of each, a warning's with "-" before it.
  std::vector<std::string> found() const {
    std::vector<std::string> texts;
    for (const Problem& problem : problems_of(evidence_)) {
      EXPECT_FALSE(problem.what.empty());
      EXPECT_FALSE(problem.remedy.empty());
      texts.push_back((problem.is_warning ? "-" : "") + problem.kind + " " + problem.about);
    }
    return texts;
  }
  using Texts = std::vector<std::string>;

  Evidence evidence_;
};

TEST_F(ProblemsTest, AClusterThatIsWellHasNone) { EXPECT_EQ(found(), Texts()); }

TEST_F(ProblemsTest, WhoDoesNotAnswerIsNamedByHow) {
  evidence_.shards[0].asked.reach = Reach::gone;
  evidence_.shards[1].asked.reach = Reach::silent;
  evidence_.shards[2].asked.reach = Reach::away;
  evidence_.routers[1].asked.reach = Reach::silent;
  evidence_.registry.reach = Reach::gone;
  EXPECT_EQ(found(), (Texts{"registry_dead the registry", "router_hung router r1", "shard_dead shard s0",
                            "shard_hung shard s1", "shard_unreachable shard s2"}));
}

TEST_F(ProblemsTest, WhoHangsIsNotAlsoBehind) {
  evidence_.shards[0].asked.reach = Reach::silent;
  evidence_.shards[0].asked.health.behind_us = 100'000'000;
  evidence_.shards[0].state = cluster::ShardState::gone;
  EXPECT_EQ(found(), Texts{"shard_hung shard s0"});
}

TEST_F(ProblemsTest, WhileTheRegistryIsAwayNobodyIsBehind) {
  evidence_.registry.reach = Reach::gone;
  for (AskedShard& shard : evidence_.shards) {
    shard.asked.health.behind_us = 100'000'000;
    shard.asked.health.problems = {{"not_taking_in", "unavailable: the registry does not answer"}};
  }
  EXPECT_EQ(found(), Texts{"registry_dead the registry"});
}

TEST_F(ProblemsTest, WhoIsCutOffIsBehindAndNotOnlyOutOfTheView) {
  evidence_.shards[2].asked.health.behind_us = 9'000'000;
  evidence_.shards[2].state = cluster::ShardState::gone;
  EXPECT_EQ(found(), Texts{"lease_lost shard s2"});
  evidence_.shards[2].asked.health.behind_us = 10'000'000;
  EXPECT_EQ(found(), Texts{"epoch_stuck shard s2"});
}

TEST_F(ProblemsTest, ARouterNeedsAShardThatItReaches) {
  evidence_.routers[0].status.shards.clear();
  evidence_.routers[1].status.shards = {{"s0", 1, 0, 9}, {"s1", 1, 0, 0}};
  EXPECT_EQ(found(), (Texts{"router_without_shards router r0", "router_without_shards router r1"}));
  // Where no shard answers here either, the shards are what is wrong.
  evidence_.routers.erase(evidence_.routers.begin());
  for (AskedShard& shard : evidence_.shards) shard.asked.reach = Reach::silent;
  EXPECT_EQ(found(), (Texts{"shard_hung shard s0", "shard_hung shard s1", "shard_hung shard s2"}));
}

TEST_F(ProblemsTest, AFullDiskIsToldInsteadOfWhatCouldNotBeWritten) {
  evidence_.shards[1].asked.health.disk_free = 1000;
  evidence_.shards[1].asked.health.problems = {{"unsaved", "resource_exhausted: no space"}};
  evidence_.shards[1].asked.health.behind_us = 100'000'000;
  EXPECT_EQ(found(), Texts{"disk_full shard s1"});
  evidence_.registry.health.disk_free = 0;
  evidence_.registry.health.problems = {{"not_writing", "a write failed"}};
  EXPECT_EQ(found(), (Texts{"disk_full the registry", "disk_full shard s1"}));
}

TEST_F(ProblemsTest, ARegistryThatCanNotWriteIsReadOnly) {
  evidence_.registry.health.problems = {{"not_writing", "a write failed"}};
  EXPECT_EQ(found(), Texts{"registry_read_only the registry"});
  evidence_.registry.health.is_disk_read_only = true;
  EXPECT_EQ(found(), Texts{"registry_read_only the registry"});
}

TEST_F(ProblemsTest, TheClockThatDiffersFromMostIsOff) {
  evidence_.shards[1].asked.clock_off_us = 5'000'000;
  evidence_.shards[2].asked.clock_off_us = 900'000;
  EXPECT_EQ(found(), Texts{"clock_off shard s1"});
  // As slow an answer may come from a clock that is right.
  evidence_.shards[1].asked.clock_slack_us = 4'500'000;
  EXPECT_EQ(found(), Texts());
  const auto off = [](Asked& asked) { asked.clock_off_us = -60'000'000, asked.clock_slack_us = 0; };
  off(evidence_.registry);
  for (AskedRouter& router : evidence_.routers) off(router.asked);
  for (AskedShard& shard : evidence_.shards) off(shard.asked);
  EXPECT_EQ(found(), Texts{"clock_off this machine"});
}

TEST_F(ProblemsTest, KeysAreToldOfBeforeAndAfterTheirEnd) {
  const std::int64_t day = 86'400'000'000;
  const auto key = [&](const char* name, std::int64_t left_us, bool is_revoked = false) {
    wire::KeyRecord record;
    record.name = name;
    record.roles = {"predictor"};
    record.expires_us = evidence_.wall_us + left_us;
    record.revoked_us = is_revoked ? 1 : 0;
    evidence_.keys->push_back(record);
  };
  key("long-ago", -40 * day);
  key("revoked", -day, true);
  key("soon", 3 * day);
  key("ended", -day);
  key("later", 30 * day);
  EXPECT_EQ(found(), (Texts{"key_expired key ended", "-key_expiring key soon"}));
}

TEST_F(ProblemsTest, EachReasonOfFallbackHasItsName) {
  using wire::Reason;
  evidence_.shards[0].status.alerts = {{"acme", "m", Reason::cold, 100, 50, 1}};
  evidence_.shards[1].status.alerts = {{"acme", "m", Reason::quarantined, 100, 50, 1}};
  evidence_.shards[2].status.not_ready = {{Reason::corrupt, 3}, {Reason::cold, 7}};
  EXPECT_EQ(found(), (Texts{"corrupt_pack shard s2", "cold_storm shard s0", "quarantined shard s1"}));
}

TEST_F(ProblemsTest, WarningsComeLast) {
  evidence_.registry.health.disk_free = 5ull << 30;
  evidence_.shards[0].asked.version = "0.2.0";
  evidence_.shards[1].asked.reach = Reach::gone;
  EXPECT_EQ(found(), (Texts{"shard_dead shard s1", "-disk_near the registry", "-versions_differ versions"}));
}

}  // namespace
}  // namespace espalier::cli
