#include "cli/output.h"

#include <gtest/gtest.h>

namespace espalier::cli {
namespace {

TEST(Table, NumbersStandRightTextLeft) {
  Table table({"node", "rows"});
  table.add({"usa/ca", "12"});
  table.add({"(root)", "1,234"});
  EXPECT_EQ(table.text(), "node     rows\nusa/ca     12\n(root)  1,234");
}

TEST(Table, CountsCodePointsNotBytes) {
  Table table({"a", "b"});
  table.add({"\xc3\xa9", "x"});
  table.add({"ee", "y"});
  EXPECT_EQ(table.text(), "a   b\n\xc3\xa9   x\nee  y");
}

TEST(Text, CountsAreGrouped) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1000), "1,000");
  EXPECT_EQ(count_text(1234567), "1,234,567");
}

TEST(Text, UnitsFitTheSize) {
  EXPECT_EQ(seconds_text(0.0123), "12 ms");
  EXPECT_EQ(seconds_text(3.2), "3.20 s");
  EXPECT_EQ(bytes_text(912), "912 B");
  EXPECT_EQ(bytes_text(1234567), "1.23 MB");
  EXPECT_EQ(time_text(0), "1970-01-01 00:00:00");
}

TEST(Text, JsonTextEscapesAndReplaces) {
  EXPECT_EQ(json_text("a\"b\n"), "\"a\\\"b\\n\"");
  EXPECT_EQ(json_text("\xff"), "\"\xef\xbf\xbd\"");
}

TEST(Text, PartitionsForPeople) {
  EXPECT_EQ(partition_text({}), "(root)");
  EXPECT_EQ(partition_text({"usa", "", "new york"}), "usa//new york");
}

TEST(Output, ShortensTextsByCharactersFromEitherEnd) {
  EXPECT_EQ(shortened("abcd", 4), "abcd");
  EXPECT_EQ(shortened("abcde", 4), "abc…");
  EXPECT_EQ(shortened("äöüßé", 4), "äöü…");
  EXPECT_EQ(ending("abcd", 4), "abcd");
  EXPECT_EQ(ending("abcde", 4), "…cde");
  EXPECT_EQ(ending("äöüßé", 4), "…üßé");
  EXPECT_EQ(ending("", 4), "");
}

}  // namespace
}  // namespace espalier::cli
