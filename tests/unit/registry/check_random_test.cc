// Whatever is done to a registry through its operations, a check of it finds nothing.
#include <random>

#include "registry/upkeep/check.h"
#include "tests/unit/registry/random_workload.h"

namespace espalier::registry {
namespace {

class RandomCheckTest : public RandomWorkload {};

TEST_F(RandomCheckTest, FindsNothingAfterAnyWorkload) {
  std::uint32_t sessions = 0;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 25; ++i) do_something();
    if (round % 2 == 0) open();
    if (round > 0) erase_zeta();
    work(round * 5);  // somewhere in it
    wire::CheckRequest request;
    request.session = uuid('s', ++sessions);
    for (bool done = false; !done; ++request.step) {
      const auto reply = registry_->check(local_, request);
      if (reply.status().code() == Code::unavailable) {  // an erasure has waited for it for two minutes
        request = {};
        request.session = uuid('s', ++sessions);
        ASSERT_OK(registry_->check(local_, request));
        continue;
      }
      ASSERT_OK(reply);
      work(1);
      for (const auto& finding : reply->findings) {
        ADD_FAILURE() << finding.table << " " << finding.key << ": " << finding.what;
      }
      EXPECT_EQ(reply->passed_over, 0u);
      done = reply->done;
      if (request.step < 20) do_something();
    }
  }
  EXPECT_GT(done_.at("publish"), 20);
  EXPECT_EQ(done_.at("erase"), 5);
  EXPECT_GT(done_.at("move"), 5);
  EXPECT_GT(done_.at("roll_back"), 5);
}

}  // namespace
}  // namespace espalier::registry
