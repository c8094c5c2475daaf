#include "router/routes_file.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "common/bytes.h"
#include "common/hash.h"
#include "model/ids.h"
#include "tests/support/faulty_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "wire/messages.h"

namespace espalier::router {
namespace {

cluster::View view_of(std::uint64_t number, int shards) {
  cluster::View view;
  view.number = number;
  for (int i = 0; i < shards; ++i) {
    const std::string name = "s" + std::to_string(i);
    view.shards.push_back({name, {"ipc:///run/" + name + "-0.sock", "ipc:///run/" + name + "-1.sock"}, 1.0 + i});
  }
  view.default_spread = 3;
  view.tenants["acme"] = {5, 4};
  return view;
}

Routes routes_of(std::uint64_t epoch, int shards, int models) {
  Routes routes(view_of(epoch, shards));
  routes.generation = 7;
  routes.epoch = epoch;
  SnapshotMap<ModelShape>::Editor editor(routes.models);
  for (int i = 0; i < models; ++i) {
    editor.set(std::make_shared<const ModelShape>(
        ModelShape{model::model_key("acme", "m" + std::to_string(i)), static_cast<std::uint32_t>(i % 9)}));
  }
  routes.models = editor.finish();
  return routes;
}

/// The file with everything before the checksum as given, and a checksum that holds.
std::string sealed(std::string bytes) {
  append<std::uint64_t>(bytes, xxh3_64(bytes));
  return bytes;
}

std::string piece(std::string_view bytes) {
  std::string text;
  append<std::uint64_t>(text, bytes.size());
  return text.append(bytes);
}

std::string model_entry(std::uint32_t levels, std::string_view key) {
  std::string text;
  append<std::uint32_t>(text, levels);
  append<std::uint32_t>(text, static_cast<std::uint32_t>(key.size()));
  return text.append(key);
}

std::string count_of(std::uint64_t count) {
  std::string text;
  append<std::uint64_t>(text, count);
  return text;
}

TEST(RoutesFile, ReadsBackWhatWasWritten) {
  for (const int models : {0, 1, 40, 5000}) {
    const Routes before = routes_of(12, 3, models);
    const auto after = decode_routes(encode_routes(before));
    ASSERT_OK(after);
    const Routes& read = **after;
    EXPECT_EQ(read.number, 0u);
    EXPECT_EQ(read.generation, 7u);
    EXPECT_EQ(read.epoch, 12u);
    ASSERT_EQ(read.view.shards.size(), 3u);
    EXPECT_EQ(read.view.shards[2].endpoints, before.view.shards[2].endpoints);
    EXPECT_EQ(read.view.shards[2].weight, 3.0);
    EXPECT_EQ(read.view.number, 12u);
    EXPECT_EQ(read.view.default_spread, 3u);
    EXPECT_EQ(read.view.tenants.at("acme").replicas, 4u);
    ASSERT_EQ(read.models.size(), static_cast<std::size_t>(models));
    before.models.for_each([&](const auto& model) {
      const ModelShape* same = read.models.find(model->key);
      ASSERT_NE(same, nullptr);
      EXPECT_EQ(same->levels, model->levels);
    });
    EXPECT_EQ(encode_routes(read), encode_routes(before)) << "the same routes are the same bytes";
  }
}

TEST(RoutesFile, NoFlippedBitIsTaken) {
  const std::string good = encode_routes(routes_of(12, 2, 3));
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      EXPECT_EQ(decode_routes(bad).status().code(), Code::corrupt) << "byte " << at << " bit " << bit;
    }
  }
}

TEST(RoutesFile, NoPieceOfAFileAndNoLongerOneIsTaken) {
  const std::string good = encode_routes(routes_of(12, 2, 3));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(decode_routes(good.substr(0, size)).status().code(), Code::corrupt) << size;
  }
  EXPECT_EQ(decode_routes(good + '\0').status().code(), Code::corrupt);
  EXPECT_EQ(decode_routes(good + good).status().code(), Code::corrupt);
}

