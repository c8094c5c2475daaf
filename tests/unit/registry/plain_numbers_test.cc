#include "registry/search/plain_numbers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "registry/search/index.h"

namespace espalier::registry::search {
namespace {

using nlohmann::json;

std::map<std::string, double> plain(std::string_view text) {
  std::vector<NamedNumber> numbers;
  std::map<std::string, double> named;
  if (!read_plain_numbers(text, numbers)) return {{"not plain", 0}};
  for (const auto& [name, number] : numbers) named.emplace(name, number);
  EXPECT_EQ(named.size(), numbers.size());
  return named;
}

TEST(PlainNumbers, AreReadAsAWholeParserReadsThem) {
  for (const char* text :
       {"{}", " { } ", R"({"rmse":84.25})", R"({"rmse": -0.5, "mae":1e3 ,"rows":200})", R"({"a":0,"b":-0,"a":7})",
        R"({"":1})", R"({"z":1,"a":2,"m":3.0000000000000001})", "\t{\r\n\"a\"\n:\t1.5e-3}\n",
        R"({"big":9223372036854775807,"bigger":18446744073709551615,"digits":0.1000000000000000055511151231257827})",
        R"({"most":1.7976931348623157e308,"a.b":2,"rows":1E+2})"}) {
    EXPECT_EQ(plain(text), top_numbers(text)) << text;
    EXPECT_TRUE(json::accept(std::string(text))) << text;
  }
}

TEST(PlainNumbers, WhatNeedsAWholeParserIsLeftToIt) {
  for (const char* text : {"",
                           " ",
                           "1",
                           "[]",
                           "null",
                           "{",
                           "}",
                           "{}}",
                           "{} x",
                           R"({"a"})",
                           R"({"a":})",
                           R"({"a":1,})",
                           R"({,"a":1})",
                           R"({"a":1 "b":2})",
                           R"({"a":01})",
                           R"({"a":.5})",
                           R"({"a":5.})",
                           R"({"a":1e})",
                           R"({"a":+1})",
                           R"({"a":-})",
                           R"({"a":0x10})",
                           R"({"a":inf})",
                           R"({"a":nan})",
                           R"({"a":NaN})",
                           R"({"a":1e999})",
                           R"({"a":-1e999})",
                           R"({"a":1e-999})",
                           R"({"a":null})",
                           R"({"a":"text"})",
                           R"({"a":{"b":1}})",
                           R"({"a":[1]})",
                           R"({"a":true})",
                           R"({"a\n":1})",
                           R"({"\u0061":1})",
                           R"({"ä":1})",
                           "{\"a\tb\":1}",
                           "{\"a:1}",
                           "{a:1}",
                           "{'a':1}"}) {
    EXPECT_EQ(plain(text).count("not plain"), 1U) << text;
  }
}

// Whatever is taken for plain is JSON, and its numbers are those of a whole parser: over texts that look alike.
TEST(PlainNumbers, NeverSayAnythingElseThanAWholeParser) {
  std::mt19937 random(7);
  const std::string letters = R"({}":,.-+eE0123456789 ab\)";
  const std::string whole = R"({"a":-1.5e3,"b" : 20, "ab":0.25})";
  std::size_t taken = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = whole;
    for (auto changes = random() % 4; changes > 0; --changes) {
      const std::size_t at = random() % text.size();
      const char letter = letters[random() % letters.size()];
      if (random() % 3 == 0) {
        text.erase(at, 1);
      } else if (random() % 2 == 0) {
        text.insert(at, 1, letter);
      } else {
        text[at] = letter;
      }
    }
    std::vector<NamedNumber> numbers;
    if (!read_plain_numbers(text, numbers)) continue;
    ++taken;
    ASSERT_TRUE(json::accept(text)) << text;
    ASSERT_EQ(plain(text), top_numbers(text)) << text;
  }
  EXPECT_GT(taken, 20'000U);
}

}  // namespace
}  // namespace espalier::registry::search
