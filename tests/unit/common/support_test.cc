// The tools of the tests, tested.
#include <gtest/gtest.h>

#include <set>

#include "tests/support/faulty_files.h"
#include "tests/support/fuzz_driver.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace espalier::testing {
namespace {

class FaultyFilesTest : public ::testing::Test {
 protected:
  std::string content(std::string_view name) {
    const auto read = Files::system().read(folder_ / name);
    return read.ok() ? *read : std::string(code_name(read.status().code()));
  }

  TempDir folder_;
  FaultyFiles files_;
};

TEST_F(FaultyFilesTest, WorksWhenNothingIsOrdered) {
  ASSERT_OK(files_.replace(folder_ / "a", "one"));
  ASSERT_OK(files_.replace(folder_ / "a", "two"));
  ASSERT_OK_AND_ASSIGN(const std::string text, files_.read(folder_ / "a"));
  EXPECT_EQ(text, "two");
  ASSERT_OK(files_.remove(folder_ / "a"));
  ASSERT_OK_AND_ASSIGN(const auto names, files_.list(folder_.path()));
  EXPECT_TRUE(names.empty());
}

TEST_F(FaultyFilesTest, FailsTheOrderedCallOnly) {
  ASSERT_OK_AND_ASSIGN(const auto file, files_.open(folder_ / "a", true));
  files_.fail_at(1, Status(Code::resource_exhausted, "full"), FaultyFiles::kWrite);
  EXPECT_OK(file->write_at(0, "a"));
  EXPECT_OK(file->sync());
  EXPECT_FALSE(files_.was_reached());
  EXPECT_CODE(file->write_at(1, "b"), Code::resource_exhausted);
  EXPECT_TRUE(files_.was_reached());
  EXPECT_OK(file->write_at(1, "c"));
  EXPECT_EQ(content("a"), "ac");
  EXPECT_EQ(files_.calls(FaultyFiles::kWrite), 3u);
}

TEST_F(FaultyFilesTest, AFullDiskStaysFullUntilHealed) {
  ASSERT_OK_AND_ASSIGN(const auto file, files_.open(folder_ / "a", true));
  files_.fail_all(Status(Code::resource_exhausted, "full"), FaultyFiles::kWrite | FaultyFiles::kPreallocate);
  EXPECT_CODE(file->write_at(0, "a"), Code::resource_exhausted);
  EXPECT_CODE(file->preallocate(10), Code::resource_exhausted);
  EXPECT_OK(file->sync());
  files_.heal();
  EXPECT_OK(file->write_at(0, "a"));
}

TEST_F(FaultyFilesTest, ACrashLosesWhatWasNotSynced) {
  ASSERT_OK_AND_ASSIGN(auto file, files_.open(folder_ / "a", true));
  ASSERT_OK(files_.sync_directory(folder_.path()));
  ASSERT_OK(file->write_at(0, "durable"));
  ASSERT_OK(file->sync());
  ASSERT_OK(file->write_at(0, "DUR"));
  ASSERT_OK(file->write_at(5, "LONGER"));
  ASSERT_OK(files_.open(folder_ / "b", true));
  EXPECT_EQ(content("a"), "DURabLONGER");
  files_.crash();
  EXPECT_EQ(content("a"), "durable");
  EXPECT_EQ(content("b"), "not_found");
  EXPECT_CODE(file->write_at(0, "x"), Code::unavailable);
}

TEST_F(FaultyFilesTest, ATornWriteLeavesAPiece) {
  ASSERT_OK_AND_ASSIGN(auto file, files_.open(folder_ / "a", true));
  ASSERT_OK(files_.sync_directory(folder_.path()));
  ASSERT_OK(file->write_at(0, "lost"));
  ASSERT_OK(file->write_at(0, "abcdef"));
  files_.crash(FaultyFiles::Torn::first_half);
  EXPECT_EQ(content("a"), "abc");
}

TEST_F(FaultyFilesTest, ACrashUndoesNames) {
  ASSERT_OK(files_.replace(folder_ / "a", "a"));
  ASSERT_OK(files_.replace(folder_ / "b", "b"));
  ASSERT_OK(files_.replace(folder_ / "c", "c"));
  ASSERT_OK(files_.rename(folder_ / "a", folder_ / "b"));
  ASSERT_OK(files_.remove(folder_ / "c"));
  EXPECT_EQ(content("b"), "a");
  files_.crash();
  EXPECT_EQ(content("a"), "a");
  EXPECT_EQ(content("b"), "b");
  EXPECT_EQ(content("c"), "c");
}

TEST_F(FaultyFilesTest, ReplaceIsOldOrNewWhereverItStops) {
  std::set<std::string> seen;
  std::uint64_t calls = 0;
  for (;; ++calls) {
    ASSERT_OK(files_.replace(folder_ / "a", "old"));
    files_.crash_at(calls);
    const Status status = files_.replace(folder_ / "a", "new content");
    const bool reached = files_.was_reached();
    EXPECT_EQ(status.ok(), !reached);
    EXPECT_EQ(files_.read(folder_ / "a").ok(), !reached);
    files_.crash();
    EXPECT_TRUE(content("a") == "old" || (status.ok() && content("a") == "new content")) << content("a");
    seen.insert(content("a"));
    if (!reached) break;
  }
  EXPECT_EQ(calls, 5u);
  EXPECT_EQ(seen.size(), 2u);
}

TEST(TempDir, IsEmptyAndGoesAway) {
  std::string path;
  {
    const TempDir folder;
    path = folder.path();
    ASSERT_OK_AND_ASSIGN(const auto names, Files::system().list(path));
    EXPECT_TRUE(names.empty());
    ASSERT_OK(Files::system().replace(folder / "a", "x"));
  }
  EXPECT_FALSE(Files::system().exists(path));
}

TEST(Paths, TheSourceTreeIsThere) { EXPECT_TRUE(Files::system().exists(source_folder() + "/CMakeLists.txt")); }

TEST(FuzzDriver, ASeedRepeatsItsInputsAndTheyVary) {
  const std::vector<std::string> seeds{"some good input", std::string(64, '\0'), ""};
  std::uint64_t one = 7;
  std::uint64_t two = 7;
  std::set<std::string> inputs;
  for (int i = 0; i < 2'000; ++i) {
    const std::string input = mutate(seeds, one);
    ASSERT_EQ(mutate(seeds, two), input);
    inputs.insert(input);
  }
  EXPECT_GT(inputs.size(), 1'000u);
}

}  // namespace
}  // namespace espalier::testing
