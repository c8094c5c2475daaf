// What each expression makes of a row, and what is refused.

#include "model/features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace espalier::model {
namespace {

using Row = std::map<std::string, Value>;

Value n(double x) { return Value::of(x); }
Value t(std::string_view x) { return Value::of(x); }

/// Rows held as maps; a field that a row lacks is missing.
class TableRows : public Rows {
 public:
  TableRows(std::vector<Row> rows, std::vector<Field> fields) : rows_(std::move(rows)), fields_(std::move(fields)) {}
  std::size_t count() const override { return rows_.size(); }
  void read(std::size_t row, std::span<Value> out) const override {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const auto found = rows_[row].find(fields_[i].name);
      out[i] = found == rows_[row].end() ? Value{} : found->second;
    }
  }

 private:
  std::vector<Row> rows_;
  std::vector<Field> fields_;
};

const std::vector<Row>& training_rows() {
  static const std::vector<Row> rows = {
      {{"x", n(1)},
       {"y", n(2)},
       {"sex", t("F")},
       {"gear", t("Raw")},
       {"when", t("2017-01")},
       {"said", t("good morning")}},
      {{"x", n(2)}, {"y", n(2)}, {"sex", t("M")}, {"gear", t("Raw")}, {"said", t("good night")}},
      {{"x", n(3)}, {"y", n(2)}, {"sex", t("M")}, {"gear", t("Wraps")}, {"said", t("Good  MORNING!")}},
      {{"y", n(2)}, {"sex", t("F")}, {"gear", t("Raw")}, {"said", t("")}},
  };
  return rows;
}

/// The fitted program of one expression. The bytes live with it.
struct Fitted {
  std::string bytes;
  std::vector<Field> inputs;
};

Result<Fitted> fit(const std::string& expression) {
  ASSIGN_OR_RETURN(const FeatureSet set, FeatureSet::parse({{"f", expression}}));
  ASSIGN_OR_RETURN(std::string bytes, set.fit(TableRows(training_rows(), set.inputs())));
  return Fitted{std::move(bytes), set.inputs()};
}

/// The vector as "index:value index:value".
std::string run(const Program& program, const Row& row) {
  std::vector<Value> inputs(program.inputs().size());
  TableRows({row}, program.inputs()).read(0, inputs);
  Program::Scratch scratch;
  FeatureVector out;
  program.run(inputs, scratch, out);
  std::string text;
  for (std::size_t i = 0; i < out.index.size(); ++i) {
    char piece[64];
    std::snprintf(piece, sizeof piece, "%s%u:%.4g", i == 0 ? "" : " ", out.index[i], out.value[i]);
    text += piece;
  }
  return text;
}

struct Case {
  const char* expression;
  Row row;
  const char* expected;
};

