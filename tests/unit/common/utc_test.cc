#include "common/utc.h"

#include <gtest/gtest.h>

namespace espalier {
namespace {

TEST(Utc, ReadsMomentsAsPeopleWriteThem) {
  EXPECT_EQ(parse_utc("1970-01-01"), 0);
  EXPECT_EQ(parse_utc("2026-11-20"), 1'795'132'800'000'000);
  EXPECT_EQ(parse_utc("2026-11-20 22:15"), 1'795'212'900'000'000);
  EXPECT_EQ(parse_utc("2026-11-20T22:15:03Z"), 1'795'212'903'000'000);
  EXPECT_EQ(parse_utc("2026-11-20 22:15:03.25"), 1'795'212'903'250'000);
  EXPECT_EQ(parse_utc("2026-11-20 22:15:03.000001"), 1'795'212'903'000'001);
  EXPECT_TRUE(parse_utc("2024-02-29").has_value());
}

TEST(Utc, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "2026",
                           "2026-11",
                           "2026-11-2",
                           "2026-11-20 ",
                           "2026-11-20Z",
                           "2026-11-20 22",
                           "2026-11-20 22:15:",
                           "2026-11-20 22:15:03.",
                           "2026-11-20 22:15:03.0000001",
                           "2026-11-20 22:15:03+01:00",
                           "2026-13-01",
                           "2026-00-01",
                           "2026-02-29",
                           "2026-11-31",
                           "2026-11-20 24:00",
                           "2026-11-20 22:60",
                           "2026-11-20 22:15:60",
                           "1969-12-31",
                           "26-11-20",
                           "2026/11/20",
                           "+026-11-20",
                           "2026-11-20x",
                           "now"}) {
    EXPECT_FALSE(parse_utc(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace espalier
