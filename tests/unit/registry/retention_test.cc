// What rules keep, and which rules there can't be.
#include "registry/space/retention.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace espalier::registry {
namespace {

TEST(RetentionRule, KeepsByAnyOfItsParts) {
  constexpr std::int64_t kDay = 86'400'000'000;
  const std::int64_t now = 100 * kDay;
  wire::RetentionRule none;
  none.keep_all = false;
  wire::RetentionRule last = none, days = none;
  last.keep_last = 2;
  days.keep_days = 10;
  struct Case {
    const char* what;
    wire::RetentionRule rule;
    Candidate candidate;
    bool kept;
  };
  const std::vector<Case> cases = {{"no rule", {}, {9, 0, false}, true},
                                   {"a tag names it", none, {9, 0, true}, true},
                                   {"nothing", none, {0, now, false}, false},
                                   {"the newest two", last, {1, 0, false}, true},
                                   {"the third", last, {2, 0, false}, false},
                                   {"ten days old", days, {5, now - 10 * kDay, false}, true},
                                   {"older", days, {5, now - 10 * kDay - 1, false}, false}};
  for (const Case& c : cases) EXPECT_EQ(keeps(c.rule, now, c.candidate), c.kept) << c.what;

  wire::RetentionRule any = none, some = none;
  any.keep_tagged = some.keep_tagged = true;
  some.tagged = {"production"};
  EXPECT_TRUE(keeps_entry(none, now, "x", 0)) << "it still says so";
  EXPECT_FALSE(keeps_entry(none, now, "x", now));
  EXPECT_TRUE(keeps_entry(any, now, "x", 1));
  EXPECT_TRUE(keeps_entry(some, now, "production", 1));
  EXPECT_FALSE(keeps_entry(some, now, "staging", 1));
  EXPECT_TRUE(keeps_entry(days, now, "x", now - 10 * kDay)) << "it was named within that time";
  EXPECT_FALSE(keeps_entry(days, now, "x", now - 10 * kDay - 1));
}

TEST(RetentionRule, RefusesWhatMakesNoSense) {
  wire::RetentionRule rule;
  EXPECT_OK(check_rule(rule));
  rule.keep_last = 1;
  EXPECT_CODE(check_rule(rule), Code::invalid_argument);
  rule.keep_all = false;
  EXPECT_OK(check_rule(rule));
  rule.tagged = {"production"};
  EXPECT_CODE(check_rule(rule), Code::invalid_argument);
  rule.keep_tagged = true;
  EXPECT_OK(check_rule(rule));
  rule.tagged = {"no tag"};
  EXPECT_CODE(check_rule(rule), Code::invalid_argument);
  rule.tagged = {};
  rule.keep_days = 1'000'000;
  EXPECT_CODE(check_rule(rule), Code::invalid_argument);
}

}  // namespace
}  // namespace espalier::registry