TEST(Features, EachExpressionHasItsMeaning) {
  const std::vector<Case> cases = {
      {"x", {{"x", n(5)}}, "0:5"},
      {"x", {}, ""},
      {"x", {{"x", n(0)}}, ""},
      {"`x`", {{"x", n(5)}}, "0:5"},
      {"7", {}, "0:7"},
      {"1 + 2 * 3", {}, "0:7"},
      {"(1 + 2) * 3", {}, "0:9"},
      {"8 - 2 - 1", {}, "0:5"},
      {"8 / 2 / 2", {}, "0:2"},
      {"-2 ^ 2", {}, "0:-4"},
      {"2 ^ 3 ^ 2", {}, "0:512"},
      {"2 ^ -1", {}, "0:0.5"},
      {"--3", {}, "0:3"},
      {"x + y", {{"x", n(1)}}, ""},
      {"x ^ 0", {}, ""},
      {"x / y", {{"x", n(1)}, {"y", n(0)}}, ""},
      {"x / y", {{"x", n(0)}, {"y", n(0)}}, ""},
      {"exp(x)", {{"x", n(1000)}}, ""},
      {"x", {{"x", n(1e300)}}, ""},
      {"log(x)", {{"x", n(std::exp(2))}}, "0:2"},
      {"log(x)", {{"x", n(0)}}, ""},
      {"log(x)", {{"x", n(-1)}}, ""},
      {"log1p(x)", {{"x", n(std::exp(2) - 1)}}, "0:2"},
      {"log1p(x)", {{"x", n(-1)}}, ""},
      {"sqrt(x)", {{"x", n(9)}}, "0:3"},
      {"sqrt(x)", {{"x", n(-9)}}, ""},
      {"abs(x)", {{"x", n(-9)}}, "0:9"},
      {"min(x, y, 4)", {{"x", n(5)}, {"y", n(6)}}, "0:4"},
      {"max(x, y, 4)", {{"x", n(5)}, {"y", n(6)}}, "0:6"},
      {"max(x, 4)", {}, ""},
      {"fill(x)", {}, "0:2"},
      {"fill(x, mean)", {}, "0:2"},
      {"fill(x, median)", {}, "0:2"},
      {"fill(x, 30)", {}, "0:30"},
      {"fill(x, -3)", {}, "0:-3"},
      {"fill(log(x), 1)", {{"x", n(-1)}}, "0:1"},
      {"fill(x)", {{"x", n(9)}}, "0:9"},
      {"missing(x)", {}, "0:1"},
      {"missing(x)", {{"x", n(1)}}, ""},
      {"missing(log(x))", {{"x", n(0)}}, "0:1"},
      {"missing(sex) + 0 * year(sex)", {{"sex", t("2000")}}, ""},
      {"fill(year(sex), 0) + missing(sex)", {}, "0:1"},
      {"standardise(x)", {{"x", n(3)}}, "0:1.225"},
      {"standardise(x)", {}, ""},
      {"standardise(y)", {{"y", n(8)}}, ""},
      {"standardise(x) ^ 2", {{"x", n(1)}}, "0:1.5"},
      {"standardise(fill(x))", {{"x", n(3)}}, "0:1.414"},
      {"buckets(x, 2)", {{"x", n(1)}}, "0:1"},
      {"buckets(x, 2)", {{"x", n(2)}}, "1:1"},
      {"buckets(x, 2)", {}, "2:1"},
      {"buckets(x, 18, 30)", {{"x", n(17.9)}}, "0:1"},
      {"buckets(x, 18, 30)", {{"x", n(18)}}, "1:1"},
      {"buckets(x, 18, 30)", {{"x", n(1e9)}}, "2:1"},
      {"buckets(x, 18, 30)", {}, "3:1"},
      {"onehot(sex)", {{"sex", t("F")}}, "0:1"},
      {"onehot(sex)", {{"sex", t("M")}}, "1:1"},
      {"onehot(sex)", {{"sex", t("X")}}, "2:1"},
      {"onehot(sex)", {}, "2:1"},
      {"onehot(gear, min_rows=2)", {{"gear", t("Wraps")}}, "1:1"},
      {"onehot(gear, max=1)", {{"gear", t("Raw")}}, "0:1"},
      {"onehot(when)", {}, "2:1"},
      {"onehot(when)", {{"when", t("?")}}, "1:1"},
      {"onehot(x + 0)", {{"x", n(3)}}, "2:1"},
      {"onehot(x + 0)", {{"x", n(7)}}, "3:1"},
      {"onehot(x + 0)", {}, "4:1"},
      {"onehot(sex) * x", {{"sex", t("M")}, {"x", n(80)}}, "1:80"},
      {"x * 2 * onehot(sex) * x", {{"sex", t("M")}, {"x", n(3)}}, "1:18"},
      {"onehot(sex) * x", {{"sex", t("M")}}, ""},
      {"cross(sex, gear)", {{"sex", t("F")}, {"gear", t("Raw")}}, "0:1"},
      {"cross(sex, gear)", {{"sex", t("M")}, {"gear", t("Wraps")}}, "2:1"},
      {"cross(sex, gear)", {{"sex", t("F")}, {"gear", t("Wraps")}}, "3:1"},
      {"cross(sex, buckets(x, 18, 30))", {{"sex", t("F")}}, "1:1"},
      {"year(when)", {{"when", t("2017-01")}}, "0:2017"},
      {"month(when)", {{"when", t("2017-02-28")}}, "0:2"},
      {"month(when)", {{"when", t("2017")}}, ""},
      {"day(when)", {{"when", t("2016-02-29T10:30:00Z")}}, "0:29"},
      {"day(when)", {{"when", t("2017-02-29")}}, ""},
      {"weekday(when)", {{"when", t("2026-11-20")}}, "0:5"},
      {"hour(when)", {{"when", t("2026-11-20 23:59")}}, "0:23"},
      {"hour(when)", {{"when", t("2026-11-20 24:59")}}, ""},
      {"year(when)", {{"when", t("yesterday")}}, ""},
      {"year(when)", {{"when", t("2017-13")}}, ""},
      {"year(when)", {{"when", t("20171")}}, ""},
      {"year(when)", {{"when", t("")}}, ""},
      {"words(said)", {{"said", t("unseen")}}, ""},
      {"words(said)", {}, ""},
      {"words(said, weights=tf)", {{"said", t("good morning")}}, "0:0.7071 1:0.7071"},
      {"words(said, weights=tf) * 2", {{"said", t("good\xFFmorning")}}, "0:1.414 1:1.414"},
      {"words(said, 1, 2, weights=binary)", {{"said", t("Good good MORNING")}}, "0:0.5774 1:0.5774 2:0.5774"},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.expression);
    ASSERT_OK_AND_ASSIGN(const Fitted fitted, fit(each.expression));
    ASSERT_OK_AND_ASSIGN(const Program program, Program::open(fitted.bytes));
    EXPECT_EQ(run(program, each.row), each.expected);
  }
}

