#include "data/where.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace espalier::data {
namespace {

using model::Field;
using model::FieldType;

const double kMissing = std::numeric_limits<double>::quiet_NaN();

Frame people() {
  Frame frame({{"split", FieldType::text}, {"age", FieldType::number}, {"age", FieldType::text}});
  const auto add = [&frame](std::string_view split, double age, std::string_view age_text) {
    frame.columns()[0].texts.push_back(split);
    frame.columns()[1].numbers.push_back(age);
    frame.columns()[2].texts.push_back(age_text);
    frame.end_row(frame.rows() + 2);
  };
  add("train", 10, "10");
  add("test", 20, "20");
  add("", kMissing, "");
  add("o'os", 30, "30");
  return frame;
}

std::string passing(std::string_view text) {
  const Frame frame = people();
  const Result<Where> where = Where::parse(text);
  if (!where.ok()) return where.status().text();
  std::string rows;
  for (const std::uint32_t row : BoundWhere(*where, frame).rows()) rows += std::to_string(row);
  return rows;
}

TEST(Where, PassesTheRowsItSays) {
  EXPECT_EQ(passing("split = train"), "0");
  EXPECT_EQ(passing("split='train'"), "0");
  EXPECT_EQ(passing("split != train"), "123");
  EXPECT_EQ(passing("split <> train"), "123");
  EXPECT_EQ(passing("split = ''"), "2");
  EXPECT_EQ(passing("split = 'o''os'"), "3");
  EXPECT_EQ(passing("\"split\" = test"), "1");
  EXPECT_EQ(passing("age < 20"), "0");
  EXPECT_EQ(passing("age <= 2e1"), "01");
  EXPECT_EQ(passing("age > 10 and age < 30"), "1");
  EXPECT_EQ(passing("age >= -1"), "013");
  EXPECT_EQ(passing("age != 10"), "123");
  EXPECT_EQ(passing("not age = 10"), "123");
  EXPECT_EQ(passing("age < '3'"), "012");
  EXPECT_EQ(passing("age = ''"), "2");
  EXPECT_EQ(passing("age in (10, 30)"), "03");
  EXPECT_EQ(passing("age not in (10, 30)"), "12");
  EXPECT_EQ(passing("split in (train, 'test')"), "01");
  EXPECT_EQ(passing("split = train or split = test and age > 100"), "0");
  EXPECT_EQ(passing("(split = train or split = test) and age > 10"), "1");
  EXPECT_EQ(passing("NOT (split = train OR age = 20) AND split != ''"), "3");
  EXPECT_EQ(passing("not not split = train"), "0");
}

TEST(Where, WithoutATextEveryRowPasses) {
  const Frame frame = people();
  const Where where;
  EXPECT_EQ(BoundWhere(where, frame).rows().size(), 4u);
}

TEST(Where, ReadsAColumnAsItsLiteralsSay) {
  ASSERT_OK_AND_ASSIGN(const Where where, Where::parse("age > 3 and age != '' and age < 9"));
  const std::vector<Field> expected = {{"age", FieldType::number}, {"age", FieldType::text}};
  EXPECT_EQ(where.fields(), expected);
}

TEST(Where, PointsAtWhatItRefuses) {
  struct Case {
    std::string text;
    std::string what;
    std::size_t caret;
  };
  const std::vector<Case> cases = {
      {"", "empty", 0},
      {"   ", "empty", 3},
      {"split", "expected =", 5},
      {"split =", "expected a number", 7},
      {"split = = a", "expected a number", 8},
      {"split == a", "expected a number", 7},
      {"= train", "expected a column", 0},
      {"'split' = train", "expected a column", 0},
      {"3 = 4", "expected a column", 0},
      {"split = train and", "expected a column", 17},
      {"split = train test", "expected and, or", 14},
      {"(split = train", "expected and, or, or )", 14},
      {"split = train)", "expected and, or", 13},
      {"split = 'train", "never closed", 8},
      {"split in train", "expected ( and a list", 9},
      {"split in ()", "expected a number, a word", 10},
      {"split in (a b)", "expected , or )", 12},
      {"age in (1, a)", "numbers or text", 11},
      {"age in (a, 1)", "numbers or text", 11},
      {"split not train", "expected in", 10},
      {"split & train", "belongs to no filter", 6},
      {"ström = 'a' ; x", "belongs to no filter", 12},
      {std::string(200, '(') + "a=1" + std::string(200, ')'), "nested deeper", 101},
  };
  for (const Case& test : cases) {
    const Result<Where> where = Where::parse(test.text);
    ASSERT_CODE(where, Code::invalid_argument) << test.text;
    const std::string& message = where.status().message();
    EXPECT_NE(message.find(test.what), std::string::npos) << message;
    EXPECT_TRUE(message.ends_with("\n  " + std::string(test.caret, ' ') + "^")) << message;
  }
}

TEST(Where, NamesAColumnThatIsNotThere) {
  ASSERT_OK_AND_ASSIGN(const Where where, Where::parse("split = train and domian != oos"));
  EXPECT_OK(where.check_columns({"domian", "split"}));
  const Status status = where.check_columns({"split", "domain"});
  EXPECT_CODE(status, Code::invalid_argument);
  EXPECT_EQ(status.message(),
            "where: no column 'domian'; there are split, domain\n"
            "  split = train and domian != oos\n"
            "                    ^");
}

}  // namespace
}  // namespace espalier::data
