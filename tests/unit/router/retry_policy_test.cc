#include "router/retry_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace espalier::router {
namespace {

struct Case {
  const char* name;
  std::vector<Candidate> candidates;
  bool spread;
  std::optional<std::size_t> expected;
};

TEST(RetryPolicy, ChoosesWhoIsAskedNext) {
  const Case cases[] = {
      {"nobody", {}, true, std::nullopt},
      {"all were tried", {{0, false, true, 0}, {1, false, true, 0}}, true, std::nullopt},
      {"the best placed", {{0, false, false, 9}, {1, false, false, 0}}, false, 0},
      {"the least busy", {{0, false, false, 9}, {1, false, false, 0}}, true, 1},
      {"equally busy: the best placed", {{0, false, false, 3}, {1, false, false, 3}}, true, 0},
      {"not the one that was tried", {{0, false, true, 0}, {1, false, false, 50}}, true, 1},
      {"not the suspect one, however idle", {{0, true, false, 0}, {1, false, false, 50}}, true, 1},
      {"the suspect one where no other is left", {{0, true, false, 0}, {1, false, true, 0}}, true, 0},
  };
  for (const Case& c : cases) EXPECT_EQ(choose_candidate(c.candidates, c.spread), c.expected) << c.name;
}

TEST(RetryPolicy, PatienceLeavesTimeForTheOthersAndNeverExceedsWhatRemains) {
  EXPECT_EQ(patience_us(1'000'000, 0), 1'000'000);
  EXPECT_EQ(patience_us(1'000'000, 1), 500'000);
  EXPECT_LT(patience_us(1'000'000, 3), patience_us(1'000'000, 1));
  EXPECT_EQ(patience_us(1'000'000, 3), patience_us(1'000'000, 100)) << "many replicas don't make it hasty";
  for (const std::int64_t remaining : {1L, 10L, 1000L, 100'000L}) {
    for (const std::size_t others : {0u, 1u, 2u, 7u}) EXPECT_LE(patience_us(remaining, others), remaining);
  }
}

TEST(RetryPolicy, OnlyWhatAnotherShardMayAnswerIsAskedAgain) {
  EXPECT_TRUE(may_ask_another(Code::unavailable));
  EXPECT_TRUE(may_ask_another(Code::overloaded));
  for (const Code code :
       {Code::invalid_argument, Code::not_found, Code::no_model, Code::permission_denied, Code::deadline_exceeded,
        Code::resource_exhausted, Code::corrupt, Code::unimplemented, Code::internal}) {
    EXPECT_FALSE(may_ask_another(code)) << code_name(code);
  }
}

}  // namespace
}  // namespace espalier::router
