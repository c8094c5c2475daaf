// How the view changes: the rules as a table, and the registry that applies them.
#include "registry/membership.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <string>

#include "cluster/placement.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

using cluster::ShardState;

constexpr std::uint64_t kViewEpoch = 50;

const std::map<char, ShardState> kStates = {
    {'s', ShardState::serving}, {'j', ShardState::joining}, {'d', ShardState::draining}, {'g', ShardState::gone}};

/// "a:s b:j": shards and their states.
cluster::View view_of(const std::string& text) {
  cluster::View view;
  view.number = 7;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    view.shards.push_back({word.substr(0, 1), {"ipc:///x"}, 1, "", kStates.at(word[2])});
  }
  return view;
}

std::string text_of(const cluster::View& view) {
  std::string text;
  for (const auto& shard : view.shards) {
    const auto state = std::ranges::find(kStates, shard.state, &std::pair<const char, ShardState>::second);
    text += (text.empty() ? "" : " ") + shard.name + ":" + state->first;
  }
  return text;
}

TEST(NextView, FollowsFromStatesLeasesAndAcknowledgements) {
  struct Case {
    const char* name;
    const char* now;
    const char* live;   ///< whose lease holds
    const char* acked;  ///< who answers from the view's epoch
    const char* next;   ///< "=": nothing changes
  };
  const Case cases[] = {
      {"nobody", "", "", "", "="},
      {"all serve", "a:s b:s", "ab", "ab", "="},
      {"all serve, nothing is acknowledged", "a:s b:s", "ab", "", "="},
      {"a lease ends", "a:s b:s", "a", "ab", "a:s b:g"},
      {"all leases end", "a:s b:s", "", "ab", "a:g b:g"},
      {"all are gone: nobody is there to take over", "a:g b:g", "", "ab", "="},
      {"one of them is back", "a:g b:g", "b", "ab", "a:g b:s"},
      {"it has not taken in yet what came meanwhile", "a:g b:g", "b", "a", "="},
      {"what the gone one had is held", "a:s b:g", "a", "a", "a:s"},
      {"what the gone one had is not held yet", "a:s b:g", "a", "b", "="},
      {"the gone one is back in time", "a:s b:g", "ab", "ab", "a:s b:s"},
      {"a joining one holds nothing yet", "a:s b:j", "ab", "a", "="},
      {"it does, but the other hasn't heard of it", "a:s b:j", "ab", "b", "="},
      {"a joining one holds what it will own", "a:s b:j", "ab", "ab", "a:s b:s"},
      {"two join at once", "a:s b:j c:j", "abc", "abc", "a:s b:s c:s"},
      {"the other isn't ready", "a:s b:j c:j", "abc", "ab", "="},
      {"a joining one dies", "a:s b:j", "a", "ab", "a:s"},
      {"the first ones join", "a:j b:j", "ab", "ab", "a:s b:s"},
      {"a draining one is not waited for", "a:s b:d", "a", "a", "a:s"},
      {"others must hold what it has", "a:s b:d", "ab", "b", "="},
      {"it is drained", "a:s b:d", "ab", "ab", "a:s"},
      {"it must know before it is left out", "a:s b:d", "ab", "a", "="},
      {"join and drain together", "a:d b:s c:j", "abc", "abc", "b:s c:s"},
      {"of them, the draining one hasn't heard yet", "a:d b:s c:j", "abc", "bc", "="},
      {"the others die while it drains", "a:d b:s", "a", "a", "a:d b:g"},
      {"then it serves on", "a:d b:g", "a", "a", "="},
      {"a lease ends while one joins", "a:s b:s c:j", "ac", "abc", "a:s b:g c:j"},
      {"then one transition for both", "a:s b:g c:j", "ac", "ac", "a:s c:s"},
  };
  for (const Case& c : cases) {
    const cluster::View view = view_of(c.now);
    const auto next = next_view(view, kViewEpoch, [&](const std::string& shard) {
      return Standing{std::string(c.live).find(shard) != std::string::npos,
                      std::string(c.acked).find(shard) != std::string::npos ? kViewEpoch : kViewEpoch - 1};
    });
    EXPECT_EQ(next ? text_of(*next) : "=", c.next) << c.name;
    EXPECT_EQ(next.value_or(view).number, next ? 8u : 7u) << c.name;
  }
}

