#include "registry/registry.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>
#include <sstream>

#include "common/bytes.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

std::set<std::string> words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

class RegistryTest : public RegistryFixture {
 protected:
  wire::FeedReply feed(std::uint64_t after, std::uint32_t credit = 64) {
    wire::FeedRequest request;
    request.generation = registry_->hello(local_, {})->generation;
    request.after = after;
    request.credit = credit;
    const auto reply = registry_->feed(local_, request);
    EXPECT_OK(reply);
    return *reply;
  }
  wire::TagEntry entry(const Path& partition, wire::EntryKind kind, std::uint32_t version = 0) {
    wire::TagEntry entry;
    entry.partition = partition;
    entry.kind = kind;
    if (kind == wire::EntryKind::version) entry.version = uuid('v', version);
    return entry;
  }
};

TEST_F(RegistryTest, WhatIsUploadedFirstOutlivesACrashAtAnyCall) {
  const std::string bytes = small_artefact(1);
  bool was_reached = true;
  for (std::uint64_t n = 0; was_reached; ++n) {
    SCOPED_TRACE(n);
    const std::string tenant = "fresh" + std::to_string(n);
    files_.crash_at(n);
    const auto uploaded = registry_->upload(local_, {tenant, {blake2b_256(bytes)}}, {bytes});
    was_reached = files_.was_reached();
    registry_.reset();
    files_.crash();
    open();
    Registry::Bodies bodies;
    ASSERT_OK_AND_ASSIGN(const auto fetched, registry_->fetch(local_, {tenant, {blake2b_256(bytes)}}, bodies));
    EXPECT_TRUE(!uploaded.ok() || bodies == Registry::Bodies{bytes});
    EXPECT_TRUE(was_reached || uploaded.ok());
    ASSERT_LT(n, 100u);
  }
}

TEST_F(RegistryTest, AReleaseSetsItsNodesAndReplacesTheRest) {
  ASSERT_OK_AND_ASSIGN(const auto first, publish(1, {{{}, 1}, {{"usa"}, 2}, {{"usa", "ca"}, 3}}));
  EXPECT_EQ(first.moved, 3u);
  EXPECT_EQ(state(), "/=1 usa=2 usa/ca=3");
  ASSERT_OK_AND_ASSIGN(const auto second, publish(2, {{{}, 4, 1}, {{"peru"}, 5, 1}}));
  EXPECT_EQ(second.moved, 4u);
  EXPECT_EQ(state(), "/=4 peru=5");
  EXPECT_EQ(moved(second.epoch), "/=4 peru=5 usa=unset usa/ca=unset");
  Proposal added = propose(3, {{{"usa"}, 6, 2}});
  added.request.replace = false;
  ASSERT_OK(publish(added));
  EXPECT_EQ(state(), "/=4 peru=5 usa=6");
}

TEST_F(RegistryTest, EveryEarlierStateCanStillBeRead) {
  ASSERT_OK_AND_ASSIGN(const auto a, publish(1, {{{}, 1}, {{"usa"}, 2}}));
  ASSERT_OK_AND_ASSIGN(const auto b, publish(2, {{{}, 3, 1}, {{"usa", "ca"}, 4, 1}}));
  ASSERT_OK_AND_ASSIGN(const auto c, move(3, {entry({"usa", "ca"}, wire::EntryKind::removed)}));
  ASSERT_OK_AND_ASSIGN(const auto d, move(4, {entry({"usa"}, wire::EntryKind::version, 2)}));
  open();
  EXPECT_EQ(state(a.epoch), "/=1 usa=2");
  EXPECT_EQ(state(b.epoch), "/=3 usa/ca=4");
  EXPECT_EQ(state(c.epoch), "/=3 usa/ca=removed");
  EXPECT_EQ(state(d.epoch), "/=3 usa=2 usa/ca=removed");
  EXPECT_EQ(state(), state(d.epoch));
  EXPECT_EQ(state(d.epoch + 1).substr(0, 20), "failed_precondition:");
}

TEST_F(RegistryTest, ALongHistoryHidesNoNodeAtAnyEpoch) {
  std::vector<std::uint64_t> epochs;
  for (std::uint32_t i = 1; i <= 12; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto reply, publish(i, {{{}, i * 10}, {{"a"}, i * 10 + 1}, {{"a", "b"}, i * 10 + 2}}));
    epochs.push_back(reply.epoch);
  }
  for (std::uint32_t i = 1; i <= 12; ++i) {
    const auto version = [i](std::uint32_t n) { return std::to_string(i * 10 + n); };
    const std::string expected = "/=" + version(0) + " a=" + version(1) + " a/b=" + version(2);
    EXPECT_EQ(state(epochs[i - 1]), expected);
    EXPECT_EQ(state(epochs[i - 1], "production", 1), expected);
  }
}

