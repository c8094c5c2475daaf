#include "cli/cluster_folder.h"

#include <gtest/gtest.h>

#include <thread>

#include "common/files.h"
#include "common/folder_lock.h"
#include "tests/support/temp_dir.h"

namespace espalier::cli {
namespace {

TEST(ClusterFile, ReadsWhatItWrote) {
  ClusterFile file;
  file.registry = {"ipc:///x/registry.sock"};
  file.router = {"ipc:///x/router.sock", "tcp://127.0.0.1:4711"};
  file.up = 12;
  file.processes = {{"shard", "s0", 34, {"ipc:///x/s0.sock"}}};
  auto read = ClusterFile::parse(file.json());
  ASSERT_TRUE(read.ok()) << read.status().text();
  EXPECT_EQ(read->registry, file.registry);
  EXPECT_EQ(read->router, file.router);
  EXPECT_EQ(read->up, 12);
  ASSERT_EQ(read->processes.size(), 1u);
  EXPECT_EQ(read->processes[0].name, "s0");
  EXPECT_EQ(read->processes[0].pid, 34);
}

TEST(ClusterFile, RejectsWhatIsNoClusterFile) {
  for (const char* text : {"", "{", "[]", "{}", "{\"registry\": []}", "{\"registry\": 1, \"router\": []}",
                           "{\"registry\": [], \"router\": [], \"processes\": [1]}",
                           "{\"registry\": [], \"router\": [], \"processes\": [{\"role\": \"shard\"}]}"}) {
    EXPECT_EQ(ClusterFile::parse(text).status().code(), Code::corrupt) << text;
  }
}

TEST(ReadCluster, SaysHowToGoOn) {
  EXPECT_NE(read_cluster("").status().message().find("--cluster"), std::string::npos);
  espalier::testing::TempDir folder;
  const auto absent = read_cluster(folder.path());
  EXPECT_EQ(absent.status().code(), Code::failed_precondition);
  EXPECT_NE(absent.status().message().find("espalier up --dir " + folder.path()), std::string::npos);
}

TEST(RunningCluster, WaitsForOneThatIsStartingAndKnowsOneThatWasKilled) {
  espalier::testing::TempDir folder;
  ClusterFile file;
  file.registry = {"ipc:///x/registry.sock"};
  file.up = 4711;
  ASSERT_TRUE(Files::system().replace(folder.path() + "/cluster.json", file.json()).ok());
  EXPECT_EQ(running_cluster(folder.path()).status().code(), Code::failed_precondition);

  ASSERT_TRUE(Files::system().remove(folder.path() + "/cluster.json").ok());
  auto lock = FolderLock::take(folder.path(), "a cluster");
  ASSERT_TRUE(lock.ok());
  std::thread starts([&] { EXPECT_TRUE(Files::system().replace(folder.path() + "/cluster.json", file.json()).ok()); });
  const auto running = running_cluster(folder.path());
  starts.join();
  ASSERT_TRUE(running.ok());
  EXPECT_EQ(running->registry, file.registry);
}

TEST(RunningCluster, TakesWhatWasWrittenByHandAtItsWord) {
  const espalier::testing::TempDir folder;
  constexpr std::string_view kWritten = R"({"registry": ["tcp://10.0.0.1:7700"], "router": ["tcp://10.0.0.2:7600"]})";
  ASSERT_TRUE(Files::system().replace(folder.path() + "/cluster.json", kWritten).ok());
  const auto running = running_cluster(folder.path());
  ASSERT_TRUE(running.ok());
  EXPECT_EQ(running->router, std::vector<std::string>{"tcp://10.0.0.2:7600"});
}

TEST(AbsolutePath, IsNormal) {
  auto path = absolute_path("/a/b/../c/");
  ASSERT_TRUE(path.ok());
  EXPECT_EQ(*path, "/a/c");
}

}  // namespace
}  // namespace espalier::cli