TEST(NextView, WhoeverBeganWithNothingInThePlaceOfAnotherIsGoneUntilItHoldsItsShare) {
  const auto next = [](const char* view, Standing b) {
    const auto changed = next_view(view_of(view), kViewEpoch, [&](const std::string& shard) {
      return shard == "b" ? b : Standing{.is_live = true, .acknowledged = kViewEpoch - 1};
    });
    return changed ? text_of(*changed) : "=";
  };
  EXPECT_EQ(next("a:s b:s", {.is_live = true, .is_empty = true}), "a:s b:g");
  EXPECT_EQ(next("a:s b:g", {.is_live = true, .is_empty = true}), "=");
  EXPECT_EQ(next("a:s b:g", {.is_live = true, .acknowledged = kViewEpoch - 1}), "=");
  EXPECT_EQ(next("a:s b:g", {.is_live = true, .acknowledged = kViewEpoch}), "a:s b:s");
  EXPECT_EQ(next("b:s", {.is_live = true, .is_empty = true}), "b:g");
  EXPECT_EQ(next("a:s b:j", {.is_live = true, .is_empty = true}), "=");
}

TEST(NextView, WaitsForWhoLacksSomethingUnlessItIsToLeave) {
  const auto waits_for = [](const char* view) {
    return waited_for(view_of(view), kViewEpoch, [](const std::string& shard) {
      return Standing{.is_live = true, .acknowledged = kViewEpoch, .is_lacking = shard == "b"};
    });
  };
  EXPECT_EQ(waits_for("a:s b:j"), Path{"b"});
  EXPECT_EQ(waits_for("a:s b:s c:j"), Path{"b"});
  EXPECT_EQ(waits_for("a:s b:d"), Path{});
  EXPECT_EQ(waits_for("a:s b:g"), Path{});
}

TEST(NextView, SettingsAndHotNodesComeIntoForceOnceTheyAreHeld) {
  cluster::View view = view_of("a:s b:s");
  view.tenants["acme"] = {1, 1, 5, 6};
  view.hot_nodes = {{"acme", "m", {"x"}, 2}, {"acme", "m", {"x"}, 4}, {"acme", "m", {"y"}, 0},
                    {"acme", "m", {"y"}, 3}, {"acme", "m", {"z"}, 3}, {"acme", "m", {"z"}, 0}};
  const auto changed = with_tenant(view, "acme", {2, 1, 7, 8});
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->tenants.at("acme").spread, 1u);
  EXPECT_EQ(changed->tenants.at("acme").requests_per_second, 7u);
  EXPECT_EQ(changed->tenants.at("acme/next").spread, 2u);
  EXPECT_FALSE(with_tenant(*changed, "acme", {2, 1, 7, 8}));
  std::uint64_t acked = 0;
  const auto standings = [&](const std::string&) { return Standing{true, acked}; };
  EXPECT_FALSE(next_view(*changed, kViewEpoch, standings));
  acked = kViewEpoch;
  const auto held = next_view(*changed, kViewEpoch, standings);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->tenants.size(), 1u);
  EXPECT_EQ(held->tenants.at("acme").spread, 2u);
  ASSERT_EQ(held->hot_nodes.size(), 2u);
  EXPECT_EQ(held->hot_nodes[0].replicas, 4u);
  EXPECT_EQ(held->hot_nodes[1].replicas, 3u);
  EXPECT_FALSE(next_view(*held, kViewEpoch, standings));
  // Limits alone move nothing; the defaults leave nothing behind.
  EXPECT_FALSE(is_moving(*with_tenant(*held, "acme", {2, 1, 0, 9})));
  EXPECT_TRUE(in_force(*with_tenant(*held, "acme", {})).tenants.empty());
}

