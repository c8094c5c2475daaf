// Tags as they move on, stand on each other and are told of: compare-and-set, differences, history, promotion,
// overlays.
#include "tests/unit/registry/tags_fixture.h"

namespace espalier::registry {
namespace {

class TagsTest : public TagsFixture {};

// ------------------------------------------------------------------------------------------------- compare-and-set

TEST_F(TagsTest, OfTwoWritersWhoSawTheSameReleaseOneGetsThrough) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"usa"}, 2}}));
  auto first = of_total<wire::MoveRequest>();
  first.tag = "production";
  first.expected_release = uuid('r', 1);
  wire::MoveRequest second = first;
  first.idem = uuid('i', 2), first.release = uuid('r', 2);
  second.idem = uuid('i', 3), second.release = uuid('r', 3);
  const std::string removed = wire::encode_array<wire::TagEntry>({entry({"usa"}, wire::EntryKind::removed)});
  const std::string unset = wire::encode_array<wire::TagEntry>({entry({"usa"}, wire::EntryKind::unset)});
  ASSERT_OK(registry_->move(local_, first, {removed}));
  const auto lost = registry_->move(local_, second, {unset});
  EXPECT_CODE(lost, Code::failed_precondition);
  EXPECT_NE(lost.status().message().find(uuid('r', 2).text()), std::string::npos) << lost.status().text();
  EXPECT_EQ(state(), "/=1 usa=removed");
  // Sent again, the winner's is still applied once, and the loser's still refused.
  ASSERT_OK(registry_->move(local_, first, {removed}));
  EXPECT_CODE(registry_->move(local_, second, {unset}), Code::failed_precondition);
  second.expected_release = uuid('r', 2);
  ASSERT_OK(registry_->move(local_, second, {unset}));
  EXPECT_EQ(state(), "/=1");
}

TEST_F(TagsTest, APublishExpectsTheLastReleaseOfItsOwnTag) {
  ASSERT_OK(publish(1, {{{}, 1}}));
  ASSERT_OK(publish(2, {{{}, 2, 1}}, "next"));
  Proposal proposal = propose(3, {{{}, 3, 2}});
  for (const Uuid& wrong : {uuid('r', 2), uuid('r', 99), uuid('v', 1)}) {
    proposal.request.expected_release = wrong;
    EXPECT_CODE(publish(proposal), Code::failed_precondition);
  }
  proposal.request.expected_release = uuid('r', 1);
  ASSERT_OK(publish(proposal));
  EXPECT_EQ(state(), "/=3");
}

TEST_F(TagsTest, ATagThatIsToBeNewIsMadeOnce) {
  Proposal proposal = propose(1, {{{}, 1}}, "next");
  proposal.request.expected_none = true;
  ASSERT_OK(publish(proposal));
  Proposal other = propose(2, {{{}, 2, 1}}, "next");
  other.request.expected_none = true;
  EXPECT_CODE(publish(other), Code::failed_precondition);
  other.request.expected_release = uuid('r', 1);
  EXPECT_CODE(publish(other), Code::invalid_argument);
  EXPECT_EQ(state(0, "next"), "/=1");
}

// ------------------------------------------------------------------------------------------------------ differences

