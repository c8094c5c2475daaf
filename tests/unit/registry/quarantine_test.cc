// Versions go out of service and come back, as changes like others (docs/quarantine.md).
#include "registry/quarantine.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/registry/tags_fixture.h"

namespace espalier::registry {
namespace {

class QuarantineTest : public TagsFixture {
 protected:
  wire::QuarantineRequest of(std::uint32_t idem, const Uuid& version, bool lift = false) {
    return {uuid('q', idem), "acme", "total", version, lift, "smells"};
  }
};

TEST_F(QuarantineTest, AVersionGoesInAndComesOutOfTheModelsRecord) {
  ASSERT_OK(publish_run(1, {{{}, 1}, {{"usa"}, 2}}, "R1", 1));
  ASSERT_OK_AND_ASSIGN(const auto in, registry_->quarantine(local_, of(1, uuid('v', 2))));
  EXPECT_EQ(model().quarantined, std::vector<Uuid>{uuid('v', 2)});
  ASSERT_OK_AND_ASSIGN(const auto again, registry_->quarantine(local_, of(2, uuid('v', 2))));
  EXPECT_EQ(again.epoch, in.epoch) << "nothing changed";
  ASSERT_OK(registry_->quarantine(local_, of(3, uuid('v', 1))));
  const std::vector<Uuid> both = {std::min(uuid('v', 1), uuid('v', 2)), std::max(uuid('v', 1), uuid('v', 2))};
  EXPECT_EQ(model().quarantined, both);
  ASSERT_OK(registry_->quarantine(local_, of(4, uuid('v', 2), true)));
  EXPECT_EQ(model().quarantined, std::vector<Uuid>{uuid('v', 1)});
  // As it was.
  wire::ModelsRequest then;
  then.tenant = "acme";
  then.model = "total";
  then.epoch = in.epoch;
  ASSERT_OK_AND_ASSIGN(const auto models, registry_->models(local_, then));
  EXPECT_EQ(models.models.at(0).quarantined, std::vector<Uuid>{uuid('v', 2)});
}

TEST_F(QuarantineTest, IsAChangeThatShardsFollowAndThatIsMadeOnce) {
  ASSERT_OK(publish_run(1, {{{}, 1}, {{"usa"}, 2}}, "R1", 1));
  ASSERT_OK_AND_ASSIGN(const auto in, registry_->quarantine(local_, of(1, uuid('v', 2))));
  ASSERT_OK(registry_->quarantine(local_, of(2, uuid('v', 2), true)));
  ASSERT_OK_AND_ASSIGN(const auto replayed, registry_->quarantine(local_, of(1, uuid('v', 2))));
  EXPECT_EQ(replayed.epoch, in.epoch);
  EXPECT_TRUE(model().quarantined.empty()) << "the first reply again, and nothing done";
  wire::FeedRequest feed;
  feed.generation = in.generation;
  feed.after = in.epoch - 1;
  ASSERT_OK_AND_ASSIGN(const auto changes, registry_->feed(local_, feed));
  ASSERT_EQ(changes.changes.size(), 2u);
  EXPECT_EQ(changes.changes[0].kind, wire::ChangeKind::model);
  EXPECT_EQ(changes.changes[0].model, "total");
}

TEST_F(QuarantineTest, StaysThroughReleases) {
  ASSERT_OK(publish_run(1, {{{}, 1}, {{"usa"}, 2}}, "R1", 1));
  ASSERT_OK(registry_->quarantine(local_, of(1, uuid('v', 2))));
  ASSERT_OK(publish_run(2, {{{"usa"}, 3}}, "R2", 1));
  EXPECT_EQ(model().quarantined, std::vector<Uuid>{uuid('v', 2)});
}

TEST_F(QuarantineTest, RefusesWhatIsNotThereOrNotAllowed) {
  ASSERT_OK(publish_run(1, {{{}, 1}}, "R1", 1));
  EXPECT_CODE(registry_->quarantine(local_, of(1, uuid('v', 9))), Code::not_found);
  EXPECT_CODE(registry_->quarantine(local_, of(2, Uuid{})), Code::invalid_argument);
  auto other = of(3, uuid('v', 1));
  other.tenant = "globex";
  EXPECT_CODE(registry_->quarantine(local_, other), Code::not_found);
  auto long_winded = of(4, uuid('v', 1));
  long_winded.reason.assign(2000, 'x');
  EXPECT_CODE(registry_->quarantine(local_, long_winded), Code::invalid_argument);
  EXPECT_CODE(registry_->quarantine(Principal("reader").grant("acme", {true, false, true}), of(5, uuid('v', 1))),
              Code::permission_denied);
  EXPECT_TRUE(model().quarantined.empty());
}

}  // namespace
}  // namespace espalier::registry