TEST(NextView, WhatIsNextIsWhatComesIntoForce) {
  for (const char* text : {"a:s b:j c:s", "a:s b:d c:s", "a:s b:g c:j", "a:d b:j c:j"}) {
    const cluster::View view = view_of(text);
    const cluster::View after = in_force(view);
    const cluster::Placement next(view, cluster::Phase::next), then(after);
    for (int i = 0; i < 200; ++i) {
      const std::string tenant = "t" + std::to_string(i);
      std::vector<std::string> one, other;
      for (const auto shard : next.tenant(tenant).shards) one.push_back(view.shards[shard].name);
      for (const auto shard : then.tenant(tenant).shards) other.push_back(after.shards[shard].name);
      EXPECT_EQ(one, other);
    }
  }
}

TEST(Drain, IsRefusedWhereNobodyWouldBeLeft) {
  const auto state = [](const char* view, const char* shard) {
    const auto drained = with_drained(view_of(view), shard);
    return !drained.ok() ? std::string(code_name(drained.status().code())) : *drained ? text_of(**drained) : "=";
  };
  EXPECT_EQ(state("a:s b:s", "a"), "a:d b:s");
  EXPECT_EQ(state("a:s b:j", "a"), "a:d b:j");
  EXPECT_EQ(state("a:d b:s", "a"), "=");
  EXPECT_EQ(state("a:s", "a"), "failed_precondition");
  EXPECT_EQ(state("a:s b:d", "a"), "failed_precondition");
  EXPECT_EQ(state("a:s b:g", "a"), "failed_precondition");
  EXPECT_EQ(state("a:s b:j", "b"), "failed_precondition");
  EXPECT_EQ(state("a:s b:s", "c"), "not_found");
  EXPECT_NE(with_drained(view_of("a:s"), "a").status().message().find("last one that serves"), std::string::npos);
}

class MembershipTest : public RegistryFixture {
 protected:
  static constexpr std::int64_t kLease = 10'000'000;

  MembershipTest() { publish_first(); }
  void publish_first() { EXPECT_OK(publish(1, {{{}, 1}}).status()); }
  /// Time passes as it does where the server runs: tend_view() is called often enough.
  void pass(std::int64_t us) {
    for (; us > 0; us -= kLease / 4) {
      clock_.advance(std::min(us, kLease / 4));
      registry_->tend_view();
    }
  }
  std::string state() {
    registry_->tend_view();
    return text_of(registry_->view(local_, {})->view);
  }
  /// `process`: 0: it doesn't say.
  Status renew(const std::string& shard, std::uint32_t process = 0, bool is_ready = true) {
    wire::RenewRequest request;
    request.shard = shard;
    if (process != 0) request.process = uuid('p', process);
    request.is_ready = is_ready;
    return registry_->renew(local_, request).status();
  }
  void ack(const std::string& shard, const char* failure = nullptr) {
    const auto now = registry_->hello(local_, {});
    wire::AckRequest request{shard, now->generation, now->epoch, {}};
    if (failure != nullptr) request.failed.push_back({"acme", "total", {}, {}, failure});
    ASSERT_OK(registry_->ack(local_, request));
  }
  /// What a process says of the newest epoch; `is_saved`: its disk has what went out of service.
  Status ack_of(const std::string& shard, std::uint32_t process, bool is_saved = true) {
    const auto now = registry_->hello(local_, {});
    wire::AckRequest request{shard, now->generation, is_saved ? now->epoch : 0, {}, uuid('p', process)};
    if (!is_saved) request.held = now->epoch;
    if (!is_saved) request.unsaved = "resource_exhausted: no space left on device";
    return registry_->ack(local_, request).status();
  }
  /// a and b serve.
  void two_serve() {
    ASSERT_OK(join("a", 1));
    ASSERT_OK(join("b", 2));
    ack("a");
    ack("b");
    ASSERT_EQ(state(), "a:s b:s");
  }
  bool is_served() { return registry_->wait(local_, {})->served; }
};

TEST_F(MembershipTest, WhoeverJoinsServesOnceItHoldsWhatItOwns) {
  ASSERT_OK(join("a", 1));
  EXPECT_EQ(state(), "a:j");
  EXPECT_FALSE(is_served());
  ack("a");
  EXPECT_EQ(state(), "a:s");
  ASSERT_OK(join("b", 2));
  ack("b");
  EXPECT_EQ(state(), "a:s b:j");
  EXPECT_FALSE(is_served());
  ack("a");
  EXPECT_EQ(state(), "a:s b:s");
  ack("a");
  EXPECT_FALSE(is_served());
  ack("b");
  EXPECT_TRUE(is_served());
}

