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
      {"not the gone one, however idle", {{0, false, false, 0, false, true}, {1, false, false, 50}}, false, 1},
      {"the gone one where no other is left", {{0, false, false, 9, false, true}, {1, false, true, 0}}, true, 0},
      {"the gone one that answers rather than a suspect one",
       {{0, true, false, 0}, {1, false, false, 9, false, true}},
       false,
       1},
      {"not the full one", {{0, false, false, 9, true}, {1, false, false, 50}}, false, 1},
      {"the suspect one rather than the full one", {{0, false, false, 9, true}, {1, true, false, 0}}, true, 1},
      {"all are full", {{0, false, false, 9, true}, {1, true, false, 9, true}}, true, std::nullopt},
      {"all are full or were tried", {{0, false, true, 0}, {1, false, false, 9, true}}, true, std::nullopt},
  };
  for (const Case& c : cases) EXPECT_EQ(choose_candidate(c.candidates, c.spread), c.expected) << c.name;
}

TEST(RetryPolicy, SaysWhetherAPieceMayBeSent) {
  const struct {
    const char* name;
    std::int64_t remaining_us;
    Cause cause;
    bool may_retry;
    Sending expected;
  } cases[] = {
      {"the first time", 1, Cause::first, true, Sending::sent},
      {"the first time costs no retry", 1, Cause::first, false, Sending::sent},
      {"after silence", 1, Cause::silence, true, Sending::sent},
      {"after silence, but too much was sent again", 1, Cause::silence, false, Sending::unfunded},
      {"a refusal costs no retry", 1, Cause::refusal, false, Sending::sent},
      {"nothing is left of its budget", 0, Cause::first, true, Sending::late},
      {"less than nothing", -5, Cause::refusal, true, Sending::late},
      {"too late comes first", 0, Cause::silence, false, Sending::late},
  };
  for (const auto& c : cases) EXPECT_EQ(may_send(c.remaining_us, c.cause, c.may_retry), c.expected) << c.name;
}

TEST(RetryPolicy, SaysWhyNobodyIsAsked) {
  const struct {
    const char* name;
    std::vector<Candidate> candidates;
    Sending expected;
  } cases[] = {
      {"nobody holds it", {}, Sending::exhausted},
      {"all were tried", {{0, false, true, 0}, {1, false, true, 0}}, Sending::exhausted},
      {"one is full", {{0, false, true, 0}, {1, false, false, 9, true}}, Sending::full},
      {"all are full", {{0, false, false, 9, true}, {1, true, false, 9, true}}, Sending::full},
      {"full, but tried", {{0, false, true, 9, true}, {1, false, true, 0}}, Sending::exhausted},
  };
  for (const auto& c : cases) EXPECT_EQ(why_nobody(c.candidates), c.expected) << c.name;
  EXPECT_EQ(failure_of(Sending::full).code(), Code::overloaded);
  EXPECT_GT(retry_after_us(failure_of(Sending::full).code()), 0);
  EXPECT_EQ(failure_of(Sending::late).code(), Code::deadline_exceeded);
  EXPECT_EQ(failure_of(Sending::exhausted).code(), Code::unavailable);
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
