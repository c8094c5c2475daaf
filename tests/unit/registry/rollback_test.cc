// Rollbacks, and the previews that say what they would change.
#include <random>

#include "tests/unit/registry/tags_fixture.h"

namespace espalier::registry {
namespace {

class RollbackTest : public TagsFixture {};

TEST_F(RollbackTest, ARollbackGoesToAReleaseAnEpochOrATime) {
  ASSERT_OK_AND_ASSIGN(const auto a, publish(1, {{{}, 1}, {{"usa"}, 2}, {{"usa", "ca"}, 3}}));
  clock_.advance(60'000'000);
  ASSERT_OK(publish(2, {{{}, 4, 1}, {{"usa"}, 2}, {{"peru"}, 5, 1}}));
  const std::string second = state();
  for (std::uint32_t i = 0; i < 3; ++i) {
    wire::RollbackRequest request = back(10 + 2 * i);
    if (i == 0) request.to.release = uuid('r', 1);
    if (i == 1) request.to.epoch = a.epoch;
    if (i == 2) request.to.time_us = 1'700'000'000'000'000 + 59'000'000;
    for (const std::uint32_t limit : {1u, 2u, 100u}) {
      EXPECT_EQ(preview(request, limit), "/:4>1 peru:5>unset usa/ca:unset>3");
    }
    EXPECT_EQ(state(), second) << "a preview changes nothing";
    ASSERT_OK_AND_ASSIGN(const auto reply, registry_->rollback(local_, request));
    EXPECT_EQ(reply.moved, 3u);
    EXPECT_EQ(state(), "/=1 usa=2 usa/ca=3");
    EXPECT_EQ(preview(request), "") << "nothing is left to be changed";
    ASSERT_OK(roll_back(11 + 2 * i, 2));
    EXPECT_EQ(state(), second);
  }
  wire::RollbackRequest subtree = back(20);
  subtree.to.release = uuid('r', 1);
  subtree.under = {"usa"};
  EXPECT_EQ(preview(subtree), "usa/ca:unset>3");
  ASSERT_OK(registry_->rollback(local_, subtree));
  EXPECT_EQ(state(), "/=4 peru=5 usa=2 usa/ca=3");
}

TEST_F(RollbackTest, ARollbackByFilterTakesBackWhatTheTagPointsAtAndPasses) {
  ASSERT_OK(publish_run(1, {{{}, 1}, {{"br"}, 2}, {{"br", "sp"}, 3}, {{"us"}, 4}}, "R1", 80));
  ASSERT_OK(publish_run(2, {{{}, 5, 1}, {{"br"}, 6, 1}, {{"br", "sp"}, 7, 1}, {{"br", "rj"}, 8, 1}, {{"us"}, 9, 1}},
                        "R17", 90));
  // Done since: it stays.
  ASSERT_OK(publish_run(3, {{{"br", "sp"}, 10, 2}}, "R18", 70));
  ASSERT_OK(move(4, {version_entry({"br"}, 6)}));  // the same version again: one with the entry before
  wire::RollbackRequest request = back(5);
  request.to.where = "run='R17' and partition under 'br'";
  for (const std::uint32_t limit : {1u, 2u, 100u}) EXPECT_EQ(preview(request, limit), "br:6>2 br/rj:8>unset");
  ASSERT_OK_AND_ASSIGN(const auto reply, registry_->rollback(local_, request));
  EXPECT_EQ(reply.moved, 2u);
  EXPECT_EQ(state(), "/=5 br=2 br/sp=10 us=9");
  // The same as a subtree of the request; "or" stays within the filter.
  wire::RollbackRequest other = back(6);
  other.to.where = "run = 'R17' or run = 'nothing'";
  other.under = {"us"};
  EXPECT_EQ(preview(other), "us:9>4");
  ASSERT_OK(registry_->rollback(local_, other));
  EXPECT_EQ(state(), "/=5 br=2 br/sp=10 us=4");
  // Undone by going back to the release before.
  wire::RollbackRequest undo = back(7);
  undo.to.release = uuid('r', 5);
  ASSERT_OK(registry_->rollback(local_, undo));
  EXPECT_EQ(state(), "/=5 br=2 br/sp=10 us=9");
}

TEST_F(RollbackTest, RollbacksByFilterOneAfterTheOtherGoFurtherBack) {
  ASSERT_OK(publish_run(1, {{{"br"}, 1}}, "R1", 80));
  ASSERT_OK(publish_run(2, {{{"br"}, 2, 1}}, "R2", 90));
  ASSERT_OK(publish_run(3, {{{"br"}, 3, 2}}, "R3", 95));
  std::uint32_t release = 3;
  const auto take_back = [&](const std::string& run) {
    wire::RollbackRequest request = back(++release);
    request.to.where = "run = '" + run + "'";
    const std::string named = preview(request);
    EXPECT_OK(registry_->rollback(local_, request));
    return named + " " + state();
  };
  EXPECT_EQ(take_back("R3"), "br:3>2 br=2");
  EXPECT_EQ(take_back("R2"), "br:2>1 br=1") << "not the run that was taken back before";
  EXPECT_EQ(take_back("R1"), "br:1>unset ");
}

TEST_F(RollbackTest, ARollbackMovesJustWhatItsPreviewNames) {
  std::mt19937 chance(11);
  const std::vector<Path> nodes = {{}, {"br"}, {"br", "rj"}, {"br", "sp"}, {"usa"}, {"usa", "ca"}, {"usa", "ny"}};
  std::uint32_t version = 0, release = 0;
  std::vector<std::uint64_t> epochs;
  for (int round = 0; round < 40; ++round) {
    std::vector<Node> some;
    for (const Path& node : nodes) {
      if (chance() % 3 == 0) some.push_back({node, ++version, static_cast<float>(version)});
    }
    if (some.empty()) some.push_back({nodes[chance() % nodes.size()], ++version, static_cast<float>(version)});
    const auto made = publish_run(++release, some, "R" + std::to_string(chance() % 4), chance() % 50);
    ASSERT_OK(made);
    epochs.push_back(made->epoch);
    wire::RollbackRequest request = back(++release);
    if (round % 2 == 0) {
      request.to.where = "run = 'R" + std::to_string(chance() % 4) + "' and metrics.rmse > 10";
    } else {
      request.to.epoch = epochs[chance() % epochs.size()];
    }
    if (chance() % 4 == 0) request.under = {"br"};
    const std::string before = state(), named = preview(request, 1 + chance() % 3);
    ASSERT_EQ(state(), before);
    const auto reply = registry_->rollback(local_, request);
    ASSERT_OK(reply);
    // What the preview said, from the two states.
    auto left = of_total<wire::ReleaseDiffRequest>();
    left.from = made->release;
    left.to = request.release;
    left.limit = 2;
    EXPECT_EQ(differences(left, &Registry::release_diff), named);
    EXPECT_EQ(reply->moved, static_cast<std::uint64_t>(std::ranges::count(named, '>')));
    epochs.push_back(reply->epoch);
  }
}

TEST_F(RollbackTest, ARollbackToNowhereIsRefusedAndChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto joined, join("s0", 90));
  ASSERT_OK_AND_ASSIGN(const auto made, publish(1, {{{}, 1}}));
  ASSERT_OK(publish(2, {{{}, 2, 1}}, "next"));
  const auto refused = [&](Code code, const std::string& word, auto change) {
    wire::RollbackRequest request = back(3);
    request.to.epoch = made.epoch;
    change(request);
    const auto reply = registry_->rollback(local_, request);
    EXPECT_CODE(reply, code);
    EXPECT_NE(reply.status().message().find(word), std::string::npos) << reply.status().text();
    if (code == Code::already_exists || word == "expected_release") return;
    const auto preview = registry_->rollback_preview(local_, preview_of(request, 10));
    EXPECT_CODE(preview, code);
  };
  refused(Code::invalid_argument, "exactly one", [](auto& r) { r.to.epoch = 0; });
  refused(Code::invalid_argument, "exactly one", [](auto& r) { r.to.where = "rows > 1"; });
  refused(Code::invalid_argument, "blank", [](auto& r) { r.to = {}, r.to.where = " \n"; });
  refused(Code::invalid_argument, "^", [](auto& r) { r.to = {}, r.to.where = "run = "; });
  refused(Code::invalid_argument, "metrics.rmse", [](auto& r) { r.to = {}, r.to.where = "metrics_rmse > 1"; });
  refused(Code::invalid_argument, "where", [](auto& r) { r.to = {}, r.to.where = "run = 'x') or (run = 'y'"; });
  refused(Code::invalid_argument, "moved tag next", [](auto& r) { r.to = {}, r.to.release = uuid('r', 2); });
  refused(Code::not_found, "release", [](auto& r) { r.to = {}, r.to.release = uuid('r', 77); });
  refused(Code::not_found, "tag nothing", [](auto& r) { r.tag = "nothing"; });
  refused(Code::not_found, "acme/none", [](auto& r) { r.model = "none"; });
  refused(Code::failed_precondition, "not committed", [](auto& r) { r.to.epoch = 99; });
  refused(Code::failed_precondition, "not moved yet", [&](auto& r) { r.to.epoch = joined.epoch; });
  refused(Code::failed_precondition, "not moved yet", [](auto& r) { r.to = {}, r.to.time_us = 1; });
  refused(Code::failed_precondition, "expected_release", [](auto& r) { r.expected_release = uuid('r', 2); });
  refused(Code::already_exists, "release", [](auto& r) { r.release = uuid('r', 2); });
  EXPECT_EQ(state(), "/=1");
  Principal foreign("foreign");
  foreign.grant("zeta", {.read = true, .publish = true});
  EXPECT_CODE(registry_->rollback(foreign, back(3)), Code::permission_denied);
  EXPECT_CODE(registry_->rollback_preview(foreign, preview_of(back(3), 1)), Code::permission_denied);
}

TEST_F(RollbackTest, ACursorOfAnotherRequestIsRefused) {
  ASSERT_OK(publish(1, {{{}, 1}, {{"a"}, 2}, {{"b"}, 3}}));
  ASSERT_OK(publish(2, {{{}, 4, 1}, {{"a"}, 5, 1}, {{"b"}, 6, 1}}));
  wire::RollbackRequest to = back(3);
  to.to.release = uuid('r', 1);
  auto first = preview_of(to, 1);
  ASSERT_OK_AND_ASSIGN(const auto page, registry_->rollback_preview(local_, first));
  ASSERT_FALSE(page.cursor.empty());
  auto other = first;
  other.cursor = page.cursor;
  other.under = {"a"};
  EXPECT_CODE(registry_->rollback_preview(local_, other), Code::invalid_argument);
  for (const std::string& cursor : {std::string("x"), page.cursor.substr(0, 24), std::string(40, '\xff')}) {
    first.cursor = cursor;
    EXPECT_CODE(registry_->rollback_preview(local_, first), Code::invalid_argument);
  }
  first.cursor = page.cursor;
  first.cursor[15] = static_cast<char>(first.cursor[15] ^ 1);
  EXPECT_CODE(registry_->rollback_preview(local_, first), Code::failed_precondition) << "another generation";
  // A page goes on as of its first page, whatever is written meanwhile.
  first.cursor = page.cursor;
  ASSERT_OK(publish(4, {{{}, 7, 2}}));
  ASSERT_OK_AND_ASSIGN(const auto second, registry_->rollback_preview(local_, first));
  EXPECT_EQ(second.epoch, page.epoch);
  ASSERT_EQ(second.nodes.size(), 1u);
  EXPECT_EQ(second.nodes[0].before.version, uuid('v', 5));
}

}  // namespace
}  // namespace espalier::registry
