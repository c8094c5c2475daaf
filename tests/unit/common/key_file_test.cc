// Key files are private, whole and never written over.
#include "common/key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/bytes.h"
#include "common/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace espalier {
namespace {

class KeyFileTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name = "eta.key") const { return dir_.path() + "/" + name; }
  std::string written() const { return *Files::system().read(path()); }
  void write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path(), std::ios::trunc) << text;
    ASSERT_EQ(::chmod(path().c_str(), mode), 0);
  }
  mode_t mode_of(const std::string& file) const {
    struct stat about {};
    return ::stat(file.c_str(), &about) == 0 ? about.st_mode & 07777 : 0;
  }
  static std::string secret_of(const KeyPair& pair) { return to_hex(pair.secret()); }

  testing::TempDir dir_;
};

TEST_F(KeyFileTest, IsReadBackAsItWasWritten) {
  const auto pair = KeyPair::make();
  ASSERT_OK(write_key_file(path(), {"eta", pair}));
  ASSERT_OK_AND_ASSIGN(const KeyFile read, read_key_file(path()));
  EXPECT_EQ(read.name, "eta");
  EXPECT_EQ(read.pair->public_key(), pair->public_key());
  EXPECT_EQ(read.pair->secret(), pair->secret());
}

TEST_F(KeyFileTest, IsForItsOwnerOnlyWhateverTheUmask) {
  const mode_t before = ::umask(0);
  const Status made = write_key_file(path(), {"eta", KeyPair::make()});
  ::umask(before);
  ASSERT_OK(made);
  EXPECT_EQ(mode_of(path()), 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1) << "nothing else is left there";
}

TEST_F(KeyFileTest, NeverTakesThePlaceOfAnother) {
  ASSERT_OK(write_key_file(path(), {"eta", KeyPair::make()}));
  const std::string first = written();
  EXPECT_CODE(write_key_file(path(), {"eta", KeyPair::make()}), Code::already_exists);
  EXPECT_EQ(written(), first);
  // Nor is it written through a link that somebody has put there.
  ASSERT_EQ(::symlink(path("elsewhere").c_str(), path("link.key").c_str()), 0);
  EXPECT_CODE(write_key_file(path("link.key"), {"eta", KeyPair::make()}), Code::already_exists);
  EXPECT_FALSE(std::filesystem::exists(path("elsewhere")));
}

TEST_F(KeyFileTest, IsRefusedWhereOthersMayUseIt) {
  ASSERT_OK(write_key_file(path(), {"eta", KeyPair::make()}));
  for (const mode_t mode : {0644u, 0640u, 0604u, 0620u, 0602u, 0610u, 0601u, 0666u}) {
    ASSERT_EQ(::chmod(path().c_str(), mode), 0);
    const auto read = read_key_file(path());
    EXPECT_CODE(read, Code::permission_denied) << mode;
    EXPECT_NE(read.status().message().find("chmod 600"), std::string::npos) << read.status().message();
  }
  ASSERT_EQ(::chmod(path().c_str(), 0400), 0);
  EXPECT_OK(read_key_file(path()));
}

TEST_F(KeyFileTest, IsRefusedWhereItBelongsToSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_OK(write_key_file(path(), {"eta", KeyPair::make()}));
  ASSERT_EQ(::chown(path().c_str(), 65534, 65534), 0);
  EXPECT_CODE(read_key_file(path()), Code::permission_denied);
}

TEST_F(KeyFileTest, IsNoLinkNoFolderAndNoPipe) {
  ASSERT_OK(write_key_file(path(), {"eta", KeyPair::make()}));
  ASSERT_EQ(::symlink(path().c_str(), path("link.key").c_str()), 0);
  EXPECT_CODE(read_key_file(path("link.key")), Code::failed_precondition);
  EXPECT_CODE(read_key_file(dir_.path()), Code::failed_precondition);
  ASSERT_EQ(::mkfifo(path("pipe.key").c_str(), 0600), 0);
  EXPECT_CODE(read_key_file(path("pipe.key")), Code::failed_precondition) << "and nobody waits for its writer";
  EXPECT_CODE(read_key_file(path("missing.key")), Code::not_found);
}

TEST_F(KeyFileTest, SaysWhereItIsWrongButNotWhatStandsThere) {
  const auto pair = KeyPair::make();
  const std::string secret = secret_of(*pair), other = secret_of(*KeyPair::make());
  const std::string open = pair->public_key().hex();
  const std::string good =
      "espalier-key = \"1\"\nname = \"eta\"\npublic = \"" + open + "\"\nsecret = \"" + secret + "\"\n";
  write(good);
  ASSERT_OK(read_key_file(path()));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  const std::string cases[] = {"",
                               "nothing of the kind",
                               good + good,
                               good + "extra = \"1\"\n",
                               with("espalier-key = \"1\"\n", ""),
                               with("name = \"eta\"", "name = \"Eta!\""),
                               with("name = \"eta\"", "name = \"\""),
                               with("secret = \"" + secret + "\"", ""),
                               with("public = \"" + open + "\"", ""),
                               with(secret, other),
                               with(secret, secret.substr(1)),
                               with(secret, "z" + secret.substr(1)),
                               with("\"" + secret + "\"", secret),
                               with("\"" + secret + "\"", "\"" + secret),
                               good + std::string(5000, '#')};
  for (const std::string& text : cases) {
    write(text);
    const auto read = read_key_file(path());
    EXPECT_CODE(read, Code::corrupt) << text;
    EXPECT_EQ(read.status().message().find(secret.substr(1, 8)), std::string::npos) << read.status().message();
    EXPECT_NE(read.status().message().find("eta.key"), std::string::npos);
  }
  write(with("\"1\"", "\"2\""));
  EXPECT_CODE(read_key_file(path()), Code::unimplemented);
}

TEST_F(KeyFileTest, TwoPairsAreNeverAlike) {
  EXPECT_NE(KeyPair::make()->public_key(), KeyPair::make()->public_key());
  EXPECT_CODE(KeyPair::from_secret("abc"), Code::invalid_argument);
  // As libzmq's own zmq_curve_public().
  ASSERT_OK_AND_ASSIGN(const auto pair,
                       KeyPair::from_secret("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"));
  EXPECT_EQ(pair->public_key().hex(), "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
}

}  // namespace
}  // namespace espalier
