// Bytes that change under a shard's feet: flipped bits, lost pages (docs/damage.md).
#include "shard/damage.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "common/lost_pages.h"
#include "shard/feed.h"
#include "shard/predict.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/shard/fake_registry.h"
#include "tests/unit/shard/table_builder.h"

namespace espalier::shard {
namespace {

using wire::EntryKind;

constexpr std::int64_t kInterval = 10'000'000;

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Each look at it takes 0.15 s.
class SlowClock final : public Clock {
 public:
  std::int64_t monotonic_us() const override { return now_us_ += 150'000; }
  std::int64_t wall_us() const override { return 0; }
  void advance(std::int64_t us) { now_us_ += us; }

 private:
  mutable std::int64_t now_us_ = 0;
};

class ShardDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    survive_lost_pages();
    ASSERT_OK_AND_ASSIGN(pack_, model::Pack::open(Files::system(), dir_ / "pack", {1u << 20}));
    admission_.emplace(*pack_, damage_);
    space_.emplace(SpaceOptions{}, *pack_, *admission_, damage_, clock_);
    FeedOptions options;
    options.self.name = "s0";
    feed_.emplace(options, registry_, *admission_, *space_, scrub_, damage_, live_, state_, clock_);
    registry_.release({{"", EntryKind::version, 1, 1}});
    ASSERT_OK(feed_->sync());
    ASSERT_OK(pack_->close_segment());  // the root has a file of its own
    registry_.release({{"usa", EntryKind::version, 2, 20}, {"peru", EntryKind::version, 3, 300}});
    ASSERT_OK(feed_->sync());
  }

  /// The pack's file that has the artefact of that bias, and where.
  std::pair<std::filesystem::path, std::size_t> place_of(double bias) const {
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir_ / "pack")) {
      if (!file.is_regular_file()) continue;
      const std::size_t at = content_of(file.path()).find(artefact_of(bias));
      if (at != std::string::npos) return {file.path(), at};
    }
    ADD_FAILURE() << "no file has it";
    return {};
  }
  void flip_bit(double bias) const {
    const auto [path, at] = place_of(bias);
    const std::size_t place = at + artefact_of(bias).size() / 2;
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(place));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(place));
    file.put(static_cast<char>(byte ^ 4));
  }
  void cut_file_of(double bias) const { std::filesystem::resize_file(place_of(bias).first, 0); }

  /// What a request for the node is answered with, such as "2 exact".
  std::string ask(const std::string& partition, Verify verify = Verify::admission) {
    Predictor predictor("s0", clock_, damage_, verify);
    wire::PredictRequest request;
    request.tenant = "acme";
    request.model = "total";
    request.budget_us = 1'000'000;
    wire::PartAsked part;
    part.rows = 1;
    part.partition = values_of(partition);
    request.parts.push_back(part);
    const std::string header = wire::encode(request);
    const std::string_view body("\x81\xa4rows\x91\x81\xa1x\x05", 11);  // {"rows": [{"x": 5}]}
    LiveTable::Reader reader(live_);
    const auto lease = reader.lease();
    Reply reply;
    predictor.answer(Principal::local(), *lease, header, {&body, 1}, clock_.monotonic_us(), reply);
    const auto decoded = wire::decode<wire::PredictReply>(reply.header);
    if (!decoded.ok() || decoded->parts.size() != 1) return "refused";
    if (decoded->parts[0].status != Code::ok) return std::string(code_name(decoded->parts[0].status));
    const wire::Provenance& provenance = decoded->parts[0].provenance;
    return std::to_string(provenance.version.bytes[15]) + " " + std::string(wire::reason_name(provenance.reason));
  }

  testing::TempDir dir_;
  ManualClock clock_;
  FakeRegistry registry_;
  StateFile state_{Files::system(), dir_.path() + "/state"};
  std::unique_ptr<model::Pack> pack_;
  LiveTable live_{std::make_unique<const ModelTable>()};
  std::optional<Admission> admission_;
  std::optional<Space> space_;
  Damage damage_;
  Scrub scrub_{kInterval, damage_, clock_};
  std::optional<Feed> feed_;
};

