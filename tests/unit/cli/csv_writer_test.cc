#include "cli/csv_writer.h"

#include <gtest/gtest.h>

namespace espalier::cli {
namespace {

std::string cell(std::string_view text) {
  std::string line = "x,";
  append_csv_cell(line, text);
  return line.substr(2);
}

TEST(CsvCell, PlainTextStaysAsItIs) {
  EXPECT_EQ(cell(""), "");
  EXPECT_EQ(cell("a b;c'd"), "a b;c'd");
  EXPECT_EQ(cell("\xc3\xa9"), "\xc3\xa9");
}

TEST(CsvCell, QuotesWhatWouldBreakTheLine) {
  EXPECT_EQ(cell("a,b"), "\"a,b\"");
  EXPECT_EQ(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(cell("two\nlines"), "\"two\nlines\"");
  EXPECT_EQ(cell("\r"), "\"\r\"");
  EXPECT_EQ(cell("\""), "\"\"\"\"");
}

}  // namespace
}  // namespace espalier::cli
