// A store whose files are written anew: the records stay as they are, and nothing else is left of what was.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "registry/leveldb_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/registry/faulty_env.h"

namespace espalier::registry {
namespace {

class LevelDbPurge : public ::testing::Test {
 protected:
  LevelDbPurge() { open(); }
  ~LevelDbPurge() override { store_.reset(); }

  void open() {
    store_.reset();
    LevelDbOptions options;
    options.env = &env_;
    options.write_buffer_bytes = 1;  // LevelDB's least: 64 KiB
    auto opened = LevelDbStore::open(Files::system(), clock_, folder_ / "store", options);
    ASSERT_OK(opened);
    store_ = *std::move(opened);
  }
  Status write(const std::map<std::string, std::string>& records) {
    ASSIGN_OR_RETURN(Batch batch, store_->begin());
    for (const auto& [key, value] : records) {
      if (value.empty()) {
        batch.remove(key);
      } else {
        batch.put(key, value);
      }
    }
    RETURN_IF_ERROR(store_->commit(batch));
    for (const auto& [key, value] : records) {
      if (value.empty()) {
        expected_.erase(key);
      } else {
        expected_[key] = value;
      }
    }
    return {};
  }
  /// Until it is done, with `between` after each call.
  void purge(const std::function<void()>& between = [] {}) {
    for (;;) {
      const auto more = store_->purge();
      ASSERT_OK(more);
      if (!*more) return;
      between();
      std::this_thread::yield();
    }
  }
  std::map<std::string, std::string> records() {
    std::map<std::string, std::string> all;
    const auto at = store_->scan();
    EXPECT_OK(at);
    for ((*at)->seek("x"); (*at)->valid() && (*at)->key().starts_with("x"); (*at)->next()) {
      all.emplace((*at)->key(), (*at)->value());
    }
    EXPECT_OK((*at)->status());
    return all;
  }
  std::vector<std::string> files_with(const std::string& bytes) {
    std::vector<std::string> found;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder_.path())) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(in), {}};
      if (content.find(bytes) != std::string::npos) found.push_back(file.path().filename());
    }
    return found;
  }
  std::set<std::string> folders() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) names.insert(entry.path().filename());
    return names;
  }
  /// Some thousand records in several of LevelDB's levels; half of them are gone again.
  void fill() {
    for (int i = 0; i < 4000; i += 50) {
      std::map<std::string, std::string> some;
      for (int j = i; j < i + 50; ++j) {
        some["x" + std::to_string(j % 2) + "secret" + std::to_string(j)] = std::string(100, 'a') + std::to_string(j);
      }
      ASSERT_OK(write(some));
    }
    for (int i = 1; i < 4000; i += 100) {
      std::map<std::string, std::string> some;
      for (int j = i; j < i + 100; j += 2) some["x1secret" + std::to_string(j)] = "";
      ASSERT_OK(write(some));
    }
  }

  testing::TempDir folder_;
  ManualClock clock_{1'000'000};
  FaultyEnv env_;
  std::unique_ptr<LevelDbStore> store_;
  std::map<std::string, std::string> expected_;
};

TEST_F(LevelDbPurge, KeepsWhatThereIsAndNothingElse) {
  fill();
  ASSERT_FALSE(files_with("x1secret").empty());
  const std::uint64_t epoch = store_->epoch(), generation = store_->generation();
  purge();
  EXPECT_EQ(records(), expected_);
  EXPECT_TRUE(files_with("x1secret").empty());
  EXPECT_EQ(folders(), std::set<std::string>{"store"});
  EXPECT_EQ(store_->epoch(), epoch);
  ASSERT_OK(write({{"xlater", "1"}}));
  open();
  EXPECT_EQ(records(), expected_);
  EXPECT_EQ(store_->epoch(), epoch + 1);
  EXPECT_EQ(store_->generation(), generation);
}

TEST_F(LevelDbPurge, WhatIsWrittenMeanwhileIsThereAfterwards) {
  fill();
  std::mt19937 chance(7);
  std::size_t writes = 0;
  for (int round = 0; round < 3; ++round) {
    purge([&] {
      std::map<std::string, std::string> some;
      for (std::uint32_t i = chance() % 700; i > 0; --i) {
        const std::uint32_t number = chance() % 4000;
        const std::string key = "x" + std::to_string(number % 2) + "secret" + std::to_string(number);
        some[key] = chance() % 3 == 0 ? "" : std::to_string(chance());
      }
      if (writes == 5) some["xlarge"] = std::string(400 << 10, 'l');
      // Less and less, so that it comes to an end.
      if (++writes < 40u * static_cast<unsigned>(round + 1)) {
        ASSERT_OK(write(some));
      }
    });
    ASSERT_EQ(records(), expected_) << round;
  }
  ASSERT_OK(write({{"xlater", "1"}}));
  open();
  EXPECT_EQ(records(), expected_);
}