TEST_F(ShardDamage, ARequestThatVerifiesIsAnsweredByTheNextNodeUp) {
  EXPECT_EQ(ask("usa", Verify::always), "2 exact");
  flip_bit(20);
  EXPECT_EQ(ask("usa", Verify::always), "1 corrupt");
  EXPECT_EQ(ask("usa"), "1 corrupt") << "found once, it answers nobody";
  EXPECT_EQ(ask("peru", Verify::always), "3 exact");
}

TEST_F(ShardDamage, IsFetchedAnewAndAnswersAgain) {
  flip_bit(20);
  ASSERT_EQ(ask("usa", Verify::always), "1 corrupt");
  const int fetches = registry_.fetches;
  ASSERT_OK(feed_->step());
  EXPECT_EQ(registry_.fetches, fetches + 1);
  EXPECT_EQ(ask("usa", Verify::always), "2 exact");
  EXPECT_TRUE(registry_.acks.back().failed.empty());
}

TEST_F(ShardDamage, StaysOutWhileTheRegistryIsAway) {
  flip_bit(20);
  ASSERT_EQ(ask("usa", Verify::always), "1 corrupt");
  registry_.is_away = true;
  EXPECT_CODE(feed_->step(), Code::unavailable);
  EXPECT_EQ(ask("usa"), "1 corrupt");
  registry_.is_away = false;
  ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("usa"), "2 exact");
}

TEST_F(ShardDamage, OfARegistryTooLeavesTheNodeOutUntilItIsMendedThere) {
  registry_.damage(20);
  flip_bit(20);
  ASSERT_EQ(ask("usa", Verify::always), "1 corrupt");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("usa"), "1 corrupt");
  ASSERT_EQ(registry_.acks.back().failed.size(), 1u);
  EXPECT_EQ(registry_.acks.back().failed[0].version, uuid_of(2));
  registry_.mend(20);
  clock_.advance(120'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("usa"), "2 exact");
}

TEST_F(ShardDamage, OfBytesThatTwoModelsShareIsMendedForBoth) {
  registry_.release({{"", EntryKind::version, 4, 20}}, "production", "globex");
  ASSERT_OK(feed_->step());
  flip_bit(20);
  ASSERT_EQ(ask("usa", Verify::always), "1 corrupt");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("usa", Verify::always), "2 exact");
  const Model* model = live_.current().models.find(model::model_key("globex", "total"));
  ASSERT_NE(model, nullptr);
  const Node* other = model->find_tag("production")->nodes.find("");
  ASSERT_NE(other, nullptr);
  ASSERT_TRUE(other->wanted.is_ready());
  EXPECT_TRUE(other->wanted.servable->is_intact());
}

TEST_F(ShardDamage, FoundByAnotherModelsAdmissionAnswersNobody) {
  flip_bit(20);
  registry_.release({{"", EntryKind::version, 4, 20}}, "production", "globex");
  for (int i = 0; i < 3; ++i) ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("usa", Verify::always), "2 exact");
  const Answer& usa = live_.current()
                          .models.find(model::model_key("acme", "total"))
                          ->find_tag("production")
                          ->nodes.find(node_key_of({"usa"}))
                          ->wanted;
  EXPECT_TRUE(usa.servable->is_intact());
}

TEST_F(ShardDamage, WhatIsKeptForAWayBackIsLookedAtAgain) {
  registry_.release({{"usa", EntryKind::version, 5, 21}});
  ASSERT_OK(feed_->step());
  flip_bit(20);
  registry_.release({{"usa", EntryKind::version, 2, 20}});
  ASSERT_OK(feed_->step());
  EXPECT_NE(ask("usa"), "2 exact") << "it is still to be fetched";
  clock_.advance(120'000'000);
  ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("usa", Verify::always), "2 exact");
}