TEST_F(TagsTest, ADifferenceTellsVersionsAndHowTheirMetricsMoved) {
  ASSERT_OK(publish_run(1, {{{}, 1}, {{"br"}, 2}, {{"us"}, 3}}, "R1", 80));
  Proposal second = propose(2, {{{"br"}, 4, 1}, {{"fr"}, 5, 1}});
  second.request.replace = false;
  second.versions[0].metrics_json = R"({"rmse":75.5,"mae":3,"note":"x"})";
  ASSERT_OK(publish(second));
  ASSERT_OK(move(3, {entry({"us"}, wire::EntryKind::removed)}));
  EXPECT_EQ(diff(1, 3), "br:2>4 fr:unset>5 us:3>removed");
  EXPECT_EQ(diff(3, 1), "br:4>2 fr:5>unset us:removed>3");
  EXPECT_EQ(diff(1, 2), "br:2>4 fr:unset>5");
  EXPECT_EQ(diff(2, 2), "");
  EXPECT_EQ(diff(1, 3, {"br"}), "br:2>4");
  EXPECT_EQ(diff(1, 3, {}, 1), diff(1, 3));
  auto request = of_total<wire::ReleaseDiffRequest>();
  request.from = uuid('r', 1);
  request.to = uuid('r', 2);
  ASSERT_OK_AND_ASSIGN(const auto reply, registry_->release_diff(local_, request));
  EXPECT_EQ(reply.nodes.at(0).delta_json, R"({"rmse":-4.5})");
  EXPECT_EQ(reply.nodes.at(0).before.rows, 100u);
  EXPECT_EQ(reply.nodes.at(0).after.release, uuid('r', 2));
  EXPECT_EQ(reply.nodes.at(1).delta_json, "");
  request.to = uuid('r', 9);
  EXPECT_CODE(registry_->release_diff(local_, request), Code::not_found);
}

TEST_F(TagsTest, ReleasesOfTwoTagsAreComparedSideBySide) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"a"}, 2}, {{"b"}, 3}, {{"c", "d"}, 4}}));
  ASSERT_OK(publish(2, {{{}, 1}, {{"a", "x"}, 5, 1}, {{"b"}, 6, 1}, {{"c", "d"}, 4}}, "next"));
  const std::string expected = "a:2>unset a/x:unset>5 b:3>6";
  EXPECT_EQ(diff(1, 2), expected);
  EXPECT_EQ(diff(1, 2, {}, 1), expected);
  EXPECT_EQ(diff(1, 2, {"a"}), "a:2>unset a/x:unset>5");
  EXPECT_EQ(diff(2, 1), "a:unset>2 a/x:5>unset b:6>3");
}

// ---------------------------------------------------------------------------------------------- as of, and history

TEST_F(TagsTest, EveryReadCanBeAsOfATime) {
  ASSERT_OK(publish(1, {{{}, 1}}));
  clock_.advance(60'000'000);
  ASSERT_OK_AND_ASSIGN(const auto second, publish(2, {{{}, 2, 1}, {{"usa"}, 3, 1}}, "next"));
  const std::int64_t then = 1'700'000'000'000'000 + 30'000'000;
  auto models = of_total<wire::ModelsRequest>();
  models.time_us = then;
  EXPECT_EQ(registry_->models(local_, models)->models.at(0).tags, (Path{"production"}));
  auto versions = of_total<wire::VersionsRequest>();
  versions.time_us = then;
  EXPECT_EQ(registry_->versions(local_, versions)->versions.size(), 1u);
  versions.version = uuid('v', 3);
  EXPECT_CODE(registry_->versions(local_, versions), Code::not_found);
  versions.time_us = 0, versions.epoch = second.epoch;
  EXPECT_OK(registry_->versions(local_, versions));
  auto releases = of_total<wire::ReleasesRequest>();
  releases.time_us = then;
  EXPECT_EQ(registry_->releases(local_, releases)->releases.size(), 1u);
  releases.release = uuid('r', 2);
  EXPECT_CODE(registry_->releases(local_, releases), Code::not_found);
  auto entries = of_total<wire::TagEntriesRequest>();
  entries.tag = "next";
  entries.time_us = then;
  EXPECT_CODE(registry_->tag_entries(local_, entries), Code::not_found);
  entries.tag = "production";
  EXPECT_EQ(registry_->tag_entries(local_, entries)->entries.size(), 1u);
  entries.time_us = 5;
  EXPECT_CODE(registry_->tag_entries(local_, entries), Code::not_found);
  entries.time_us = then, entries.epoch = 1;
  EXPECT_CODE(registry_->tag_entries(local_, entries), Code::invalid_argument);
}