TEST_F(MembershipTest, ALeaseEndsAndOthersTakeOver) {
  two_serve();
  pass(kLease / 2);
  ASSERT_OK(renew("a"));
  pass(kLease / 2 + 1);
  EXPECT_EQ(state(), "a:s b:g");
  ack("a");
  EXPECT_EQ(state(), "a:s");
  EXPECT_CODE(renew("b"), Code::not_found);
  ASSERT_OK(join("b", 3));
  EXPECT_EQ(state(), "a:s b:j");
}

TEST_F(MembershipTest, WhoIsBackBeforeItsKeysWereGivenAwayServesOn) {
  two_serve();
  pass(kLease / 2);
  ASSERT_OK(renew("a"));
  pass(kLease / 2 + 1);
  EXPECT_EQ(state(), "a:s b:g");
  ASSERT_OK(renew("b"));
  EXPECT_EQ(state(), "a:s b:g") << "releases may have come meanwhile";
  ack("b");
  EXPECT_EQ(state(), "a:s b:s");
}

TEST_F(MembershipTest, AShardThatLostItsDiskServesOnceItHoldsItsShare) {
  two_serve();
  ASSERT_OK(renew("b", 1));
  ack("b");
  ASSERT_OK(renew("b", 2, false));
  ASSERT_OK(join("b", 3));
  EXPECT_EQ(state(), "a:s b:g");
  ASSERT_OK(renew("b", 2, true));
  EXPECT_EQ(state(), "a:s b:g") << "its table has something, but it hasn't said that it has all";
  ack("b");
  EXPECT_EQ(state(), "a:s b:s");
  // One that found on its disk what it had goes on.
  ASSERT_OK(renew("b", 3, true));
  EXPECT_EQ(state(), "a:s b:s");
}

TEST_F(MembershipTest, AcknowledgementsAndTheLeaseAreAProcesss) {
  two_serve();
  ASSERT_OK(renew("a", 1));
  ASSERT_OK(renew("b", 1));
  ack("a");
  ack("b");
  ASSERT_TRUE(is_served());
  ASSERT_OK(renew("b", 2));
  EXPECT_FALSE(is_served()) << "what its predecessor answered from says nothing of it";
  ack("b");
  EXPECT_TRUE(is_served());
  EXPECT_CODE(renew("b", 1), Code::failed_precondition);
  EXPECT_TRUE(is_served());
  // A clock that was set back keeps nobody out for longer than a lease.
  pass(kLease / 2);
  ASSERT_OK(renew("a", 1));
  EXPECT_CODE(renew("b", 1), Code::failed_precondition);
  pass(kLease / 2 + 1);
  EXPECT_EQ(state(), "a:s b:g");
  EXPECT_OK(renew("b", 1));
}

TEST_F(MembershipTest, WhatAnEarlierProcessSaysLateCountsForNothing) {
  two_serve();
  ASSERT_OK(renew("b", 1));
  ASSERT_OK(ack_of("b", 1));
  ASSERT_OK(renew("b", 2, false));
  EXPECT_CODE(ack_of("b", 1), Code::failed_precondition) << "sent before its end, read after its successor's renewal";
  EXPECT_FALSE(is_served());
  EXPECT_EQ(state(), "a:s b:g") << "its successor holds nothing";
  EXPECT_CODE(registry_->join(local_, {uuid('j', 9), {"b", {"ipc:///old"}, 1}, uuid('p', 1)}).status(),
              Code::failed_precondition);
  ASSERT_OK(ack_of("b", 2));
  EXPECT_EQ(state(), "a:s b:s");
}

TEST_F(MembershipTest, WhatAnEarlierProcessSaidToARegistryThatStartedIsForgotten) {
  two_serve();
  open();
  ack("a");
  ASSERT_OK(ack_of("b", 1)) << "nobody has renewed yet";
  ASSERT_TRUE(is_served());
  ASSERT_OK(renew("b", 2, false));
  EXPECT_FALSE(is_served());
  EXPECT_EQ(state(), "a:s b:g");
}