TEST_F(ShardDamage, IsFoundByTheScrubWithinItsInterval) {
  ASSERT_OK(feed_->step());
  flip_bit(300);
  const std::uint64_t before = scrub_.bytes();
  for (int i = 0; i <= 20; ++i, clock_.advance(kInterval / 10)) ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("peru"), "3 exact");
  EXPECT_TRUE(live_.current().models.find(model::model_key("acme", "total")) != nullptr);
  EXPECT_GE(scrub_.bytes() - before, 2 * 3 * artefact_of(1).size()) << "each of two rounds looks at all three";
  EXPECT_EQ(registry_.fetches, 3) << "what was damaged was fetched anew";
}

TEST_F(ShardDamage, IsLookedForWithinTheIntervalHoweverMuchThereIs) {
  Scrub scrub(kInterval, damage_, clock_, 1);
  const std::uint64_t all = 3 * artefact_of(1).size();
  scrub.step(live_.current());
  clock_.advance(kInterval / 2);
  scrub.step(live_.current());
  EXPECT_EQ(scrub.bytes(), all) << "more than is looked at in one go, but time has passed";
  scrub.step(live_.current());
  EXPECT_EQ(scrub.bytes(), all);
  EXPECT_FALSE(scrub.is_late());
}

TEST_F(ShardDamage, IsNotLookedForForLongInOneGo) {
  SlowClock clock;
  Scrub scrub(kInterval, damage_, clock, 1);
  const std::uint64_t one = artefact_of(1).size();
  scrub.step(live_.current());
  clock.advance(kInterval * 2 / 5);
  scrub.step(live_.current());
  EXPECT_EQ(scrub.bytes(), 2 * one) << "0.2 s are over";
  EXPECT_FALSE(scrub.is_late());
  clock.advance(kInterval / 5);
  scrub.step(live_.current());
  EXPECT_EQ(scrub.bytes(), 3 * one);
}

TEST_F(ShardDamage, AScrubThatCanNotKeepItsIntervalSaysSo) {
  SlowClock clock;
  Scrub scrub(kInterval, damage_, clock, 1);
  scrub.step(live_.current());
  clock.advance(kInterval);
  scrub.step(live_.current());
  ASSERT_LT(scrub.bytes(), 3 * artefact_of(1).size());
  EXPECT_TRUE(scrub.is_late());
  for (int i = 0; i < 40; ++i, clock.advance(kInterval / 20)) scrub.step(live_.current());
  EXPECT_FALSE(scrub.is_late());
}

TEST_F(ShardDamage, IsLookedForSteadilyNotAllAtOnce) {
  Scrub scrub(2 * kInterval, damage_, clock_);
  const std::uint64_t all = 3 * artefact_of(1).size();
  scrub.step(live_.current());
  EXPECT_EQ(scrub.bytes(), 0u);
  clock_.advance(kInterval / 2);
  scrub.step(live_.current());
  EXPECT_GE(scrub.bytes(), all / 2);
  EXPECT_LT(scrub.bytes(), all);
  clock_.advance(kInterval / 2);
  scrub.step(live_.current());
  EXPECT_EQ(scrub.bytes(), all);
  scrub.step(live_.current());
  EXPECT_EQ(scrub.bytes(), all) << "the next round has begun";
  EXPECT_FALSE(damage_.take());
}

TEST_F(ShardDamage, AFileThatIsCutShortIsAnsweredForByTheNextNodeUpAndMended) {
  cut_file_of(20);
  EXPECT_EQ(ask("usa"), "1 corrupt");
  EXPECT_EQ(ask("peru"), "1 corrupt");
  EXPECT_EQ(ask(""), "1 exact");
  ASSERT_OK(feed_->step());
  EXPECT_EQ(ask("usa", Verify::always), "2 exact");
  EXPECT_EQ(ask("peru", Verify::always), "3 exact");
}

}  // namespace
}  // namespace espalier::shard