TEST_F(TagsTest, TheHistoryHasEveryMovementOnce) {
  ASSERT_OK_AND_ASSIGN(const auto first, publish(1, {{{}, 1}, {{"usa"}, 2}}));
  ASSERT_OK(publish(2, {{{}, 3, 1}}));
  auto remove = of_total<wire::MoveRequest>();
  remove.idem = uuid('i', 3), remove.release = uuid('r', 3), remove.tag = "production", remove.note = "drill";
  ASSERT_OK(registry_->move(local_, remove,
                            {wire::encode_array<wire::TagEntry>({entry({"usa"}, wire::EntryKind::removed)})}));
  const auto history = [&](wire::TagHistoryRequest request) {
    std::string text;
    do {
      const auto reply = registry_->tag_history(local_, request);
      if (!reply.ok()) return reply.status().text();
      for (const auto& movement : reply->movements) {
        EXPECT_GT(movement.time_us, 0);
        EXPECT_EQ(movement.principal, "local");
        text += (text.empty() ? "" : " ") + path(movement.partition) + "=" + said(movement.kind, movement.version) +
                "@" + number(movement.release) + movement.note;
      }
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    return text;
  };
  auto request = of_total<wire::TagHistoryRequest>();
  request.tag = "production";
  for (const std::uint32_t limit : {1u, 2u, 100u}) {
    request.limit = limit;
    EXPECT_EQ(history(request), "/=3@2 /=1@1 usa=removed@3drill usa=unset@2 usa=2@1");
  }
  request.node_only = true;
  EXPECT_EQ(history(request), "/=3@2 /=1@1");
  request.under = {"usa"};
  EXPECT_EQ(history(request), "usa=removed@3drill usa=unset@2 usa=2@1");
  request.epoch = first.epoch;
  EXPECT_EQ(history(request), "usa=2@1");
  request.tag = "none";
  EXPECT_EQ(history(request).substr(0, 10), "not_found:");
}

// -------------------------------------------------------------------------------------------------------- promotion

TEST_F(TagsTest, APromotionMovesThreeTagsInOneCommit) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"br"}, 2}, {{"us"}, 3}, {{"us", "ca"}, 4}}));
  ASSERT_OK(publish(2, {{{}, 5, 1}, {{"br"}, 6, 1}, {{"us"}, 3}, {{"fr"}, 7, 1}}, "staging"));
  auto request = of_total<wire::PromoteRequest>();
  request.idem = uuid('i', 3);
  request.from = "staging", request.to = "production", request.archive = "archived";
  request.release = uuid('r', 3), request.from_release = uuid('r', 4), request.archive_release = uuid('r', 5);
  request.expected_release = uuid('r', 1);
  ASSERT_OK_AND_ASSIGN(const auto reply, registry_->promote(local_, request));
  EXPECT_EQ(reply.moved, 3u);
  EXPECT_EQ(state(), "/=5 br=6 fr=7 us=3 us/ca=4");
  EXPECT_EQ(state(0, "staging"), "");
  EXPECT_EQ(state(0, "archived"), "/=1 br=2");
  EXPECT_EQ(model().tags, (Path{"archived", "production", "staging"}));
  EXPECT_EQ(moved_of_tag(reply.epoch, ""), "/=5 br=6 fr=7 ");
  EXPECT_EQ(moved_of_tag(reply.epoch, "archived"), "/=1 br=2 ");
  EXPECT_EQ(moved_of_tag(reply.epoch, "staging"), "/=unset br=unset fr=unset us=unset ");
  ASSERT_OK_AND_ASSIGN(const auto hello, registry_->hello(local_, {}));
  wire::FeedRequest feed{hello.generation, reply.epoch - 1, 10, 0};
  const auto changes = registry_->feed(local_, feed);
  ASSERT_EQ(changes->changes.size(), 1u);
  ASSERT_EQ(changes->changes[0].more.size(), 2u);
  // Each release is found by its tag, is the last one of it, and goes back by itself.
  for (const auto& [tag, release] : {std::pair{"production", 3u}, {"staging", 4u}, {"archived", 5u}}) {
    wire::SearchRequest search;
    search.kind = "releases", search.tenant = "acme", search.model = "total";
    search.where = "tag = '" + std::string(tag) + "' and epoch = " + std::to_string(reply.epoch);
    search.limit = 1;
    std::vector<Uuid> found;
    do {
      const auto page = registry_->search(local_, search);
      ASSERT_OK(page);
      for (const auto& row : page->rows) found.push_back(wire::decode<wire::ReleaseRecord>(row.record)->release);
      search.cursor = page->cursor;
    } while (!search.cursor.empty());
    EXPECT_EQ(found, std::vector<Uuid>{uuid('r', release)}) << tag;
  }
  wire::RollbackRequest undo = back(6, "staging");
  undo.to.release = uuid('r', 2);
  undo.expected_release = uuid('r', 4);
  ASSERT_OK(registry_->rollback(local_, undo));
  EXPECT_EQ(state(0, "staging"), "/=5 br=6 fr=7 us=3");
}