TEST_F(RegistryTest, PagesTogetherAreOneStateWhateverTheirSize) {
  std::vector<Node> nodes = {{{}, 1}};
  for (std::uint32_t i = 0; i < 20; ++i) nodes.push_back({{"c" + std::to_string(i)}, i + 2});
  ASSERT_OK_AND_ASSIGN(const auto reply, publish(1, nodes));
  ASSERT_OK(publish(2, {{{}, 99, 1}}));
  const std::string whole = state(reply.epoch);
  EXPECT_EQ(std::ranges::count(whole, ' '), 20);
  for (const std::uint32_t page : {1u, 2u, 7u, 20u, 21u, 22u}) {
    EXPECT_EQ(state(reply.epoch, "production", page), whole) << page;
    EXPECT_EQ(moved(reply.epoch, page), moved(reply.epoch)) << page;
  }
  EXPECT_EQ(moved(reply.epoch).size(), whole.size());
}

TEST_F(RegistryTest, ASubtreeIsItsNodesOnly) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"us"}, 2}, {{"us", "ca"}, 3}, {{"usa"}, 4}, {{"usa", "ca"}, 5}}));
  EXPECT_EQ(state(0, "production", 1, {"us"}), "us=2 us/ca=3");
  EXPECT_EQ(state(0, "production", 4096, {"us", "ca"}), "us/ca=3");
  EXPECT_EQ(state(0, "production", 4096, {"u"}), "");
}

TEST_F(RegistryTest, EntriesCarryWhatAReaderNeedsToFetchAndToExplain) {
  ASSERT_OK_AND_ASSIGN(const auto reply, publish(1, {{{"usa"}, 1, 3}}));
  ASSERT_OK_AND_ASSIGN(const auto page, registry_->changed_entries(local_, {reply.epoch, "", 10}));
  ASSERT_EQ(page.entries.size(), 1u);
  const std::string bytes = small_artefact(3);
  EXPECT_EQ(page.entries[0].artefact, blake2b_256(bytes));
  EXPECT_EQ(page.entries[0].artefact_bytes, bytes.size());
  EXPECT_EQ(page.entries[0].release, uuid('r', 1));
  EXPECT_EQ(page.entries[0].epoch, reply.epoch);
  Registry::Bodies bodies;
  ASSERT_OK_AND_ASSIGN(const auto fetched,
                       registry_->fetch(local_, {"acme", {Hash256{}, page.entries[0].artefact}}, bodies));
  EXPECT_EQ(fetched.answered, 2u);
  EXPECT_EQ(fetched.missing.size(), 1u);
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_EQ(bodies[0], bytes);
}

TEST_F(RegistryTest, RollingBackTakesTheStateThatAReleaseLeft) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"usa"}, 2}, {{"peru"}, 3}}));
  ASSERT_OK(publish(2, {{{}, 1}, {{"usa"}, 4, 1}, {{"fiji"}, 5, 1}}));
  ASSERT_OK_AND_ASSIGN(const auto back, roll_back(3, 1));
  EXPECT_EQ(state(), "/=1 peru=3 usa=2");
  EXPECT_EQ(back.moved, 3u) << moved(back.epoch);  // the root did not differ
  EXPECT_EQ(moved(back.epoch), "fiji=unset peru=3 usa=2");
  ASSERT_OK(roll_back(4, 2, "canary"));
  EXPECT_EQ(state(0, "canary"), "/=1 fiji=5 usa=4");
  ASSERT_OK_AND_ASSIGN(const auto nothing, roll_back(5, 2, "canary"));
  EXPECT_EQ(nothing.moved, 0u);
  ASSERT_OK_AND_ASSIGN(const auto models, registry_->models(local_, of_total<wire::ModelsRequest>()));
  EXPECT_EQ(models.models[0].tags, (Path{"canary", "production"}));
}

