#include "common/json_depth.h"

#include <gtest/gtest.h>

#include <string>

namespace espalier {
namespace {

TEST(JsonDepth, CountsObjectsAndArraysAroundAPlace) {
  EXPECT_EQ(json_depth(""), 0u);
  EXPECT_EQ(json_depth("3"), 0u);
  EXPECT_EQ(json_depth("{}"), 1u);
  EXPECT_EQ(json_depth(R"({"a":[1,{"b":[]}],"c":{}})"), 4u);
  EXPECT_EQ(json_depth(std::string(500'000, '[')), 500'000u);
}

TEST(JsonDepth, BracketsWithinTextsDoNotCount) {
  EXPECT_EQ(json_depth(R"(["[[[", "\"[[", "\\", ["}]"]])"), 2u);
  EXPECT_EQ(json_depth(R"("[[)"), 0u);
  EXPECT_EQ(json_depth("]]}[\"\\"), 1u);
}

}  // namespace
}  // namespace espalier
