#include "common/uuid.h"

#include <gtest/gtest.h>

#include <set>

#include "common/bytes.h"
#include "tests/support/status_matchers.h"

namespace espalier {
namespace {

constexpr std::int64_t kTime = 1'700'000'000'123'456;

TEST(Uuid, RoundTrips) {
  ASSERT_OK_AND_ASSIGN(const Uuid uuid, Uuid::parse("018bcfe5-68fb-7ABC-8def-0123456789AB"));
  EXPECT_EQ(uuid.text(), "018bcfe5-68fb-7abc-8def-0123456789ab");
  ASSERT_OK_AND_ASSIGN(const Uuid again, Uuid::from_bytes(uuid.view()));
  EXPECT_EQ(again, uuid);
  EXPECT_TRUE(Uuid{}.is_nil());
  EXPECT_FALSE(uuid.is_nil());
}

TEST(Uuid, Rejects) {
  for (const char* text : {"", "018bcfe568fb7abc8def0123456789ab", "018bcfe5-68fb-7abc-8def-0123456789a",
                           "018bcfe5-68fb-7abc-8def-0123456789abc", "018bcfe5-68fb-7abc-8def-0123456789ag",
                           "018bcfe5:68fb-7abc-8def-0123456789ab", "018bcfe56-8fb-7abc-8def-0123456789ab",
                           "{18bcfe5-68fb-7abc-8def-0123456789a}", "018bcfe5-68fb-7abc-8def 0123456789ab"}) {
    EXPECT_CODE(Uuid::parse(text), Code::invalid_argument) << text;
  }
  for (const std::size_t size : {0u, 15u, 17u}) {
    EXPECT_CODE(Uuid::from_bytes(std::string(size, 'x')), Code::invalid_argument) << size;
  }
}

TEST(UuidSource, HasTheTimeAndTheVersion) {
  const ManualClock clock(kTime);
  UuidSource source(clock);
  for (int i = 0; i < 1000; ++i) {
    const Uuid uuid = source.next();
    EXPECT_EQ(load_u64_be(uuid.view().data()) >> 16, static_cast<std::uint64_t>(kTime / 1000));
    EXPECT_EQ(uuid.bytes[6] >> 4, 7);
    EXPECT_EQ(uuid.bytes[8] >> 6, 2);
  }
}

TEST(UuidSource, AscendsWithinAMillisecondAndWhenTheClockGoesBack) {
  ManualClock clock(kTime);
  UuidSource source(clock);
  Uuid last;
  for (int i = 0; i < 3000; ++i) {
    if (i == 1000) clock.advance(5'000);
    if (i == 2000) clock.set_wall(kTime - 60'000'000);
    const Uuid uuid = source.next();
    EXPECT_LT(last, uuid);
    last = uuid;
  }
}

TEST(UuidSource, TwoSourcesDoNotMeet) {
  const ManualClock clock(kTime);
  UuidSource one(clock);
  UuidSource two(clock);
  std::set<Uuid> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(one.next());
    seen.insert(two.next());
  }
  EXPECT_EQ(seen.size(), 2000u);
}

}  // namespace
}  // namespace espalier