TEST_F(RegistryTest, RollingBackAndForthThroughALongHistoryMovesWhatDiffersOnly) {
  std::mt19937 chance(7);
  const std::vector<Path> nodes = {{}, {"br"}, {"br", "rj"}, {"br", "sp"}, {"usa"}, {"usa", "ca"}, {"usa", "ny"}};
  std::vector<std::string> states;
  std::uint32_t version = 0;
  for (std::uint32_t release = 0; release < 12; ++release) {
    std::vector<Node> some = {{{}, ++version, static_cast<float>(version)}};
    for (std::size_t i = 1; i < nodes.size(); ++i) {
      if (chance() % 2 == 0) some.push_back({nodes[i], ++version, static_cast<float>(version)});
    }
    ASSERT_OK(publish(release, some));
    states.push_back(state());
  }
  for (std::uint32_t release = 12; release < 60; ++release) {
    const std::uint32_t from = chance() % static_cast<std::uint32_t>(states.size());
    const std::string before = state();
    const auto back = roll_back(release, from);
    ASSERT_OK(back);
    EXPECT_EQ(state(), states[from]) << "to release " << from;
    if (before == states[from]) {
      EXPECT_EQ(moved(back->epoch), "");
    }
    states.push_back(state());
    // What was moved differs from before, node by node.
    const std::set<std::string> old = words(before);
    for (const std::string& entry : words(moved(back->epoch))) EXPECT_FALSE(old.contains(entry)) << entry;
  }
}

TEST_F(RegistryTest, AChangeSentAgainIsAppliedOnceAndAnsweredAlike) {
  const Proposal proposal = propose(1, {{{}, 1}});
  ASSERT_OK_AND_ASSIGN(const auto first, publish(proposal));
  ASSERT_OK(publish(2, {{{}, 2, 1}}));
  open();
  ASSERT_OK_AND_ASSIGN(const auto again, publish(proposal));
  EXPECT_EQ(again.epoch, first.epoch);
  EXPECT_EQ(state(), "/=2");
  Proposal other = proposal;
  other.request.run_json = "{}";
  EXPECT_CODE(publish(other), Code::failed_precondition);
  // Another principal's idem is another one.
  Principal friendly("friendly");
  friendly.grant("acme", {.read = true, .publish = true});
  const std::string body = wire::encode_array(proposal.versions);
  EXPECT_CODE(registry_->publish(friendly, proposal.request, {body}), Code::already_exists);
}

TEST_F(RegistryTest, IdemsAreForgottenAfterADay) {
  const Proposal proposal = propose(1, {{{}, 1}});
  ASSERT_OK(publish(proposal));
  clock_.advance(Idempotency::kKeptUs - 1'000'000);
  ASSERT_OK(join("s0", 1));
  ASSERT_OK(publish(proposal));
  clock_.advance(2'000'000);
  ASSERT_OK(join("s1", 2));
  EXPECT_CODE(publish(proposal), Code::already_exists);
}

TEST_F(RegistryTest, TheFeedIsAChainThatShowsEveryGap) {
  ASSERT_OK(join("s0", 1));
  ASSERT_OK_AND_ASSIGN(const auto release, publish(1, {{{}, 1}}));
  ASSERT_OK(publish(2, {{{}, 2, 7}}));
  const wire::FeedReply all = feed(0);
  ASSERT_EQ(all.changes.size(), 3u);
  std::uint64_t last = 0;
  std::int64_t time_us = 0;
  for (const auto& change : all.changes) {
    EXPECT_EQ(change.previous, last);
    EXPECT_GT(change.time_us, time_us);
    last = change.epoch;
    time_us = change.time_us;
  }
  EXPECT_EQ(all.newest, last);
  EXPECT_EQ(all.changes[0].kind, wire::ChangeKind::view);
  EXPECT_EQ(all.changes[1].kind, wire::ChangeKind::release);
  EXPECT_EQ(all.changes[1].epoch, release.epoch);
  EXPECT_EQ(all.changes[1].count, 1u);
  // Uploads commit, too, but the epochs handed out are those of the chain.
  upload(small_artefact(50));
  EXPECT_EQ(registry_->hello(local_, {})->epoch, last);
  EXPECT_EQ(feed(0, 1).changes.size(), 1u);
  EXPECT_EQ(feed(release.epoch).changes.size(), 1u);
  EXPECT_TRUE(feed(last).changes.empty());
}

TEST_F(RegistryTest, AForeignReaderOrOneThatIsAheadTakesASnapshot) {
  ASSERT_OK(join("s0", 1));
  ASSERT_OK_AND_ASSIGN(const auto foreign, registry_->feed(local_, {42, 0, 64, 0}));
  EXPECT_TRUE(foreign.snapshot_required);
  EXPECT_TRUE(foreign.changes.empty());
  EXPECT_TRUE(feed(1000).snapshot_required);
  EXPECT_FALSE(feed(0).snapshot_required);
}

