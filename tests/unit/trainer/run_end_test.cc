#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/registry_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/client/fake_registry.h"
#include "trainer/progress.h"
#include "trainer/trainer.h"

namespace espalier::trainer {
namespace {

using nlohmann::json;

/// A training of three tenants, with a registry that refuses every end of a run, and from some publish on every
/// publish.
class RunEndTest : public ::testing::Test {
 protected:
  RunEndTest() {
    std::ofstream rows(folder_ / "rows.csv", std::ios::binary);
    rows << "owner,x,target\n";
    for (int i = 0; i < 90; ++i) rows << "abc"[i % 3] << "," << i << "," << 2 * i << "\n";
    std::ofstream spec(folder_ / "spec.toml", std::ios::binary);
    spec << "[model]\nname = \"total\"\ntask = \"regression\"\ntarget = \"target\"\n"
         << "[features]\nx = \"standardise(x)\"\n[training]\nmin_rows = 5\n";
    options_.spec = folder_ / "spec.toml";
    options_.source.path = folder_ / "rows.csv";
    options_.source.tenant_column = "owner";
    options_.threads = 1;
  }

  wire::Message answer(const std::string& op, wire::Message& request) {
    if (op == "publish" && publishes_++ >= taken_publishes_) {
      return client::header_only(wire::encode_error(unavailable("gone")));
    }
    if (op != "run_end") return client::header_only(wire::encode_reply(Status(), wire::EpochReply{1, 7}));
    const auto end = wire::decode<wire::RunEndRequest>(request[2].view());
    EXPECT_OK(end);
    ++(end.ok() && end->status == wire::RunStatus::failed ? failed_ : finished_);
    return client::header_only(wire::encode_error(refusal_));
  }

  /// The lines that it says.
  std::vector<json> train(Status& status) {
    // Begun here, where all that its thread reads has been set.
    client::FakeRegistry registry(
        [this](const std::string& op, wire::Message& request) { return answer(op, request); });
    options_.registry = {registry.endpoint()};
    options_.insecure = true;
    ::testing::internal::CaptureStdout();
    Progress progress;
    status = run_trainer(options_, progress);
    std::istringstream text(::testing::internal::GetCapturedStdout());
    std::vector<json> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
    return lines;
  }

  testing::TempDir folder_;
  TrainerOptions options_;
  Status refusal_ = failed_precondition("the run has ended");
  int taken_publishes_ = 3;
  std::atomic<int> publishes_ = 0, finished_ = 0, failed_ = 0;  ///< that were asked for
};

TEST_F(RunEndTest, APublishedReleaseIsNoFailedTrainingWhereItsRunCannotBeFinished) {
  Status status;
  const std::vector<json> lines = train(status);
  EXPECT_OK(status);
  EXPECT_EQ(finished_, 3);
  EXPECT_EQ(failed_, 0);
  EXPECT_EQ(std::ranges::count_if(lines, [](const json& line) { return line.value("stage", "") == "warning"; }), 3);
  ASSERT_TRUE(!lines.empty() && lines.back().contains("done"));
  for (const json& tenant : lines.back()["tenants"]) {
    EXPECT_NE(tenant.value("warning", "").find("the run has ended"), std::string::npos) << tenant;
  }
}

TEST_F(RunEndTest, ATrainingThatFailsLaterLeavesThePublishedRunsAlone) {
  taken_publishes_ = 1;
  Status status;
  train(status);
  EXPECT_CODE(status, Code::unavailable);
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(failed_, 2);
}

TEST_F(RunEndTest, ARegistryThatIsGoneIsAskedToFailOneRunOnly) {
  taken_publishes_ = 0;
  refusal_ = unavailable("gone");
  Status status;
  train(status);
  EXPECT_CODE(status, Code::unavailable);
  EXPECT_EQ(failed_, 1);
}

}  // namespace
}  // namespace espalier::trainer