struct Refused {
  std::string expression;
  const char* message;
};

TEST(Features, WrongExpressionsAreRefusedWithTheirPlace) {
  const std::vector<Refused> cases = {
      {"", "column 1: expected a column"},
      {"x +", "column 4: expected a column"},
      {"x y", "column 3: expected an operator"},
      {"(x", "expected )"},
      {"x)", "expected an operator or the end"},
      {"1..2", "not a number"},
      {"1e999", "not a number that can be stored"},
      {"3x", "not a number"},
      {"`x", "no closing"},
      {"``", "empty column name"},
      {"x $ y", "column 3"},
      {"onehott(sex)", "did you mean \"onehot\"?"},
      {"log()", "takes 1 argument, not 0"},
      {"log(x, y)", "log() takes 1 argument, not 2"},
      {"min(x)", "takes 2 to 16"},
      {"onehot(sex, min_row=2)", "did you mean \"min_rows\"?"},
      {"onehot(sex, min_rows=0)", "whole number from 1"},
      {"onehot(sex, min_rows=1.5)", "whole number from 1"},
      {"onehot(sex, min_rows=2, min_rows=3)", "stands twice"},
      {"log(x, base=2)", "it has none"},
      {"buckets(x, 1)", "from 2 to 256"},
      {"buckets(x, 2.5)", "from 2 to 256"},
      {"buckets(x, 30, 18)", "edges must ascend"},
      {"buckets(x, y)", "expected a number"},
      {"fill(x, y)", "expected a number, mean or median"},
      {"fill(x, 3, median)", "one of"},
      {"onehot(sex) + 1", "only be multiplied"},
      {"onehot(sex) * onehot(gear)", "cross()"},
      {"log(onehot(sex))", "expected a number here"},
      {"cross(words(said), sex)", "can't be crossed"},
      {"words(x + 1)", "takes a text column"},
      {"words(said) + said", "used as a number here and as a text elsewhere"},
      {"words(said, 0)", "from 1 to 5"},
      {"words(said, 6)", "from 1 to 5"},
      {"chars(said, 3, 9)", "from 1 to 8"},
      {"chars(said, 5, 3)", "shorter than the shortest"},
      {"words(said, hash=23)", "from 1 to 22"},
      {"words(said, hash=10, min_rows=2)", "can't stand beside hash"},
      {"words(said, weights=idf)", "one of tfidf, tf, binary"},
      {"words(said, across)", "from 1 to 5"},
      {"x\n+ 1", "one line"},
      {"\xFF", "not UTF-8"},
      {std::string(100, '(') + "x" + std::string(100, ')'), "nested too deep"},
      {std::string(200, '-') + "x", "nested too deep"},
      {std::string(5000, 'x'), "longer than 4096"},
  };
  for (const Refused& each : cases) {
    SCOPED_TRACE(each.expression.substr(0, 60));
    const auto set = FeatureSet::parse({{"f", each.expression}});
    ASSERT_CODE(set, Code::invalid_argument);
    EXPECT_NE(set.status().message().find(each.message), std::string::npos) << set.status().message();
    EXPECT_EQ(set.status().message().find("features.f: "), 0u) << set.status().message();
  }
}

TEST(Features, ErrorsPutACaretUnderThePlace) {
  const auto set = FeatureSet::parse({{"sex", "2 * onehott(sex)"}});
  ASSERT_FALSE(set.ok());
  EXPECT_NE(set.status().message().find("\n  2 * onehott(sex)\n      ^"), std::string::npos) << set.status().message();
}