TEST_F(RegistryTest, ServedMeansEveryShardOfTheViewAnswersFromTheEpoch) {
  ASSERT_OK_AND_ASSIGN(auto waited, registry_->wait(local_, {}));
  EXPECT_FALSE(waited.served);  // nobody is there
  ASSERT_OK(join("s0", 1));
  ASSERT_OK(join("s1", 2));
  ASSERT_OK_AND_ASSIGN(const auto release, publish(1, {{{}, 1}}));
  const auto ack = [&](const std::string& shard, std::uint64_t epoch, std::vector<wire::AckFailure> failed = {}) {
    return registry_->ack(local_, {shard, release.generation, epoch, std::move(failed)});
  };
  ASSERT_OK(ack("s0", release.epoch));
  ASSERT_OK_AND_ASSIGN(waited, registry_->wait(local_, {release.epoch, 0}));
  EXPECT_FALSE(waited.served);
  EXPECT_EQ(waited.missing, Path{"s1"});
  const std::uint64_t newest = registry_->hello(local_, {})->epoch;
  ASSERT_OK(ack("s1", newest, {{"acme", "total", {}, uuid('v', 1), "its hash is wrong"}}));
  ASSERT_OK_AND_ASSIGN(waited, registry_->wait(local_, {release.epoch, 0}));
  EXPECT_TRUE(waited.served);
  ASSERT_EQ(waited.failed.size(), 1u);
  EXPECT_EQ(waited.failed[0].why, "its hash is wrong");
  EXPECT_CODE(ack("nobody", newest), Code::not_found);
  EXPECT_CODE(ack("s0", newest + 1), Code::failed_precondition);
  EXPECT_CODE(registry_->ack(local_, {"s0", 42, newest, {}}), Code::failed_precondition);
  EXPECT_CODE(registry_->wait(local_, {newest + 1, 0}), Code::failed_precondition);
}

TEST_F(RegistryTest, JoiningTheSameWayAgainChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto first, join("s0", 1));
  ASSERT_OK_AND_ASSIGN(const auto again, join("s0", 2));
  EXPECT_EQ(first.epoch, again.epoch);
  ASSERT_OK(join("a9", 3));
  ASSERT_OK_AND_ASSIGN(const auto two, registry_->view(local_, {}));
  EXPECT_EQ(two.view.number, 2u);
  ASSERT_EQ(two.view.shards.size(), 2u);
  EXPECT_EQ(two.view.shards[0].name, "a9");
  ASSERT_OK(registry_->leave(local_, {uuid('l', 1), "s0"}));
  ASSERT_OK(registry_->leave(local_, {uuid('l', 2), "s0"}));
  open();
  ASSERT_OK_AND_ASSIGN(const auto one, registry_->view(local_, {}));
  EXPECT_EQ(one.view.number, 3u);
  EXPECT_EQ(one.view.shards.size(), 1u);
}

TEST_F(RegistryTest, ModelsKeepTheirSchemaWhichOnlyGrows) {
  ASSERT_OK(publish(1, {{{}, 1}}));
  Proposal more = propose(2, {{{}, 2}});
  more.request.fields = {{"sex", model::FieldType::text}, {"age", model::FieldType::number}};
  more.request.spec_json = spec_json("total", {"country", "state", "town"});
  ASSERT_OK_AND_ASSIGN(const auto reply, publish(more));
  ASSERT_OK_AND_ASSIGN(const auto now, registry_->models(local_, of_total<wire::ModelsRequest>()));
  EXPECT_EQ(now.models[0].schema, 2u);
  EXPECT_EQ(now.models[0].fields[0].name, "age");
  EXPECT_EQ(now.models[0].fields[1].name, "sex");
  EXPECT_EQ(now.models[0].levels.size(), 3u);
  auto before = of_total<wire::ModelsRequest>();
  before.epoch = reply.epoch - 1;
  ASSERT_OK_AND_ASSIGN(const auto then, registry_->models(local_, before));
  EXPECT_EQ(then.models[0].schema, 1u);
}