TEST(RoutesFile, RefusesWhatAChecksumDoesNotShow) {
  const std::string magic = "ESPROUT1";
  const std::string view = piece(wire::encode(wire::ViewReply{1, 2, view_of(1, 1)}));
  const std::string none = count_of(0);
  ASSERT_OK(decode_routes(sealed(magic + view + none)));
  ASSERT_OK(decode_routes(sealed(magic + view + count_of(2) + model_entry(8, "a") + model_entry(0, "b"))));
  const struct {
    const char* what;
    std::string bytes;
  } cases[] = {
      {"a shard's file", sealed("ESPSHRD2" + view + none)},
      {"a newer one", sealed("ESPROUT2" + view + none)},
      {"nothing behind the magic", sealed(magic)},
      {"a view longer than the file", sealed(magic + count_of(~0ull) + view + none)},
      {"a view that is none", sealed(magic + piece("\x93\x01\x02\x03") + none)},
      {"an empty view", sealed(magic + piece("") + none)},
      {"no number of models", sealed(magic + view)},
      {"more models than there are", sealed(magic + view + count_of(2) + model_entry(1, "a"))},
      {"very many models", sealed(magic + view + count_of(~0ull))},
      {"a key longer than the file", sealed(magic + view + count_of(1) + std::string("\1\0\0\0\xff\xff\xff\xff", 8))},
      {"nine levels", sealed(magic + view + count_of(1) + model_entry(9, "a"))},
      {"a key twice", sealed(magic + view + count_of(2) + model_entry(1, "a") + model_entry(1, "a"))},
      {"keys in descending order", sealed(magic + view + count_of(2) + model_entry(1, "b") + model_entry(1, "a"))},
      {"an empty key", sealed(magic + view + count_of(1) + model_entry(1, ""))},
      {"bytes left over", sealed(magic + view + none + "x")},
  };
  for (const auto& bad : cases) EXPECT_EQ(decode_routes(bad.bytes).status().code(), Code::corrupt) << bad.what;
}

class RoutesFileOnDisk : public ::testing::Test {
 protected:
  /// The epoch that a router would start from; 0: from none.
  std::uint64_t epoch_on_disk() {
    const auto loaded = RoutesFile(Files::system(), path_).load();
    if (loaded.status().code() == Code::not_found) return 0;
    EXPECT_OK(loaded);
    return loaded.ok() ? (*loaded)->epoch : ~0ull;
  }

  testing::TempDir dir_;
  testing::FaultyFiles files_;
  const std::string path_ = dir_.path() + "/routes";
};

TEST_F(RoutesFileOnDisk, ACrashLeavesTheOldRoutesOrTheNew) {
  using Torn = testing::FaultyFiles::Torn;
  for (const Torn torn : {Torn::nothing, Torn::first_half, Torn::all}) {
    for (std::uint64_t n = 0;; ++n) {
      RoutesFile file(files_, path_);
      ASSERT_OK(file.save(routes_of(1, 2, 3)));
      files_.crash_at(n);
      const Status saved = file.save(routes_of(2, 3, 500));
      files_.crash(torn);
      const std::uint64_t epoch = epoch_on_disk();
      EXPECT_TRUE(epoch == 1 || epoch == 2) << "call " << n << ": epoch " << epoch;
      EXPECT_TRUE(!saved.ok() || epoch == 2) << "call " << n << ": acknowledged";
      if (!files_.was_reached()) break;
    }
  }
}

TEST_F(RoutesFileOnDisk, WritesThatReachTheDiskInAnyOrderLeaveTheOldRoutesOrTheNew) {
  std::mt19937 chance(1);
  for (int i = 0; i < 60; ++i) {
    RoutesFile file(files_, path_);
    ASSERT_OK(file.save(routes_of(1, 2, 3)));
    files_.crash_at(static_cast<std::uint64_t>(i % 6));
    static_cast<void>(file.save(routes_of(2, 3, 500)));
    files_.crash_reordered(chance);
    const std::uint64_t epoch = epoch_on_disk();
    EXPECT_TRUE(epoch == 1 || epoch == 2) << "round " << i << ": epoch " << epoch;
  }
}

TEST_F(RoutesFileOnDisk, AFailedWriteLeavesTheOldRoutes) {
  RoutesFile file(files_, path_);
  EXPECT_EQ(file.load().status().code(), Code::not_found);
  ASSERT_OK(file.save(routes_of(1, 2, 3)));
  files_.fail_all(Status(Code::resource_exhausted, "no space is left"));
  EXPECT_EQ(file.save(routes_of(2, 2, 3)).code(), Code::resource_exhausted);
  files_.heal();
  EXPECT_EQ(epoch_on_disk(), 1u);
  ASSERT_OK(file.save(routes_of(2, 2, 3)));
  EXPECT_EQ(epoch_on_disk(), 2u);
}

TEST_F(RoutesFileOnDisk, AForeignFileIsNamedAndWrittenOver) {
  ASSERT_OK(Files::system().replace(path_, "# notes of somebody else\n"));
  RoutesFile file(files_, path_);
  const auto loaded = file.load();
  EXPECT_EQ(loaded.status().code(), Code::corrupt);
  EXPECT_NE(loaded.status().message().find(path_), std::string::npos) << loaded.status().text();
  ASSERT_OK(file.save(routes_of(3, 2, 3)));
  EXPECT_EQ(epoch_on_disk(), 3u);
}

}  // namespace
}  // namespace espalier::router