TEST_F(TagsTest, APromotionOfASubtreeKeepsOrReplacesAsAsked) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"us"}, 2}, {{"us", "ca"}, 3}}));
  ASSERT_OK(publish(2, {{{}, 4, 1}, {{"us"}, 5, 1}}, "staging"));
  auto request = of_total<wire::PromoteRequest>();
  request.idem = uuid('i', 3);
  request.from = "staging", request.to = "production";
  request.release = uuid('r', 3);
  request.under = {"us"};
  request.keep = request.replace = true;
  ASSERT_OK(registry_->promote(local_, request));
  EXPECT_EQ(state(), "/=1 us=5");
  EXPECT_EQ(state(0, "staging"), "/=4 us=5");
  EXPECT_EQ(model().tags, (Path{"production", "staging"}));
}

TEST_F(TagsTest, AWrongPromotionChangesNothing) {
  ASSERT_OK(publish(1, {{{}, 1}}));
  ASSERT_OK(publish(2, {{{}, 2, 1}}, "staging"));
  const auto refused = [&](Code code, auto change) {
    auto request = of_total<wire::PromoteRequest>();
    request.idem = uuid('i', 3);
    request.from = "staging", request.to = "production", request.archive = "archived";
    request.release = uuid('r', 3), request.from_release = uuid('r', 4), request.archive_release = uuid('r', 5);
    change(request);
    EXPECT_CODE(registry_->promote(local_, request), code);
  };
  refused(Code::invalid_argument, [](auto& r) { r.to = "staging"; });
  refused(Code::invalid_argument, [](auto& r) { r.archive = "production"; });
  refused(Code::invalid_argument, [](auto& r) { r.archive = "No Name"; });
  refused(Code::invalid_argument, [](auto& r) { r.from_release = r.release; });
  refused(Code::invalid_argument, [](auto& r) { r.archive_release = {}; });
  refused(Code::invalid_argument, [](auto& r) { r.under = {"a", "b", "c"}; });
  refused(Code::not_found, [](auto& r) { r.from = "nothing"; });
  refused(Code::already_exists, [](auto& r) { r.from_release = uuid('r', 1); });
  refused(Code::failed_precondition, [](auto& r) { r.under = {"us"}; });
  refused(Code::failed_precondition, [](auto& r) { r.expected_release = uuid('r', 2); });
  EXPECT_EQ(state() + " " + state(0, "staging"), "/=1 /=2");
  EXPECT_EQ(model().tags, (Path{"production", "staging"}));
}

// --------------------------------------------------------------------------------------------------------- overlays