TEST_F(MembershipTest, WhoeverJoinsInThePlaceOfAnotherHasTheLease) {
  two_serve();
  ASSERT_OK(renew("b", 1));
  ASSERT_OK(ack_of("b", 1));
  ack("a");
  ASSERT_TRUE(is_served());
  ASSERT_OK(registry_->join(local_, {uuid('j', 9), {"b", {"ipc:///b"}, 1}, uuid('p', 2)}).status());
  EXPECT_FALSE(is_served());
  EXPECT_CODE(ack_of("b", 1), Code::failed_precondition);
  EXPECT_CODE(renew("b", 1), Code::failed_precondition);
  ASSERT_OK(renew("b", 2, false));
  EXPECT_EQ(state(), "a:s b:g");
}

TEST_F(MembershipTest, AProcessThatSleptThroughItsDrainingIsToldSo) {
  two_serve();
  ASSERT_OK(renew("b", 1));
  ASSERT_OK(registry_->drain(local_, {uuid('d', 1), "b"}).status());
  pass(kLease / 2);
  ASSERT_OK(renew("a", 1));
  ack("a");
  EXPECT_EQ(state(), "a:s b:d") << "b is there, and doesn't know yet";
  pass(kLease / 2 + 1);
  ack("a");
  EXPECT_EQ(state(), "a:s");
  wire::RenewRequest late;
  late.shard = "b";
  late.process = uuid('p', 1);
  ASSERT_OK_AND_ASSIGN(const auto told, registry_->renew(local_, late));
  EXPECT_EQ(told.state, ShardState::draining);
  EXPECT_CODE(renew("b", 2), Code::not_found) << "another process is to join";
  ASSERT_OK(join("b", 3));
  EXPECT_EQ(state(), "a:s b:j");
}

TEST_F(MembershipTest, WhatAShardCanNotTakeInHoldsTheTransitionForAWhile) {
  two_serve();
  ASSERT_OK(join("c", 3));
  ack("a");
  ack("b");
  ack("c", "unavailable: the pack can't be written");
  EXPECT_EQ(state(), "a:s b:s c:j");
  for (int i = 0; i < 2; ++i) {
    pass(kLease - 1);
    for (const char* shard : {"a", "b", "c"}) ASSERT_OK(renew(shard));
  }
  EXPECT_EQ(state(), "a:s b:s c:j");
  pass(kLease - 1);
  for (const char* shard : {"a", "b", "c"}) ASSERT_OK(renew(shard));
  pass(kLease / 2);
  EXPECT_EQ(state(), "a:s b:s c:s") << "three leases are over";
}

TEST_F(MembershipTest, WhatAShardCanNotSaveHoldsTheTransitionForAWhileAndIsNotServed) {
  two_serve();
  ASSERT_OK(join("c", 3));
  ack("a");
  ack("c");
  ASSERT_OK(ack_of("b", 1, false));
  for (int i = 0; i < 2; ++i) {
    pass(kLease - 1);
    for (const char* shard : {"a", "b", "c"}) ASSERT_OK(renew(shard, 1));
  }
  ack("a");
  ack("c");
  EXPECT_EQ(state(), "a:s b:s c:j");
  pass(kLease - 1);
  for (const char* shard : {"a", "b", "c"}) ASSERT_OK(renew(shard, 1));
  pass(kLease / 2);
  EXPECT_EQ(state(), "a:s b:s c:s") << "three leases are over";
  ack("a");
  ack("c");
  ASSERT_OK(ack_of("b", 1, false));
  EXPECT_FALSE(is_served()) << "a restart may still bring back what went out of service";
  EXPECT_EQ(registry_->wait(local_, {})->missing, Path{"b"});
  ASSERT_OK(ack_of("b", 1));
  EXPECT_TRUE(is_served());
}

TEST_F(MembershipTest, WhatIsDamagedInTheRegistryTooHoldsNobodyUp) {
  two_serve();
  ASSERT_OK(join("c", 3));
  ack("a");
  ack("b");
  ack("c", "unavailable: the pack can't be written");
  EXPECT_EQ(state(), "a:s b:s c:j");
  ack("c", "not_found: the registry doesn't have artefact 12");
  EXPECT_EQ(state(), "a:s b:s c:s");
}

