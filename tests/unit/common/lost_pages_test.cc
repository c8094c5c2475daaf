#include "common/lost_pages.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace espalier {
namespace {

TEST(LostPages, AreZerosAndCounted) {
  survive_lost_pages();
  const testing::TempDir dir;
  const std::string path = dir / "mapped";
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::ofstream(path) << std::string(3 * page, 'x');
  ASSERT_OK_AND_ASSIGN(const auto mapping, Files::system().map(path));
  const std::uint64_t before = lost_pages();
  std::filesystem::resize_file(path, page);
  EXPECT_EQ(mapping->bytes()[page - 1], 'x');
  EXPECT_EQ(lost_pages(), before);
  EXPECT_EQ(mapping->bytes()[page + 7], '\0');
  EXPECT_EQ(mapping->bytes()[2 * page - 1], '\0');
  EXPECT_EQ(lost_pages(), before + 1) << "a page is lost once";
  EXPECT_EQ(mapping->bytes()[2 * page], '\0');
  EXPECT_EQ(lost_pages(), before + 2);
}

}  // namespace
}  // namespace espalier
