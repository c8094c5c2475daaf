// Specs: the one example, what its canonical form is, and what is refused with which place.

#include "model/spec.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace espalier::model {
namespace {

constexpr char kGood[] = R"toml([model]
name = "price"
task = "regression"
target = "log(price)"
scale = "transformed"
levels = ["country", "city"]
[features]
size = "standardise(size)"
age = "fill(age, 30)"
[training]
seed = 7
holdout = 0.25
min_rows = 20
l2 = [1, 0.5]
compression_tolerance = 0
probes = 2
)toml";

TEST(Spec, ReadsEveryKey) {
  ASSERT_OK_AND_ASSIGN(const Spec spec, Spec::parse_toml(kGood, "a.toml"));
  EXPECT_EQ(spec.model, "price");
  EXPECT_EQ(spec.task, Task::regression);
  EXPECT_EQ(spec.target.column, "price");
  EXPECT_EQ(spec.target.transform, TargetTransform::log);
  EXPECT_FALSE(spec.target.original_scale);
  EXPECT_EQ(spec.levels, (std::vector<std::string>{"country", "city"}));
  ASSERT_EQ(spec.features.size(), 2u);
  EXPECT_EQ(spec.features[0].name, "age");
  EXPECT_EQ(spec.training.seed, 7u);
  EXPECT_EQ(spec.training.holdout, 0.25);
  EXPECT_EQ(spec.training.min_rows, 20u);
  EXPECT_EQ(spec.training.l2, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(spec.training.compression_tolerance, 0);
  EXPECT_EQ(spec.training.probes, 2u);
}

TEST(Spec, CanonicalFormIsStable) {
  ASSERT_OK_AND_ASSIGN(const Spec spec, Spec::parse_toml(kGood, "a.toml"));
  EXPECT_EQ(
      spec.json(),
      R"json({"features":{"age":"fill(age, 30)","size":"standardise(size)"},)json"
      R"json("model":{"levels":["country","city"],"name":"price","scale":"transformed","target":"log(`price`)",)json"
      R"json("task":"regression"},"training":{"compression_tolerance":0.0,"holdout":0.25,"l2":[1.0,0.5],)json"
      R"json("min_rows":20,"probes":2,"seed":7}})json");
  ASSERT_OK_AND_ASSIGN(const Spec again, Spec::parse_json(spec.json()));
  EXPECT_EQ(again.json(), spec.json());
  EXPECT_EQ(again.hash(), spec.hash());
}

TEST(Spec, DefaultsAreWrittenOut) {
  const char* text = "[model]\nname=\"m\"\ntask=\"binary\"\ntarget=\"y\"\n[features]\nx=\"x\"\n";
  ASSERT_OK_AND_ASSIGN(const Spec spec, Spec::parse_toml(text, "a.toml"));
  EXPECT_TRUE(spec.levels.empty());
  EXPECT_EQ(spec.training.min_rows, 50u);
  EXPECT_NE(spec.json().find("\"min_rows\":50"), std::string::npos);
}

TEST(Spec, SlicesAreColumnsAndLeaveOtherSpecsTheirHash) {
  ASSERT_OK_AND_ASSIGN(const Spec plain, Spec::parse_toml(kGood, "a.toml"));
  EXPECT_EQ(plain.json().find("evaluation"), std::string::npos);
  const std::string text = std::string(kGood) + "[evaluation]\nslices = [\"sex\", \"age group\"]\n";
  ASSERT_OK_AND_ASSIGN(const Spec spec, Spec::parse_toml(text, "a.toml"));
  EXPECT_EQ(spec.evaluation.slices, (std::vector<std::string>{"sex", "age group"}));
  ASSERT_OK_AND_ASSIGN(const Spec again, Spec::parse_json(spec.json()));
  EXPECT_EQ(again.evaluation.slices, spec.evaluation.slices);
  EXPECT_NE(spec.hash(), plain.hash());
  for (const auto& [slices, says] : std::vector<std::pair<std::string, std::string>>{
           {"slices = \"sex\"", "evaluation.slices: expected a list of columns, got text"},
           {"slices = [1]", "evaluation.slices[0]: expected text, got a number"},
           {"slices = [\"\"]", "evaluation.slices[0]: a column's name is empty"},
           {"slices = [\"a\", \"a\"]", "evaluation.slices[1]: \"a\" stands twice"},
           {"slices = [\"a\", \"b\", \"c\", \"d\", \"e\"]", "evaluation.slices: at most 4 columns"},
           {"slice = [\"a\"]", "unknown key; did you mean \"slices\"?"},
       }) {
    const auto wrong = Spec::parse_toml(std::string(kGood) + "[evaluation]\n" + slices + "\n", "a.toml");
    EXPECT_CODE(wrong, Code::invalid_argument) << slices;
    EXPECT_NE(wrong.status().message().find(says), std::string::npos) << wrong.status().text();
  }
}

struct Wrong {
  const char* from;  ///< a piece of the good spec
  const char* to;    ///< what stands there instead
  const char* message;
};

TEST(Spec, WrongSpecsAreRefusedWithTheirPlace) {
  const std::vector<Wrong> cases = {
      {"name = \"price\"", "name = \"Price\"", "a.toml:2:1: model.name:"},
      {"name = \"price\"", "name = 3", "a.toml:2:1: model.name: expected text, got a number"},
      {"name = \"price\"\n", "", "\"name\" is missing"},
      {"name = \"price\"", "nam = \"price\"",
       "a.toml:2:1: model.nam: unknown key; did you mean \"name\"? (keys here: name, task"},
      {"regression", "regresion", "did you mean \"regression\"?"},
      {"regression", "binary", "only a regression's target can be transformed"},
      {"log(price)", "exp(price)", "a target is a column or log()"},
      {"log(price)", "log(price", "a.toml:4:1: model.target: column 10: expected"},
      {"log(price)", "log(2)", "a target is a column"},
      {"log(price)", "", "a column's name is empty"},
      {"\"transformed\"", "\"other\"", "neither original nor transformed"},
      {"[\"country\", \"city\"]", "\"country\"", "model.levels: expected a list of columns, got text"},
      {"[\"country\", \"city\"]", "[\"a\", 2]", "model.levels[1]: expected text"},
      {"[\"country\", \"city\"]", "[\"a\", \"a\"]", "\"a\" stands twice"},
      {"[\"country\", \"city\"]", "[\"price\"]", "\"price\" is the target too"},
      {"[\"country\", \"city\"]", "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]", "9 levels, at most 8"},
      {"[\"country\", \"city\"]", "[\"\"]", "name is empty"},
      {"standardise(size)", "standardize(size)", "a.toml:8:1: features.size: column 1: unknown function"},
      {"standardise(size)", "price * 2", "is the target"},
      {"standardise(size)", "words(age)", "elsewhere"},
      {"\"standardise(size)\"", "3", "a.toml:8:1: features.size: expected an expression as text, got a number"},
      {"[features]", "[feature]", "a.toml:7:2: feature: unknown key; did you mean \"features\"?"},
      {"holdout = 0.25", "holdout = 0", "a.toml:12:1: training.holdout: must be above 0 and below 1"},
      {"holdout = 0.25", "holdout = 1.0", "must be above 0 and below 1"},
      {"holdout = 0.25", "holdout = nan", "must be finite"},
      {"holdout = 0.25", "holdout = true", "expected a number, got true or false"},
      {"holdout = 0.25", "holdout = 2020-01-01", "dates and times"},
      {"min_rows = 20", "min_rows = 0", "must be from 1"},
      {"min_rows = 20", "min_rows = -1", "must be from 1"},
      {"min_rows = 20", "min_rows = 1.5", "expected a whole number"},
      {"min_rows = 20", "min_row = 20", "did you mean \"min_rows\"?"},
      {"[1, 0.5]", "[1, -0.5]", "training.l2[1]: must not be negative"},
      {"[1, 0.5]", "[]", "must hold 1 to 32 numbers"},
      {"[1, 0.5]", "[\"1\"]", "training.l2[0]: expected a number"},
      {"probes = 2", "probes = 65", "must be from 0 to 64"},
      {"compression_tolerance = 0", "compression_tolerance = 1", "at least 0 and below 1"},
      {"seed = 7", "seed = ", "a.toml:11:"},
      {"[training]", "[\x06raining]", "a.toml:10:1: a table's name is expected after ["},
      {"[training]", "[\n]", "a.toml:10:1: a table's name is expected after ["},
      {"[training]", "[[.a]]", "a.toml:10:1: a table's name is expected after ["},
      {"[1, 0.5]", "[1,}", "a.toml:14:9: a value is expected here"},
      {"[1, 0.5]", "[,1]", "a.toml:14:7: a value is expected here"},
      {"[1, 0.5]", "]", "a.toml:14:6: a value is expected here"},
      {"seed = 7", "seed = \xC3\xA9", "a.toml:11:"},
      {"seed = 7", "\xC3\xA9 = 7", "a.toml:11:1:"},
      {"[training]", "\x01", "a.toml:10:1: a control character"},
      {"seed = 7", "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a = 1",
       "a.toml:11:66: a key of too many parts"},
      {"seed = 7", "seed = [\n[7],\n'''[.''', \"[.\"]", "training.seed: expected a whole number, got a list"},
      {"seed = 7", "seed = 7\nseed = 8", "a.toml:12:"},
  };
  for (const Wrong& each : cases) {
    SCOPED_TRACE(each.to);
    std::string text = kGood;
    const std::size_t at = text.find(each.from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, std::string(each.from).size(), each.to);
    const auto spec = Spec::parse_toml(text, "a.toml");
    ASSERT_CODE(spec, Code::invalid_argument);
    EXPECT_NE(spec.status().message().find(each.message), std::string::npos) << spec.status().message();
  }
}

TEST(Spec, WrongJsonIsRefused) {
  for (const char* text : {"", "{", "[]", "null", "3", "{}", R"({"model":1})", R"({"model":{},"features":{}})", "\xFF",
                           R"({"model":{"name":"m","task":"binary","target":"y"},"features":[]})"}) {
    SCOPED_TRACE(text);
    EXPECT_CODE(Spec::parse_json(text), Code::invalid_argument);
  }
}

TEST(Spec, JsonOfAnyDepthIsRefused) {
  std::string text = Spec::parse_toml(kGood, "a.toml")->json();
  const std::string key = "\"l2\":";
  const std::size_t at = text.find(key);
  ASSERT_NE(at, std::string::npos);
  text.insert(at + key.size(), std::string(400'000, '[')).insert(text.size() - 2, std::string(400'000, ']'));
  const auto spec = Spec::parse_json(text);
  ASSERT_CODE(spec, Code::invalid_argument);
  EXPECT_NE(spec.status().message().find("nested too deep"), std::string::npos) << spec.status().message();
}

}  // namespace
}  // namespace espalier::model
