#include "shard/busiest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/unit/shard/table_builder.h"
#include "wire/messages.h"

namespace espalier::shard {
namespace {

class BusiestTest : public ::testing::Test {
 protected:
  BusiestTest() {
    auto model = std::make_shared<Model>();
    model->key = model::model_key("acme", "total");
    model->levels = {"country", "town"};
    SnapshotMap<Model>::Editor editor(table_.models);
    editor.set(std::move(model));
    table_.models = editor.finish();
  }

  void ask(const std::vector<std::vector<std::string>>& partitions, const std::string& model = "total") {
    wire::PredictRequest request;
    request.tenant = "acme";
    request.model = model;
    for (const auto& partition : partitions) request.parts.push_back({partition, "", 1});
    const std::string bytes = wire::encode(request);
    wire::PredictHeader header;
    ASSERT_OK(wire::decode_predict(bytes, header));
    busiest_.note(header, table_);
  }
  /// What is said after `seconds` more.
  wire::RenewRequest after(double seconds) {
    wire::RenewRequest request;
    now_us_ += static_cast<std::int64_t>(seconds * 1e6);
    busiest_.add_to(request, now_us_);
    keep_busiest(request);
    return request;
  }

  ModelTable table_;
  Busiest busiest_;
  std::int64_t now_us_ = 1'000'000;
};

TEST_F(BusiestTest, NamesTheKeyThatIsAskedForMost) {
  after(0);
  for (int i = 0; i < 12800; ++i) {
    // 128 and 13 have no factor in common: every kind of request is looked at.
    const int kind = i / 64 % 13;
    ask({{"usa", kind < 8 ? "fresno" : "town" + std::to_string(i / 64)}});
  }
  const auto said = after(10);
  EXPECT_NEAR(said.requests_per_second, 1280, 1);
  ASSERT_FALSE(said.busiest.empty());
  EXPECT_LE(said.busiest.size(), 16u);
  EXPECT_EQ(said.busiest[0].partition, (std::vector<std::string>{"usa", "fresno"}));
  EXPECT_NEAR(said.busiest[0].requests_per_second, 1280 * 8 / 13., 30);
}

TEST_F(BusiestTest, ForgetsWhatIsNotAskedForAnyMore) {
  after(0);
  for (int i = 0; i < 6400; ++i) ask({{"usa", "fresno"}});
  double before = after(1).busiest.at(0).requests_per_second;
  EXPECT_NEAR(before, 6400, 1);
  while (before > 1) {
    const auto said = after(1);
    const double now = said.busiest.empty() ? 0 : said.busiest[0].requests_per_second;
    ASSERT_LT(now, before);
    before = now;
  }
}

TEST_F(BusiestTest, CountsPartsAndLeavesOutWhatAllShardsHold) {
  after(0);
  for (int i = 0; i < 64; ++i) ask({{"usa"}, {}, {"usa", "fresno"}, {"usa", "fresno"}});
  for (int i = 0; i < 64; ++i) ask({{"usa", ""}});
  for (int i = 0; i < 64; ++i) ask({{"usa", "fresno"}}, "nobody");
  const auto said = after(1);
  EXPECT_NEAR(said.requests_per_second, 64 * 6, 1);
  EXPECT_LE(said.busiest.size(), 1u);
}

}  // namespace
}  // namespace espalier::shard
