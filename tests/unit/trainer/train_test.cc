#include "trainer/train.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "common/files.h"
#include "model/artefact.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace espalier::trainer {
namespace {

using model::Task;

/// A file of rows, a spec, and what training makes of them.
class TrainTest : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  static model::Spec spec(Task task) {
    model::Spec spec;
    spec.model = "duration";
    spec.task = task;
    spec.target.column = "target";
    spec.levels = {"country", "city"};
    spec.features = {{"x", "standardise(x)"}, {"kind", "onehot(kind)"}};
    spec.training.min_rows = 10;
    return spec;
  }

  /// A line for each city, with a slope of its own; classes by sign or by third.
  std::string rides(Task task, int rows = 600) {
    std::string text = "country,city,x,kind,target,owner\n";
    std::uint32_t state = 1;
    for (int i = 0; i < rows; ++i) {
      state = state * 1664525u + 1013904223u;
      const double x = (state >> 8) / double{1 << 24};
      const int city = i % 7;
      const double y = 10 + (1 + city) * x + (i % 3);
      std::string target = std::to_string(y);
      if (task == Task::binary) target = y > 13 ? "yes" : "no";
      if (task == Task::multiclass) target = y > 15 ? "long" : y > 12 ? "medium" : "short";
      const std::string name = city == 6 ? "" : "c" + std::to_string(city);
      text += (city < 3 ? "A," : "B,") + name + "," + std::to_string(x) + ",k" + std::to_string(i % 3) + "," + target +
              (i % 2 == 0 ? ",Acme\n" : ",beta\n");
    }
    return text;
  }

  Result<std::vector<TrainedTree>> train(const model::Spec& spec, const SourceOptions& options,
                                         std::size_t threads = 1) {
    ASSIGN_OR_RETURN(const auto features, model::FeatureSet::parse(spec.features));
    ASSIGN_OR_RETURN(const Source source, read_source(options, spec, features.inputs()));
    ThreadPool pool(threads);
    std::vector<TrainedTree> trees;
    for (const TenantRows& tenant : source.tenants) {
      ASSIGN_OR_RETURN(trees.emplace_back(), train_tree(spec, features, source, tenant, pool, nullptr));
    }
    return trees;
  }

  testing::TempDir folder_;
};

constexpr Task kTasks[] = {Task::regression, Task::binary, Task::multiclass};

TEST_F(TrainTest, GivesTheSameBytesWhateverTheThreads) {
  for (const Task task : kTasks) {
    const SourceOptions options{write("rides.csv", rides(task)), "", "acme", ""};
    ASSERT_OK_AND_ASSIGN(const auto one, train(spec(task), options, 1));
    ASSERT_EQ(one[0].nodes.size(), 9u);
    for (const std::size_t threads : {2, 3}) {
      ASSERT_OK_AND_ASSIGN(const auto more, train(spec(task), options, threads));
      ASSERT_EQ(more[0].nodes.size(), 9u);
      for (std::size_t i = 0; i < 9; ++i) {
        EXPECT_EQ(more[0].nodes[i].partition.text(), one[0].nodes[i].partition.text());
        EXPECT_EQ(more[0].nodes[i].hash, one[0].nodes[i].hash) << threads << " " << i;
      }
    }
  }
}

TEST_F(TrainTest, MakesArtefactsThatAnswerAndReplayTheirProbes) {
  for (const Task task : kTasks) {
    ASSERT_OK_AND_ASSIGN(const auto trees, train(spec(task), {write("rides.csv", rides(task)), "", "acme", ""}));
    for (const TrainedNode& node : trees[0].nodes) {
      EXPECT_EQ(node.hash, blake2b_256(node.artefact));
      ASSERT_OK_AND_ASSIGN(const auto artefact, model::Artefact::open(node.artefact));
      EXPECT_EQ(artefact.task(), task);
      EXPECT_EQ(artefact.probe_count(), 4u);
      model::Artefact::Scratch scratch;
      EXPECT_OK(artefact.replay_probes(scratch));
    }
    const Metrics& root = trees[0].nodes[0].held_out;
    EXPECT_GT(root.rows, 60);
    EXPECT_LT(root.rows, 180);
    if (task == Task::regression) {
      EXPECT_LT(std::sqrt(root.squared_error / root.rows), 1.5);
    } else {
      EXPECT_GT(root.accuracy(), 0.6);
    }
  }
}

TEST_F(TrainTest, LeavesSmallNodesOutAndTransparentOnesToo) {
  model::Spec small = spec(Task::regression);
  small.training.min_rows = 86;
  const SourceOptions options{write("rides.csv", rides(Task::regression)), "", "acme", ""};
  ASSERT_OK_AND_ASSIGN(const auto trees, train(small, options));
  std::string nodes;
  for (const TrainedNode& node : trees[0].nodes) nodes += node.partition.text() + ":" + std::to_string(node.rows) + " ";
  EXPECT_EQ(nodes, ":600 A:258 A/c0:86 A/c1:86 A/c2:86 B:342 B/c3:86 B/c4:86 ");
  small.training.min_rows = 1'000'000;
  ASSERT_OK_AND_ASSIGN(const auto root_only, train(small, options));
  EXPECT_EQ(root_only[0].nodes.size(), 1u);
}