TEST_F(TagsTest, AnOverlayIsPartOfTheModelsHistory) {
  ASSERT_OK_AND_ASSIGN(const auto first, publish(1, {{{}, 1}}));
  const wire::OverlayRequest request{uuid('i', 2), "acme", "total", "canary", "production"};
  ASSERT_OK_AND_ASSIGN(const auto laid, registry_->overlay(local_, request));
  EXPECT_GT(laid.epoch, first.epoch);
  ASSERT_EQ(model().overlays.size(), 1u);
  EXPECT_EQ(model().overlays[0].on, "production");
  EXPECT_EQ(model().tags, (Path{"canary", "production"}));
  EXPECT_EQ(state(0, "canary"), "");
  auto models = of_total<wire::ModelsRequest>();
  models.epoch = first.epoch;
  EXPECT_TRUE(registry_->models(local_, models)->models.at(0).overlays.empty());
  ASSERT_OK_AND_ASSIGN(const auto hello, registry_->hello(local_, {}));
  const auto feed = registry_->feed(local_, {hello.generation, first.epoch, 10, 0});
  ASSERT_EQ(feed->changes.size(), 1u);
  EXPECT_EQ(feed->changes[0].kind, wire::ChangeKind::model);
  EXPECT_EQ(feed->changes[0].levels, 2u);
  // Laid again it changes nothing; a publish keeps it; taken away, the tag stands on its own.
  ASSERT_OK_AND_ASSIGN(const auto same,
                       registry_->overlay(local_, {uuid('i', 3), "acme", "total", "canary", "production"}));
  EXPECT_EQ(same.epoch, laid.epoch);
  ASSERT_OK(publish(4, {{{}, 2, 1}}, "canary"));
  EXPECT_EQ(model().overlays.size(), 1u);
  ASSERT_OK(registry_->overlay(local_, {uuid('i', 5), "acme", "total", "canary", ""}));
  EXPECT_TRUE(model().overlays.empty());
}

TEST_F(TagsTest, ALoopOfOverlaysIsRefusedAndNamed) {
  ASSERT_OK(publish(1, {{{}, 1}}));
  std::uint32_t idem = 10;
  const auto lay = [&](const std::string& tag, const std::string& on) {
    return registry_->overlay(local_, {uuid('i', ++idem), "acme", "total", tag, on});
  };
  ASSERT_OK(lay("a", "production"));
  ASSERT_OK(lay("b", "a"));
  EXPECT_CODE(lay("a", "a"), Code::invalid_argument);
  for (const auto& [tag, on, loop] : {std::tuple{"a", "b", "a on b on a"},
                                      {"production", "b", "production on b on a on production"},
                                      {"production", "a", "production on a on production"}}) {
    const auto refused = lay(tag, on);
    EXPECT_CODE(refused, Code::failed_precondition);
    EXPECT_NE(refused.status().message().find(loop), std::string::npos) << refused.status().text();
  }
  EXPECT_CODE(lay("c", "nothing"), Code::not_found);
  EXPECT_CODE(lay("nothing", ""), Code::not_found);
  EXPECT_CODE(lay("Not a name", "a"), Code::invalid_argument);
  // Another below is no loop; eight tags are the most, also when what is below grows.
  ASSERT_OK(lay("b", "production"));
  ASSERT_OK(lay("b", "a"));
  std::string last = "b";
  for (const char* next : {"c", "d", "e", "f", "g"}) {
    ASSERT_OK(lay(next, last));
    last = next;
  }
  EXPECT_CODE(lay("h", "g"), Code::failed_precondition);
  EXPECT_CODE(lay("production", "h"), Code::not_found);
  ASSERT_OK(publish(2, {{{}, 2, 1}}, "ground"));
  EXPECT_CODE(lay("production", "ground"), Code::failed_precondition);
  EXPECT_EQ(chain_of(model().overlays, "g").size(), 8u);
}

TEST(Overlays, AChainEndsAlsoInALoop) {
  EXPECT_EQ(chain_of({{"a", "b"}, {"b", "a"}}, "a"), (std::vector<std::string>{"a", "b", "a"}));
  EXPECT_EQ(chain_of({{"a", "a"}}, "a"), (std::vector<std::string>{"a", "a"}));
  EXPECT_EQ(chain_of({{"a", "b"}}, "c"), std::vector<std::string>{"c"});
}

}  // namespace
}  // namespace espalier::registry