TEST_F(RegistryTest, ModelsAreListedInPagesAndBySight) {
  for (std::uint32_t i = 0; i < 5; ++i) {
    Proposal proposal = propose(i + 1, {{{}, i + 1}});
    proposal.request.tenant = i < 2 ? "acme" : "zeta";
    proposal.request.model = "m" + std::to_string(i);
    proposal.request.spec_json = spec_json(proposal.request.model, {});
    upload(small_artefact(0), proposal.request.tenant);
    ASSERT_OK(publish(proposal));
  }
  const auto list = [&](const Principal& principal, const std::string& tenant, std::uint32_t page) {
    wire::ModelsRequest request;
    request.tenant = tenant;
    request.limit = page;
    std::string names;
    do {
      const auto reply = registry_->models(principal, request);
      if (!reply.ok()) return reply.status().text();
      for (const auto& model : reply->models) names += model.tenant + "/" + model.model + " ";
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    return names;
  };
  Principal friendly("friendly");
  friendly.grant("zeta", {.read = true});
  for (const std::uint32_t page : {1u, 2u, 5u, 100u}) {
    EXPECT_EQ(list(local_, "", page), "acme/m0 acme/m1 zeta/m2 zeta/m3 zeta/m4 ") << page;
    EXPECT_EQ(list(local_, "acme", page), "acme/m0 acme/m1 ") << page;
    EXPECT_EQ(list(friendly, "", page), "zeta/m2 zeta/m3 zeta/m4 ") << page;
  }
  EXPECT_EQ(list(friendly, "acme", 1), "permission_denied: principal friendly may not read tenant acme");
}

TEST_F(RegistryTest, VersionsAndReleasesAreListedInOrder) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"usa"}, 2}}));
  ASSERT_OK(publish(2, {{{}, 3, 1}, {{"usa"}, 4, 1}}));
  for (const std::uint32_t page : {1u, 3u, 10u}) {
    auto versions = of_total<wire::VersionsRequest>();
    versions.limit = page;
    std::vector<Uuid> seen;
    do {
      ASSERT_OK_AND_ASSIGN(const auto reply, registry_->versions(local_, versions));
      for (const auto& version : reply.versions) seen.push_back(version.version);
      versions.cursor = reply.cursor;
    } while (!versions.cursor.empty());
    EXPECT_EQ(seen, (std::vector<Uuid>{uuid('v', 3), uuid('v', 1), uuid('v', 4), uuid('v', 2)})) << page;
    auto releases = of_total<wire::ReleasesRequest>();
    releases.limit = page;
    seen.clear();
    do {
      ASSERT_OK_AND_ASSIGN(const auto reply, registry_->releases(local_, releases));
      for (const auto& release : reply.releases) seen.push_back(release.release);
      releases.cursor = reply.cursor;
    } while (!releases.cursor.empty());
    EXPECT_EQ(seen, (std::vector<Uuid>{uuid('r', 2), uuid('r', 1)})) << page;
  }
  auto one = of_total<wire::VersionsRequest>();
  one.version = uuid('v', 4);
  ASSERT_OK_AND_ASSIGN(const auto found, registry_->versions(local_, one));
  EXPECT_EQ(found.versions[0].release, uuid('r', 2));
  EXPECT_EQ(found.versions[0].metrics_json, R"({"rmse": 1.5})");
  EXPECT_EQ(found.versions[0].principal, "local");
  EXPECT_GT(found.versions[0].artefact_bytes, 0u);
  one.version = uuid('v', 5);
  EXPECT_CODE(registry_->versions(local_, one), Code::not_found);
}

TEST_F(RegistryTest, AFailedWriteLeavesNothingHalfDone) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"usa"}, 2}}));
  const Proposal proposal = propose(2, {{{}, 3, 1}});
  env_.tear_next_append();
  EXPECT_CODE(publish(proposal), Code::resource_exhausted);
  EXPECT_EQ(state(), "/=1 usa=2");
  ASSERT_OK(publish(proposal));
  EXPECT_EQ(state(), "/=3");
  open();
  EXPECT_EQ(state(), "/=3");
}

TEST_F(RegistryTest, AChangeThatReachedTheDiskWithoutAnAnswerIsFoundAgain) {
  ASSERT_OK(publish(1, {{{}, 1}}));
  const Proposal proposal = propose(2, {{{}, 3, 1}});
  env_.fail_next_sync();
  EXPECT_CODE(publish(proposal), Code::unavailable);
  ASSERT_OK_AND_ASSIGN(const auto reply, publish(proposal));
  EXPECT_EQ(reply.epoch, registry_->hello(local_, {})->epoch);
  EXPECT_EQ(state(), "/=3");
}

}  // namespace
}  // namespace espalier::registry