TEST_F(TrainTest, PredictsOnTheScaleAskedFor) {
  model::Spec log_spec = spec(Task::regression);
  log_spec.target.transform = model::TargetTransform::log;
  const SourceOptions options{write("rides.csv", rides(Task::regression)), "", "acme", ""};
  ASSERT_OK_AND_ASSIGN(const auto original, train(log_spec, options));
  EXPECT_NEAR(original[0].nodes[0].held_out.sum / original[0].nodes[0].held_out.rows, 13, 1);
  log_spec.target.original_scale = false;
  ASSERT_OK_AND_ASSIGN(const auto transformed, train(log_spec, options));
  EXPECT_NEAR(transformed[0].nodes[0].held_out.sum / transformed[0].nodes[0].held_out.rows, std::log(13), 0.1);
}

TEST_F(TrainTest, SortsRowsByTenant) {
  const std::string path = write("rides.csv", rides(Task::regression));
  ASSERT_OK_AND_ASSIGN(const auto trees, train(spec(Task::regression), {path, "", "", "owner"}));
  ASSERT_EQ(trees.size(), 2u);
  EXPECT_EQ(trees[0].tenant, "acme");
  EXPECT_EQ(trees[0].rows, 300u);
  EXPECT_EQ(trees[1].tenant, "beta");
  ASSERT_OK_AND_ASSIGN(const auto acme, train(spec(Task::regression), {path, "owner = Acme", "acme", ""}));
  EXPECT_EQ(acme[0].nodes[0].hash, trees[0].nodes[0].hash);
}

TEST_F(TrainTest, MakesSomethingOfDataThatSaysLittle) {
  struct Case {
    std::string name, rows;
    Task task;
    std::vector<std::string> classes;
  };
  const std::vector<Case> cases = {
      {"one row", "A,a,1,k,5,o\n", Task::regression, {}},
      {"constant target", "A,a,1,k,5,o\nA,a,2,k,5,o\n", Task::regression, {}},
      {"no features", "A,a,,,1,o\nA,a,,,2,o\n", Task::regression, {}},
      {"one class of two", "A,a,1,k,yes,o\nA,a,2,k,yes,o\n", Task::binary, {"(other)", "yes"}},
      {"one class of many", "A,a,1,k,yes,o\n", Task::multiclass, {"(other)", "yes"}},
      {"large values", "A,a,1e9,k,x,o\nA,a,-1e300,k,y,o\nA,a,3,k,z,o\n", Task::multiclass, {"x", "y", "z"}},
  };
  for (const Case& test : cases) {
    const std::string path = write("few.csv", "country,city,x,kind,target,owner\n" + test.rows);
    ASSERT_OK_AND_ASSIGN(const auto trees, train(spec(test.task), {path, "", "acme", ""}));
    ASSERT_OK_AND_ASSIGN(const auto artefact, model::Artefact::open(trees[0].nodes[0].artefact));
    EXPECT_EQ(std::vector<std::string>(artefact.classes().begin(), artefact.classes().end()), test.classes)
        << test.name;
    model::Artefact::Scratch scratch;
    EXPECT_OK(artefact.replay_probes(scratch)) << test.name;
  }
}

TEST_F(TrainTest, NamesThePlaceOfWhatItRefuses) {
  const std::string header = "country,city,x,kind,target,owner\n";
  struct Case {
    std::string rows, what;
    Task task = Task::regression;
    model::TargetTransform transform = model::TargetTransform::identity;
    SourceOptions options = {"", "", "acme", ""};
  };
  const std::vector<Case> cases = {
      {"", "of 0 rows 0 pass"},
      {"A,a,1,k,,o\n", "none of those has a target"},
      {"A,a,1,k,5,o\n", "of 1 rows 0 pass", Task::regression, {}, {"", "x > 3", "acme", ""}},
      {"A,a,1,k,tall,o\n", ":2: column target: 'tall' is not a finite number"},
      {"A,a,1,k,2e30,o\n", ":2: column target: the target is beyond 1e30"},
      {"A,a,1,k,5,o\nA,a,1,k,0,o\n", ":3: column target: the target's function", Task::regression,
       model::TargetTransform::log},
      {"A,a,1,k,-1,o\n", ":2: column target: the target's function", Task::regression, model::TargetTransform::sqrt},
      {"A,a,1,k,-1,o\n", ":2: column target: the target's function", Task::regression, model::TargetTransform::log1p},
      {"A,a,1,k,a,o\nA,a,1,k,b,o\nA,a,1,k,c,o\n", ":4: column target: a third class, 'c'", Task::binary},
      {"A,a,1,k,\xFF,o\n", ":2: column target: the text is not UTF-8", Task::multiclass},
      {"A,b\xFF,1,k,1,o\n", ":2: "},
      {"A,a,1,k,1,o\nA,a,1,k,1,No Name\n", ":3: column owner: ", Task::regression, {}, {"", "", "", "owner"}},
      {"A,a,1,k,1,\n", ":2: column owner: ", Task::regression, {}, {"", "", "", "owner"}},
      {"A,a,1,k,1,o\n", "no column 'nobody'", Task::regression, {}, {"", "", "", "nobody"}},
      {"A,a,1,k,1,o\n", "tenant", Task::regression, {}, {"", "", "No Name", ""}},
      {"A,a,1,k,1,o\n", "no column 'speed'", Task::regression, {}, {"", "speed > 1", "acme", ""}},
      {"A,a,1,k,1,o\n", "expected a number", Task::regression, {}, {"", "x >", "acme", ""}},
  };
  for (const Case& test : cases) {
    model::Spec each = spec(test.task);
    each.training.min_rows = 1;
    each.target.transform = test.transform;
    SourceOptions options = test.options;
    options.path = write("bad.csv", header + test.rows);
    const auto trees = train(each, options);
    EXPECT_CODE(trees, Code::invalid_argument) << test.rows;
    EXPECT_NE(trees.status().message().find(test.what), std::string::npos) << trees.status().message();
  }
}

