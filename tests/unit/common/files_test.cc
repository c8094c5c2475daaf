#include "common/files.h"
#include "common/folder_lock.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace espalier {
namespace {

class FilesTest : public ::testing::Test {
 protected:
  testing::TempDir folder_;
  Files& files_ = Files::system();
};

TEST_F(FilesTest, WritesReadsAndMaps) {
  ASSERT_OK_AND_ASSIGN(const auto file, files_.open(folder_ / "a", true));
  ASSERT_OK(file->write_at(0, "hello"));
  ASSERT_OK(file->write_at(10'000, "far"));
  ASSERT_OK(file->sync());
  ASSERT_OK_AND_ASSIGN(const std::uint64_t size, file->size());
  EXPECT_EQ(size, 10'003u);
  ASSERT_OK_AND_ASSIGN(const std::string piece, file->read_at(1, 3));
  EXPECT_EQ(piece, "ell");
  ASSERT_OK_AND_ASSIGN(const std::string whole, files_.read(folder_ / "a"));
  EXPECT_EQ(whole.size(), 10'003u);
  ASSERT_OK_AND_ASSIGN(const auto mapping, files_.map(folder_ / "a"));
  EXPECT_EQ(mapping->bytes(), whole);
  ASSERT_OK(file->write_at(0, "J"));
  EXPECT_EQ(mapping->bytes().substr(0, 5), "Jello");
}

TEST_F(FilesTest, AFolderIsLockedForOneAtATime) {
  {
    ASSERT_OK_AND_ASSIGN(FolderLock first, FolderLock::take(folder_.path(), "a shard"));
    const auto second = FolderLock::take(folder_.path(), "a shard");
    EXPECT_CODE(second, Code::failed_precondition);
    EXPECT_EQ(second.status().message(), "a shard runs in " + folder_.path() + " already");
    const FolderLock moved = std::move(first);
    EXPECT_CODE(FolderLock::take(folder_.path(), "a shard"), Code::failed_precondition);
  }
  EXPECT_OK(FolderLock::take(folder_.path(), "a shard"));
}

TEST_F(FilesTest, ReadsWhatHasNoSize) {
  ASSERT_OK_AND_ASSIGN(const std::string name, files_.read("/proc/self/comm"));
  EXPECT_EQ(name.back(), '\n');
}

TEST_F(FilesTest, ReadBeyondTheEndIsCorrupt) {
  ASSERT_OK_AND_ASSIGN(const auto file, files_.open(folder_ / "a", true));
  ASSERT_OK(file->write_at(0, "hello"));
  EXPECT_CODE(file->read_at(0, 6), Code::corrupt);
  EXPECT_CODE(file->read_at(5, 1), Code::corrupt);
  EXPECT_CODE(file->read_at(~0ull, 1), Code::corrupt);
  EXPECT_CODE(file->read_at(1, ~std::size_t{0}), Code::corrupt);
  EXPECT_OK(file->read_at(5, 0));
}

TEST_F(FilesTest, PreallocatedSpaceReadsAsZero) {
  ASSERT_OK_AND_ASSIGN(const auto file, files_.open(folder_ / "a", true));
  ASSERT_OK(file->write_at(0, "x"));
  ASSERT_OK(file->preallocate(8192));
  ASSERT_OK_AND_ASSIGN(const std::string bytes, file->read_at(0, 8192));
  EXPECT_EQ(bytes, "x" + std::string(8191, '\0'));
  EXPECT_OK(file->preallocate(0));
}

TEST_F(FilesTest, AnEmptyFileMapsToNothing) {
  ASSERT_OK(files_.open(folder_ / "a", true));
  ASSERT_OK_AND_ASSIGN(const auto mapping, files_.map(folder_ / "a"));
  EXPECT_EQ(mapping->bytes(), "");
}

TEST_F(FilesTest, ReplaceLeavesOnlyTheNewContent) {
  ASSERT_OK(files_.replace(folder_ / "a", "a long first content"));
  ASSERT_OK(files_.replace(folder_ / "a", "second"));
  ASSERT_OK_AND_ASSIGN(const std::string content, files_.read(folder_ / "a"));
  EXPECT_EQ(content, "second");
  ASSERT_OK_AND_ASSIGN(const auto names, files_.list(folder_.path()));
  EXPECT_EQ(names, std::vector<std::string>{"a"});
}

TEST_F(FilesTest, NothingIsWrittenThroughALinkAndNobodyWaitsForAPipe) {
  const std::string victim = folder_ / "victim", link = folder_ / "link";
  ASSERT_OK(files_.replace(victim, "its own"));
  ASSERT_EQ(::symlink(victim.c_str(), link.c_str()), 0);
  EXPECT_FALSE(files_.open(link, false).ok());
  EXPECT_FALSE(files_.open(link, true).ok());
  ASSERT_EQ(::symlink((folder_ / "made").c_str(), (folder_ / "lock").c_str()), 0);
  EXPECT_FALSE(FolderLock::take(folder_.path(), "a shard").ok());
  EXPECT_FALSE(files_.exists(folder_ / "made"));
  // The twin's name, and the file's own: both links go, what they lead to stays.
  ASSERT_EQ(::symlink(victim.c_str(), (folder_ / "a.replacing").c_str()), 0);
  ASSERT_EQ(::symlink(victim.c_str(), (folder_ / "a").c_str()), 0);
  ASSERT_OK(files_.replace(folder_ / "a", "new"));
  ASSERT_OK_AND_ASSIGN(const std::string content, files_.read(folder_ / "a"));
  EXPECT_EQ(content, "new");
  ASSERT_OK_AND_ASSIGN(const std::string kept, files_.read(victim));
  EXPECT_EQ(kept, "its own");
  const std::string pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  ASSERT_OK_AND_ASSIGN(const auto mapping, files_.map(pipe));
  EXPECT_EQ(mapping->bytes(), "");
}

TEST_F(FilesTest, FoldersAndNames) {
  ASSERT_OK(files_.create_directories(folder_ / "x/y/z"));
  ASSERT_OK(files_.create_directories(folder_ / "x/y/z"));
  ASSERT_OK(files_.replace(folder_ / "x/b", ""));
  ASSERT_OK(files_.replace(folder_ / "x/a", ""));
  ASSERT_OK_AND_ASSIGN(const auto names, files_.list(folder_ / "x"));
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "y"}));
  EXPECT_TRUE(files_.exists(folder_ / "x/a"));
  ASSERT_OK(files_.rename(folder_ / "x/a", folder_ / "x/c"));
  EXPECT_FALSE(files_.exists(folder_ / "x/a"));
  ASSERT_OK(files_.remove(folder_ / "x/c"));
  EXPECT_FALSE(files_.exists(folder_ / "x/c"));
  EXPECT_OK(files_.sync_directory(folder_ / "x"));
}

TEST_F(FilesTest, WhatIsMissingIsNotFoundAndNamed) {
  const std::string gone = folder_ / "gone";
  EXPECT_CODE(files_.open(gone, false), Code::not_found);
  EXPECT_CODE(files_.open(gone + "/below", true), Code::not_found);
  EXPECT_CODE(files_.map(gone), Code::not_found);
  EXPECT_CODE(files_.read(gone), Code::not_found);
  EXPECT_CODE(files_.rename(gone, gone + "2"), Code::not_found);
  EXPECT_CODE(files_.remove(gone), Code::not_found);
  EXPECT_CODE(files_.list(gone), Code::not_found);
  EXPECT_CODE(files_.sync_directory(gone), Code::not_found);
  EXPECT_CODE(files_.replace(gone + "/below", "x"), Code::not_found);
  EXPECT_NE(files_.read(gone).status().message().find(gone), std::string::npos);
}

TEST_F(FilesTest, OtherFailuresAreUnavailable) {
  ASSERT_OK(files_.replace(folder_ / "a", "x"));
  EXPECT_CODE(files_.open(folder_.path(), false), Code::unavailable);
  EXPECT_CODE(files_.create_directories(folder_ / "a/below"), Code::unavailable);
  EXPECT_CODE(files_.list(folder_ / "a"), Code::unavailable);
  EXPECT_CODE(files_.read(folder_ / "a/below"), Code::unavailable);
}

TEST_F(FilesTest, AFullDiskIsResourceExhausted) {
  if (!files_.exists("/dev/full")) GTEST_SKIP() << "no /dev/full on this machine";
  ASSERT_OK_AND_ASSIGN(const auto full, files_.open("/dev/full", false));
  EXPECT_CODE(full->write_at(0, "x"), Code::resource_exhausted);
}

}  // namespace
}  // namespace espalier