TEST_F(MembershipTest, AReleaseDoesNotWaitForWhoIsGoneOrJoining) {
  two_serve();
  pass(kLease / 2);
  ASSERT_OK(renew("a"));
  pass(kLease / 2 + 1);
  ASSERT_OK(join("c", 3));
  EXPECT_EQ(state(), "a:s b:g c:j");
  ASSERT_OK_AND_ASSIGN(const auto release, publish(2, {{{}, 2, 7}}));
  ASSERT_OK(registry_->ack(local_, {"a", release.generation, release.epoch, {}}));
  EXPECT_TRUE(registry_->wait(local_, {release.epoch, 0})->served);
}

TEST_F(MembershipTest, NobodyIsGoneBecauseTheRegistryWasAway) {
  two_serve();
  clock_.advance(3 * kLease);  // its thread did not run
  EXPECT_EQ(state(), "a:s b:s");
  pass(kLease - kLease / 4);
  EXPECT_EQ(state(), "a:s b:s");
  ASSERT_OK(renew("b"));
  pass(kLease / 4 + 1);
  EXPECT_EQ(state(), "a:g b:s");
}

TEST_F(MembershipTest, ARegistryThatStartsCountsAllForOneLease) {
  two_serve();
  const std::uint64_t number = registry_->view(local_, {})->view.number;
  clock_.advance(5 * kLease);
  open();
  EXPECT_EQ(state(), "a:s b:s");
  pass(kLease - 1);
  EXPECT_EQ(state(), "a:s b:s");
  EXPECT_EQ(registry_->view(local_, {})->view.number, number);
  pass(2);
  EXPECT_EQ(state(), "a:g b:g");
}

TEST_F(MembershipTest, AFullDiskPutsATransitionOff) {
  two_serve();
  ASSERT_OK(join("c", 3));
  ack("a");
  ack("b");
  ack("c");
  env_.tear_next_append();
  env_.refuse_new_files(true);
  EXPECT_EQ(state(), "a:s b:s c:j");
  env_.refuse_new_files(false);
  pass(2'000'000);
  EXPECT_EQ(state(), "a:s b:s c:s");
}

TEST_F(MembershipTest, ADrainedShardLeavesOnceOthersHoldWhatItHad) {
  two_serve();
  const wire::DrainRequest drain{uuid('d', 1), "b"};
  ASSERT_OK_AND_ASSIGN(const auto drained, registry_->drain(local_, drain));
  EXPECT_EQ(registry_->drain(local_, drain)->epoch, drained.epoch);
  EXPECT_EQ(state(), "a:s b:d");
  EXPECT_EQ(registry_->renew(local_, {"b"})->state, ShardState::draining);
  EXPECT_CODE(registry_->drain(local_, {uuid('d', 2), "a"}), Code::failed_precondition);
  ack("a");
  EXPECT_EQ(state(), "a:s b:d");
  ack("b");
  EXPECT_EQ(state(), "a:s");
  EXPECT_CODE(registry_->drain(local_, {uuid('d', 3), "b"}), Code::not_found);
  EXPECT_CODE(registry_->drain(local_, {uuid('d', 4), "a"}), Code::failed_precondition);
}

TEST_F(MembershipTest, WhoMayNotServeChangesNothing) {
  Principal stranger("stranger");
  stranger.grant("acme", {.read = true, .publish = true});
  EXPECT_CODE(registry_->renew(stranger, {"a"}), Code::permission_denied);
  EXPECT_CODE(registry_->drain(stranger, {uuid('d', 1), "a"}), Code::permission_denied);
  EXPECT_CODE(registry_->set_tenant(stranger, {uuid('d', 2), "acme", 1}), Code::permission_denied);
  EXPECT_CODE(registry_->set_tenant(local_, {uuid('d', 3), "Acme", 1}), Code::invalid_argument);
  EXPECT_CODE(registry_->set_tenant(local_, {uuid('d', 4), "acme", 0, kMaxReplicas + 1}), Code::invalid_argument);
}

}  // namespace
}  // namespace espalier::registry
