#include "trainer/lineage.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace espalier::trainer {
namespace {

using nlohmann::json;

class LineageTest : public ::testing::Test {
 protected:
  /// 40 rows in two countries; `day` runs from 2026-01-01 to 2026-01-20, `zone` holds a word in one row.
  LineageTest() {
    std::ofstream file(folder_ / "rides.csv", std::ios::binary);
    file << "country,x,day,zone,code,target\n";
    for (int i = 0; i < 40; ++i) {
      const std::string day = "2026-01-" + std::string(i % 20 < 9 ? "0" : "") + std::to_string(i % 20 + 1);
      file << (i % 2 == 0 ? "a," : "b,") << i << "," << day << "," << (i == 17 ? "somewhere" : day) << "," << 2000 + i
           << "," << (i == 3 ? "" : std::to_string(2 * i)) << "\n";
    }
    spec_.model = "duration";
    spec_.task = model::Task::regression;
    spec_.target.column = "target";
    spec_.levels = {"country"};
    spec_.features = {
        {"x", "standardise(x)"}, {"day", "standardise(day(day))"}, {"zone", "onehot(zone)"}, {"code", "onehot(code)"}};
    spec_.training.min_rows = 5;
  }

  json of(const std::string& where, std::string Lineage::*record) {
    const SourceOptions options{folder_ / "rides.csv", where, "acme", ""};
    const auto features = model::FeatureSet::parse(spec_.features);
    EXPECT_OK(features);
    const auto source = read_source(options, spec_, features->inputs());
    EXPECT_OK(source);
    ThreadPool pool(1);
    const auto tree = train_tree(spec_, *features, *source, source->tenants[0], pool, nullptr);
    EXPECT_OK(tree);
    return json::parse(lineage_of(options, *source, spec_, *tree, 0.5).*record);
  }

  testing::TempDir folder_;
  model::Spec spec_;
};

TEST_F(LineageTest, SaysWhatDataItWas) {
  const json data = of("", &Lineage::version)["data"];
  EXPECT_EQ(data["file"], "rides.csv");
  EXPECT_EQ(data["fingerprint"].get<std::string>().size(), 64u);
  EXPECT_EQ(data["file_rows"], 40);
  EXPECT_EQ(data["rows"], 39) << "one has no target";
  EXPECT_EQ(data["times"], (json{{"day", {{"from", "2026-01-01"}, {"to", "2026-01-20"}}}}))
      << "a column with a word in it, or of bare years, is no time";
  EXPECT_FALSE(data.contains("where"));
  const json filtered = of("x >= 30", &Lineage::version)["data"];
  EXPECT_EQ(filtered["where"], "x >= 30");
  EXPECT_EQ(filtered["rows"], 10);
  EXPECT_EQ(filtered["times"]["zone"]["from"], "2026-01-11");
}

TEST_F(LineageTest, SaysHowItWasTrained) {
  const json lineage = of("", &Lineage::version);
  EXPECT_EQ(lineage["params"]["family"], "linear");
  EXPECT_EQ(lineage["params"]["min_rows"], 5);
  EXPECT_EQ(lineage["params"]["l2"].size(), 2u);
  EXPECT_TRUE(lineage["params"]["l2"]["country"].is_number());
  EXPECT_TRUE(lineage["params"]["l2"]["global"].is_number());
  EXPECT_EQ(lineage["seconds"]["read"], 0.5);
}

TEST_F(LineageTest, TheReleaseHasTheMetricsOfEachLevel) {
  const json run = of("", &Lineage::release);
  EXPECT_EQ(run["metrics_by_level"]["global"], run["root_held_out"]);
  EXPECT_EQ(run["metrics_by_level"]["country"]["rows"], run["root_held_out"]["rows"])
      << "each held-out row lies in one country";
  EXPECT_EQ(run["data"]["rows"], 39);
  EXPECT_EQ(run["nodes"], 3);
}

}  // namespace
}  // namespace espalier::trainer