/// Error of a tree on the rows that pass a filter, each answered by its nearest node.
double test_error(const model::Spec& spec, const TrainedTree& tree, const SourceOptions& options) {
  const auto features = model::FeatureSet::parse(spec.features);
  const auto source = read_source(options, spec, features->inputs());
  const std::vector<std::uint32_t>* rows = nullptr;
  for (const TenantRows& tenant : source->tenants) {
    if (tenant.tenant == tree.tenant) rows = &tenant.rows;
  }
  std::map<std::vector<std::string>, model::Artefact> artefacts;
  for (const TrainedNode& node : tree.nodes) {
    artefacts.emplace(node.partition.values(), *model::Artefact::open(node.artefact));
  }
  const FrameRows inputs(source->frame, *rows, tree.inputs);
  const std::size_t target = *source->frame.find(target_field(spec));
  std::vector<model::Value> values(tree.inputs.size());
  model::Artefact::Scratch scratch;
  model::Output output;
  double sum = 0;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    std::vector<std::string> path;
    for (const std::string& level : spec.levels) {
      path.emplace_back(
          source->frame.columns()[*source->frame.find({level, model::FieldType::text})].texts[(*rows)[i]]);
    }
    while (!artefacts.contains(path)) path.pop_back();
    inputs.read(i, values);
    const model::Artefact& artefact = artefacts.at(path);
    artefact.predict(values, scratch, output);
    const model::Value truth = source->frame.value((*rows)[i], target);
    if (spec.task == Task::regression) {
      sum += (output.value - truth.number) * (output.value - truth.number);
    } else {
      sum += artefact.classes()[output.best] == truth.text ? 0 : 1;
    }
  }
  return sum / static_cast<double>(rows->size());
}

Result<model::Spec> example(const std::string& name) {
  ASSIGN_OR_RETURN(const std::string text, Files::system().read(testing::source_folder() + "/examples/" + name));
  return model::Spec::parse_toml(text, name);
}

TEST_F(TrainTest, ReachesTheErrorsThatTheLiftersAllow) {
  const auto data = testing::data_folder();
  if (!data) GTEST_SKIP() << testing::kNoData;
  ASSERT_OK_AND_ASSIGN(model::Spec lifters, example("openpowerlifting.toml"));
  const std::string path = *data + "/openpowerlifting/openpowerlifting.csv";
  const SourceOptions fixed_test{path, "split = test", "acme", ""};
  ASSERT_OK_AND_ASSIGN(const auto tree, train(lifters, {path, "split = train", "acme", ""}, 2));
  EXPECT_LE(std::sqrt(test_error(lifters, tree[0], fixed_test)), 86.5);
  lifters.training.min_rows = 1'000'000;
  ASSERT_OK_AND_ASSIGN(const auto root, train(lifters, {path, "split = train", "acme", ""}, 2));
  EXPECT_LE(std::sqrt(test_error(lifters, root[0], fixed_test)), 98.0);
}

TEST_F(TrainTest, ReachesTheAccuracyThatTenTenantsAllow) {
  const auto data = testing::data_folder();
  if (!data) GTEST_SKIP() << testing::kNoData;
  ASSERT_OK_AND_ASSIGN(const model::Spec intents, example("clinc150.toml"));
  const std::string path = *data + "/clinc150/clinc150.tsv";
  ASSERT_OK_AND_ASSIGN(const auto trees, train(intents, {path, "split = train and domain != oos", "", "domain"}));
  ASSERT_EQ(trees.size(), 10u);
  double sum = 0;
  for (const TrainedTree& tree : trees) {
    sum += 1 - test_error(intents, tree, {path, "split = test and domain != oos", "", "domain"});
  }
  EXPECT_GE(sum / 10, 0.940);
}

}  // namespace
}  // namespace espalier::trainer
