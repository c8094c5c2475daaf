#include "trainer/slices.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trainer/train.h"

namespace espalier::trainer {
namespace {

using nlohmann::json;

class SlicesTest : public ::testing::Test {
 protected:
  SlicesTest() {
    spec_.model = "duration";
    spec_.target.column = "target";
    spec_.levels = {"country"};
    spec_.features = {{"x", "standardise(x)"}};
    spec_.training.min_rows = 5;
    spec_.evaluation.slices = {"sex"};
  }

  /// 400 rows; men's target is off by 10, one in eight has no sex.
  void write(const std::string& extra_value = {}) {
    std::ofstream file(folder_ / "rides.csv", std::ios::binary);
    file << "country,x,sex,id,target\n";
    for (int i = 0; i < 400; ++i) {
      const bool is_man = i % 2 == 0;
      std::string sex = i % 8 == 7 ? "" : is_man ? "m" : "f";
      if (i == 5 && !extra_value.empty()) sex = extra_value;
      file << (i % 3 == 0 ? "a," : "b,") << i << "," << sex << "," << i << "," << 2 * i + (is_man ? 10 : 0) << "\n";
    }
  }
  Result<TrainedTree> train() {
    const SourceOptions options{folder_ / "rides.csv", "", "acme", ""};
    ASSIGN_OR_RETURN(const auto features, model::FeatureSet::parse(spec_.features));
    ASSIGN_OR_RETURN(const auto source, read_source(options, spec_, features.inputs()));
    ThreadPool pool(2);
    return train_tree(spec_, features, source, source.tenants[0], pool, nullptr);
  }

  testing::TempDir folder_;
  model::Spec spec_;
};

TEST_F(SlicesTest, StandBesideTheMetricsOfAllRows) {
  write();
  ASSERT_OK_AND_ASSIGN(const TrainedTree tree, train());
  ASSERT_EQ(tree.nodes.size(), 3u);
  for (const TrainedNode& node : tree.nodes) {
    const json metrics = json::parse(metrics_json(node, spec_.task));
    const json& sex = metrics.at("slices").at("sex");
    ASSERT_EQ(sex.size(), 2u) << "rows without a value are in none";
    EXPECT_LT(sex["m"]["rows"].get<int>() + sex["f"]["rows"].get<int>(), metrics["rows"].get<int>());
    EXPECT_GT(sex["m"]["rmse"].get<double>(), 0);
    EXPECT_EQ(metrics["rmse"], json::parse(node.held_out.json(spec_.task))["rmse"]);
  }
}

TEST_F(SlicesTest, AddUpWhereEachRowHasAValue) {
  write();
  spec_.evaluation.slices = {"country"};
  ASSERT_OK_AND_ASSIGN(const TrainedTree tree, train());
  const TrainedNode& root = tree.nodes[0];
  Metrics sum;
  for (const auto& [value, metrics] : root.slices.at("country")) sum.add(metrics);
  EXPECT_EQ(sum.rows, root.held_out.rows);
  EXPECT_NEAR(sum.squared_error, root.held_out.squared_error, 1e-6 * root.held_out.squared_error);
  for (std::size_t i = 1; i < tree.nodes.size(); ++i) {
    ASSERT_EQ(tree.nodes[i].slices.at("country").size(), 1u);
    EXPECT_EQ(tree.nodes[i].slices.at("country").begin()->second.rows, tree.nodes[i].held_out.rows);
  }
  // The whole tree: its leaves have all rows here.
  EXPECT_EQ(tree.held_out.rows, root.held_out.rows);
  const double of_leaves = tree.nodes[1].held_out.squared_error + tree.nodes[2].held_out.squared_error;
  EXPECT_NEAR(tree.held_out.squared_error, of_leaves, 1e-6 * of_leaves);
}

TEST_F(SlicesTest, ChangeNothingElse) {
  write();
  ASSERT_OK_AND_ASSIGN(const TrainedTree with, train());
  spec_.evaluation.slices.clear();
  ASSERT_OK_AND_ASSIGN(const TrainedTree without, train());
  for (std::size_t i = 0; i < with.nodes.size(); ++i) {
    EXPECT_EQ(with.nodes[i].hash, without.nodes[i].hash);
    EXPECT_EQ(metrics_json(without.nodes[i], spec_.task), with.nodes[i].held_out.json(spec_.task));
  }
}

TEST_F(SlicesTest, WrongColumnsAreRefused) {
  write(std::string(65, 'x'));
  const auto says = [&](const std::string& text) {
    const auto tree = train();
    EXPECT_CODE(tree, Code::invalid_argument);
    EXPECT_NE(tree.status().message().find(text), std::string::npos) << tree.status().text();
  };
  says("column sex has a value of 65 bytes");
  spec_.evaluation.slices = {"id"};
  says("column id has more than 50 values");
  spec_.evaluation.slices = {"nothing"};
  says("nothing");
}

}  // namespace
}  // namespace espalier::trainer