TEST_F(LevelDbPurge, AnOpenCursorIsWaitedForButNotForEver) {
  fill();
  ASSERT_OK_AND_ASSIGN(auto cursor, store_->scan());
  cursor->seek("x");
  for (int i = 0; i < 2000; ++i) {
    ASSERT_OK_AND_ASSIGN(const bool more, store_->purge());
    ASSERT_TRUE(more);
    std::this_thread::yield();
    ASSERT_TRUE(cursor->valid());
  }
  cursor.reset();
  purge();
  ASSERT_OK_AND_ASSIGN(cursor, store_->scan());
  cursor->seek("x");
  int seconds = 0;
  purge([&] {
    clock_.advance(1'000'000);
    ++seconds;
  });
  EXPECT_GE(seconds, 120);
  EXPECT_FALSE(cursor->valid());
  EXPECT_EQ(cursor->status().code(), Code::unavailable);
  EXPECT_EQ(records(), expected_);
}

TEST_F(LevelDbPurge, ADiskThatRefusesIsToldAndTriedAgain) {
  fill();
  env_.refuse_new_files(true, "store.fresh");  // not what the store itself compacts meanwhile
  Result<bool> more = true;
  while (more.ok() && *more) {
    more = store_->purge();
    std::this_thread::yield();
  }
  EXPECT_CODE(more, Code::unavailable);
  env_.refuse_new_files(false);
  EXPECT_EQ(records(), expected_);
  ASSERT_OK(write({{"xlater", "1"}}));
  purge();
  EXPECT_EQ(records(), expected_);
  EXPECT_TRUE(files_with("x1secret").empty());
}

TEST_F(LevelDbPurge, WhatARepairLeftInTheFolderGoesWithIt) {
  fill();
  ASSERT_TRUE(std::filesystem::create_directories(folder_ / "store/lost"));
  std::ofstream(folder_ / "store/lost/000003.log") << "x1secret";
  purge();
  EXPECT_EQ(folders(), std::set<std::string>{"store"});
  EXPECT_TRUE(files_with("x1secret").empty());
  open();
  EXPECT_EQ(records(), expected_);
}

TEST_F(LevelDbPurge, AnotherProcessIsRefusedBeforeItTouchesTheCopy) {
  fill();
  int calls = 0;
  purge([&] {
    if (++calls % 16 != 0) return;
    LevelDbOptions options;
    EXPECT_CODE(LevelDbStore::open(Files::system(), clock_, folder_ / "store", options), Code::failed_precondition);
  });
  EXPECT_GT(calls, 16);
  EXPECT_EQ(records(), expected_);
}

TEST_F(LevelDbPurge, AFailedSyncMeanwhileLosesNothing) {
  fill();
  ASSERT_OK(store_->purge());
  env_.fail_next_sync();
  EXPECT_FALSE(write({{"xlost", "1"}}).ok());
  EXPECT_CODE(store_->purge(), Code::unavailable) << "until the store has taken itself up again";
  ASSERT_OK(store_->begin());
  purge();
  expected_ = records();  // what was in doubt may be there
  open();
  EXPECT_EQ(records(), expected_);
  EXPECT_TRUE(files_with("x1secret").empty());
}

TEST_F(LevelDbPurge, AProcessMayEndAtAnyStepOfTheChangeOver) {
  fill();
  store_.reset();
  namespace fs = std::filesystem;
  const std::string store = folder_ / "store";
  // The fresh one is whole, the old one is still there.
  fs::copy(store, store + ".fresh", fs::copy_options::recursive);
  open();
  EXPECT_EQ(records(), expected_);
  EXPECT_EQ(folders(), std::set<std::string>{"store"});
  store_.reset();
  // Between the two renames.
  fs::copy(store, store + ".fresh", fs::copy_options::recursive);
  fs::rename(store, store + ".replaced");
  open();
  EXPECT_EQ(records(), expected_);
  EXPECT_EQ(folders(), std::set<std::string>{"store"});
  store_.reset();
  // Before the old one is removed.
  fs::copy(store, store + ".replaced", fs::copy_options::recursive);
  open();
  EXPECT_EQ(records(), expected_);
  EXPECT_EQ(folders(), std::set<std::string>{"store"});
}

}  // namespace
}  // namespace espalier::registry