TEST(Features, ColumnsGetTheTypeThatTheirUseImplies) {
  ASSERT_OK_AND_ASSIGN(
      const FeatureSet set,
      FeatureSet::parse({{"a", "onehot(z)"}, {"b", "onehot(y)"}, {"c", "y + 1"}, {"d", "missing(x)"}}));
  const std::vector<Field> expected = {{"x", FieldType::number}, {"y", FieldType::number}, {"z", FieldType::text}};
  EXPECT_EQ(set.inputs(), expected);
}

TEST(Features, TheSameRowsGiveTheSameBytes) {
  const std::vector<FeatureDefinition> definitions = {{"a", "chars(said, 2, 4)"},
                                                      {"b", "cross(sex, gear)"},
                                                      {"c", "standardise(fill(x))"},
                                                      {"d", "words(said, hash=6, weights=tfidf)"}};
  ASSERT_OK_AND_ASSIGN(const FeatureSet set, FeatureSet::parse(definitions));
  const TableRows rows(training_rows(), set.inputs());
  ASSERT_OK_AND_ASSIGN(const std::string first, set.fit(rows));
  ASSERT_OK_AND_ASSIGN(const std::string second, set.fit(rows));
  EXPECT_EQ(first, second);
  EXPECT_CODE(set.fit(TableRows({}, set.inputs())), Code::invalid_argument);
}

TEST(Features, NamesTellWhatAFeatureIs) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"x", {"f"}},
      {"onehot(sex)", {"f=F", "f=M", "f=(other)"}},
      {"onehot(when)", {"f=2017-01", "f=(other)", "f=(missing)"}},
      {"buckets(x, 18, 30.5)", {"f=<18", "f=[18,30.5)", "f=>=30.5", "f=(missing)"}},
      {"cross(sex, gear)", {"f=F,Raw", "f=M,Raw", "f=M,Wraps", "f=(other)"}},
      {"words(said, hash=1)", {"f:hash 0", "f:hash 1"}},
  };
  for (const auto& [expression, names] : cases) {
    SCOPED_TRACE(expression);
    ASSERT_OK_AND_ASSIGN(const Fitted fitted, fit(expression));
    ASSERT_OK_AND_ASSIGN(const Program program, Program::open(fitted.bytes));
    ASSERT_EQ(program.feature_count(), names.size());
    for (std::uint32_t i = 0; i < names.size(); ++i) EXPECT_EQ(program.feature_name(i), names[i]);
  }
}

TEST(Features, IndicesAscendOverManyBlocks) {
  const std::vector<FeatureDefinition> definitions = {{"a", "chars(said, 1, 3, min_rows=1)"},
                                                      {"b", "onehot(sex)"},
                                                      {"c", "words(said, 1, 2, min_rows=1, sublinear)"},
                                                      {"d", "x"}};
  ASSERT_OK_AND_ASSIGN(const FeatureSet set, FeatureSet::parse(definitions));
  const TableRows rows(training_rows(), set.inputs());
  ASSERT_OK_AND_ASSIGN(const std::string bytes, set.fit(rows));
  ASSERT_OK_AND_ASSIGN(const Program program, Program::open(bytes));
  Program::Scratch scratch;
  FeatureVector out;
  std::vector<Value> inputs(set.inputs().size());
  for (std::size_t row = 0; row < rows.count(); ++row) {
    rows.read(row, inputs);
    program.run(inputs, scratch, out);
    ASSERT_EQ(out.index.size(), out.value.size());
    for (std::size_t i = 0; i < out.index.size(); ++i) {
      EXPECT_LT(out.index[i], program.feature_count());
      if (i > 0) {
        EXPECT_LT(out.index[i - 1], out.index[i]);
      }
    }
  }
}

TEST(Program, DamagedBytesAreRefused) {
  ASSERT_OK_AND_ASSIGN(const Fitted fitted, fit("onehot(sex) * standardise(x)"));
  EXPECT_OK(Program::open(fitted.bytes));
  for (std::size_t size = 0; size < fitted.bytes.size(); ++size) {
    const std::string cut = fitted.bytes.substr(0, size);
    EXPECT_CODE(Program::open(cut), Code::corrupt) << size;
  }
  std::string magic = fitted.bytes;
  magic[0] = 'X';
  EXPECT_CODE(Program::open(magic), Code::corrupt);
  std::string newer = fitted.bytes;
  newer[4] = 2;
  EXPECT_CODE(Program::open(newer), Code::unimplemented);
}

}  // namespace
}  // namespace espalier::model
