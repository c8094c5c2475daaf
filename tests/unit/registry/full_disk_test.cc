// Rule 6 on a disk that really is full: writes are refused, reads go on, writing works again once there is space, and
// what was acknowledged survives kill -9.
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/bytes.h"
#include "tests/unit/registry/child_process.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

constexpr std::uint32_t kFull = 1u << 30;  ///< reported instead of a release's number

class SmallDisk {
 public:
  explicit SmallDisk(const std::string& folder) : folder_(folder) {
    std::filesystem::create_directories(folder);
    if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=20m") != 0) error_ = std::strerror(errno);
  }
  ~SmallDisk() {
    if (error_.empty()) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  const std::string& error() const { return error_; }

 private:
  const std::string folder_;
  std::string error_;
};

/// Text that doesn't compress to nothing.
std::string noise(std::uint32_t seed, std::size_t size) {
  std::string text;
  for (std::uint64_t i = 0; text.size() < size; ++i) {
    std::string block;
    append(block, i);
    append(block, seed);
    text += blake2b_256(block).hex();
  }
  return text;
}

class FullDiskFixture : public RegistryFixture {
 protected:
  Status open_at(const std::string& folder) {
    registry_.reset();
    RegistryOptions options;
    options.store.write_buffer_bytes = 1u << 20;
    ASSIGN_OR_RETURN(registry_, Registry::open(Files::system(), Clock::system(), folder, options));
    return {};
  }
  Status publish_large(std::uint32_t n) {
    Proposal proposal = propose(n, {{{}, n}});
    proposal.request.run_json = "{\"noise\": \"" + noise(n, 100'000) + "\"}";
    return publish(proposal).status();
  }
};

using DISABLED_FullDiskProcess = FullDiskFixture;

// Runs in a process of its own, started by the test below.
TEST_F(DISABLED_FullDiskProcess, PublishesUntilItIsKilled) {
  ASSERT_OK(open_at(ChildProcess::folder() + "/registry"));
  std::uint32_t n = 1;
  for (Status status;; ++n) {
    status = publish_large(n);
    if (!status.ok()) {
      ASSERT_CODE(status, Code::resource_exhausted);
      break;
    }
    ChildProcess::report(n);
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(state(), "/=" + std::to_string(n - 1));
    ASSERT_CODE(publish_large(n), Code::resource_exhausted);
  }
  ChildProcess::report(kFull);
  ASSERT_TRUE(std::filesystem::remove(ChildProcess::folder() + "/ballast"));
  for (const std::uint32_t end = n + 200; n < end; ++n) {
    Proposal proposal = propose(n, {{{}, n}});
    ASSERT_OK(publish(proposal));
    ChildProcess::report(n);
  }
  for (;;) ::pause();
}

using FullDisk = FullDiskFixture;

TEST_F(FullDisk, WhatWasAcknowledgedBeforeAndAfterIsThereAndNothingIsHalfDone) {
  const std::string disk = folder_ / "disk";
  const SmallDisk mounted(disk);
  if (!mounted.error().empty()) GTEST_SKIP() << "a tmpfs can't be mounted here: " << mounted.error();
  // More than the rest: once it is gone, LevelDB has room to write all of its tables anew.
  std::ofstream(disk + "/ballast") << std::string(12u << 20, 'b');

  ChildProcess child("DISABLED_FullDiskProcess.*", disk);
  std::uint32_t acknowledged = 0;
  bool was_full = false;
  const auto take = [&](std::uint32_t reported) {
    if (reported == kFull) {
      was_full = true;
    } else {
      EXPECT_EQ(reported, acknowledged + 1);
      acknowledged = reported;
    }
  };
  for (int after = 0; after < 50; after += was_full ? 1 : 0) {
    const auto reported = child.next();
    ASSERT_TRUE(reported) << "the child ended after release " << acknowledged;
    take(*reported);
  }
  child.kill();
  while (const auto reported = child.next()) take(*reported);

  ASSERT_OK(open_at(disk + "/registry"));
  auto all = of_total<wire::ReleasesRequest>();
  all.limit = 10'000;
  ASSERT_OK_AND_ASSIGN(const auto page, registry_->releases(local_, all));
  const auto there = static_cast<std::uint32_t>(page.releases.size());
  EXPECT_GE(there, acknowledged);
  EXPECT_LE(there, acknowledged + 1);
  for (std::uint32_t i = 0; i < there; ++i) {
    const auto& release = page.releases[i];
    ASSERT_EQ(release.release, uuid('r', there - i));
    ASSERT_EQ(moved(release.epoch), "/=" + std::to_string(there - i));
    ASSERT_EQ(state(release.epoch), "/=" + std::to_string(there - i));
  }
  ASSERT_OK(publish(there + 1, {{{}, there + 1}}));
}

}  // namespace
}  // namespace espalier::registry
