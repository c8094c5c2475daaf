#include "registry/leveldb_store.h"

#include <gtest/gtest.h>
#include <leveldb/db.h>

#include <functional>
#include <random>

#include "common/bytes.h"
#include "registry/keys.h"
#include "tests/support/faulty_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/registry/child_process.h"
#include "tests/unit/registry/faulty_env.h"
#include "tests/unit/registry/files_env.h"

namespace espalier::registry {
namespace {

class LevelDbStoreTest : public ::testing::Test {
 protected:
  void open() {
    store_.reset();
    LevelDbOptions options;
    options.env = &env_;
    auto opened = LevelDbStore::open(files_, clock_, folder_ / "store", options);
    ASSERT_OK(opened);
    store_ = *std::move(opened);
  }
  Status put(std::string_view key, std::string_view value) {
    ASSIGN_OR_RETURN(Batch batch, store_->begin());
    batch.put(key, value);
    return store_->commit(batch);
  }
  std::string get(std::string_view key) {
    const auto value = store_->get(key);
    return value.ok() ? (*value).value_or("(none)") : value.status().text();
  }

  testing::TempDir folder_;
  testing::FaultyFiles files_;
  ManualClock clock_{1'000'000};
  FaultyEnv env_;
  std::unique_ptr<LevelDbStore> store_;
};

TEST_F(LevelDbStoreTest, EpochsCountAndTimesAscendWhateverTheClockDoes) {
  open();
  EXPECT_EQ(store_->epoch(), 0u);
  ASSERT_OK_AND_ASSIGN(const Batch first, store_->begin());
  EXPECT_EQ(first.epoch(), 1u);
  EXPECT_EQ(first.time_us(), 1'000'000);
  ASSERT_OK(store_->commit(first));
  clock_.set_wall(5);
  ASSERT_OK_AND_ASSIGN(const Batch second, store_->begin());
  EXPECT_EQ(second.time_us(), 1'000'001);
  ASSERT_OK(store_->commit(second));
  open();
  EXPECT_EQ(store_->epoch(), 2u);
  ASSERT_OK_AND_ASSIGN(const Batch third, store_->begin());
  EXPECT_EQ(third.epoch(), 3u);
  EXPECT_EQ(third.time_us(), 1'000'002);
}

TEST_F(LevelDbStoreTest, TheGenerationStaysAndEachStoreHasItsOwn) {
  open();
  const std::uint64_t generation = store_->generation();
  EXPECT_NE(generation, 0u);
  open();
  EXPECT_EQ(store_->generation(), generation);
  ASSERT_OK_AND_ASSIGN(const auto other, LevelDbStore::open(files_, clock_, folder_ / "other/store"));
  EXPECT_NE(other->generation(), generation);
}

TEST_F(LevelDbStoreTest, ABatchIsAppliedWholeOrNotAtAll) {
  open();
  ASSERT_OK(put("a", "1"));
  struct Row {
    const char* name;
    std::function<void(Batch&)> require;
    Code code;
  };
  const std::vector<Row> table = {
      {"absent, but there", [](Batch& b) { b.require_absent("a"); }, Code::failed_precondition},
      {"another value", [](Batch& b) { b.require_value("a", "2"); }, Code::failed_precondition},
      {"a value, but absent", [](Batch& b) { b.require_value("z", ""); }, Code::failed_precondition},
      {"one of two", [](Batch& b) { b.require_value("a", "1"), b.require_absent("a"); }, Code::failed_precondition},
      {"both", [](Batch& b) { b.require_value("a", "1"), b.require_absent("z"); }, Code::ok},
  };
  for (const Row& row : table) {
    ASSERT_OK_AND_ASSIGN(Batch batch, store_->begin());
    batch.put("b", row.name);
    row.require(batch);
    EXPECT_CODE(store_->commit(batch), row.code) << row.name;
    EXPECT_EQ(get("b"), row.code == Code::ok ? row.name : "(none)") << row.name;
  }
  EXPECT_EQ(store_->epoch(), 2u);
}

TEST_F(LevelDbStoreTest, ABatchBegunBeforeAnotherCommitIsRefused) {
  open();
  ASSERT_OK_AND_ASSIGN(const Batch late, store_->begin());
  ASSERT_OK(put("a", "1"));
  EXPECT_CODE(store_->commit(late), Code::failed_precondition);
}

TEST_F(LevelDbStoreTest, ACursorSeesOneSnapshotInOrderBothWays) {
  open();
  for (const char* key : {"xb", "xa", "xc"}) ASSERT_OK(put(key, key));
  ASSERT_OK_AND_ASSIGN(const auto cursor, store_->scan());
  ASSERT_OK(put("xaa", ""));
  std::string seen;
  for (cursor->seek("x"); cursor->valid(); cursor->next()) seen.append(cursor->key()).append(" ");
  EXPECT_EQ(seen, "xa xb xc ");
  cursor->seek_before("xc");
  EXPECT_EQ(cursor->key(), "xb");
  cursor->previous();
  EXPECT_EQ(cursor->key(), "xa");
  cursor->seek_before("y");
  EXPECT_EQ(cursor->key(), "xc");
  cursor->seek_before("\x01");
  EXPECT_FALSE(cursor->valid());
  EXPECT_OK(cursor->status());
}

// Rule 6: what LevelDB itself acknowledges after a torn write to its log would be gone at the next start.
TEST_F(LevelDbStoreTest, WhatIsAcknowledgedAfterATornWriteIsThereAfterAStart) {
  open();
  ASSERT_OK(put("a", "1"));
  env_.tear_next_append();
  EXPECT_CODE(put("b", std::string(100, 'b')), Code::resource_exhausted);
  EXPECT_FALSE(store_->is_healthy());
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "(none)");
  ASSERT_OK(put("c", "3"));
  EXPECT_TRUE(store_->is_healthy());
  ASSERT_OK(put("d", "4"));
  open();
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "(none)");
  EXPECT_EQ(get("c"), "3");
  EXPECT_EQ(get("d"), "4");
  EXPECT_EQ(store_->epoch(), 3u);
}

TEST_F(LevelDbStoreTest, ACommitWhoseSyncFailedIsWholeOrAbsentAndItsEpochNotGivenTwice) {
  open();
  ASSERT_OK(put("a", "1"));
  env_.fail_next_sync();
  EXPECT_CODE(put("b", "2"), Code::unavailable);
  ASSERT_OK_AND_ASSIGN(const Batch batch, store_->begin());
  EXPECT_EQ(get("b"), "2");  // the bytes had reached the file
  EXPECT_EQ(batch.epoch(), 3u);
  ASSERT_OK(store_->commit(batch));
}

TEST_F(LevelDbStoreTest, NothingIsAcknowledgedWhileItCantBeOpenedAgainAndReadingGoesOn) {
  open();
  ASSERT_OK(put("a", "1"));
  env_.tear_next_append();
  EXPECT_CODE(put("b", std::string(100, 'b')), Code::resource_exhausted);
  files_.fail_all(Status(Code::resource_exhausted, "the disk is full"), testing::FaultyFiles::kPreallocate);
  for (int i = 0; i < 3; ++i) {
    EXPECT_CODE(put("c", "3"), Code::resource_exhausted);
    EXPECT_EQ(get("a"), "1");
  }
  files_.heal();
  env_.refuse_new_files(true);
  EXPECT_CODE(put("c", "3"), Code::unavailable);
  env_.refuse_new_files(false);
  EXPECT_EQ(get("a"), "1");
  ASSERT_OK(put("c", "3"));
  EXPECT_EQ(store_->epoch(), 2u);
}

TEST_F(LevelDbStoreTest, BatchesThatShareASyncAreSeenAtOnceAndAreAllThereAfterIt) {
  open();
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_OK_AND_ASSIGN(Batch batch, store_->begin());
    batch.put(key, "1");
    ASSERT_OK(store_->apply(batch));
    EXPECT_EQ(get(key), "1");
  }
  ASSERT_OK(store_->sync());
  EXPECT_EQ(store_->epoch(), 3u);
}

TEST_F(LevelDbStoreTest, AfterAFailedSyncReadsGiveTheStateOfTheLastOne) {
  open();
  ASSERT_OK(put("a", "1"));
  ASSERT_OK_AND_ASSIGN(Batch batch, store_->begin());
  batch.put("a", "2");
  ASSERT_OK(store_->apply(batch));
  EXPECT_EQ(get("a"), "2");
  env_.fail_next_sync();
  EXPECT_CODE(store_->sync(), Code::unavailable);
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(store_->epoch(), 1u);
  ASSERT_OK(put("b", "1"));
  EXPECT_EQ(get("a"), "2");  // the bytes had reached the file
}

TEST_F(LevelDbStoreTest, ASyncThatFailsOnTheWayIsToldAtTheGroupsEnd) {
  open();
  ASSERT_OK_AND_ASSIGN(Batch first, store_->begin());
  first.put("a", "1");
  ASSERT_OK(store_->apply(first));
  ASSERT_OK_AND_ASSIGN(Batch large, store_->begin());
  large.put("b", std::string(1 << 20, 'b'));
  env_.fail_next_sync();  // it is written at once, together with the others
  EXPECT_CODE(store_->apply(large), Code::unavailable);
  EXPECT_EQ(get("a"), "(none)");
  ASSERT_OK(store_->begin());
  EXPECT_CODE(store_->sync(), Code::unavailable);
  EXPECT_OK(store_->sync());
}

TEST_F(LevelDbStoreTest, ALargeBatchIsSeenWithThoseOfItsGroup) {
  open();
  const auto apply = [&](std::string_view key, std::size_t bytes) {
    ASSERT_OK_AND_ASSIGN(Batch batch, store_->begin());
    batch.put(key, std::string(bytes, 'x'));
    ASSERT_OK(store_->apply(batch));
  };
  apply("a", 1);
  apply("b", 1 << 20);
  apply("c", 1);
  EXPECT_EQ(get("a").size() + get("c").size(), 2u);
  ASSERT_OK(store_->sync());
  open();
  EXPECT_EQ(get("b").size(), 1u << 20);
  EXPECT_EQ(get("c").size(), 1u);
  EXPECT_EQ(store_->epoch(), 3u);
}

// A reader of LevelDB's log goes on behind a hole: of changes that were written one by one, later ones could come to
// light without earlier ones.
TEST_F(LevelDbStoreTest, AGroupComesWholeOrNotAtAllWhateverACrashKeeps) {
  std::mt19937 chance(11);
  FilesEnv env(files_);
  LevelDbOptions options;
  options.env = &env;
  int whole = 0, absent = 0;
  for (int round = 0; round < 60; ++round) {
    const auto start = [&] {
      auto opened = LevelDbStore::open(files_, clock_, folder_ / ("group" + std::to_string(round)), options);
      ASSERT_OK(opened);
      store_ = *std::move(opened);
    };
    store_.reset();
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_OK(put("first", "1"));
    for (char key = 'a'; key < 'f'; ++key) {
      ASSERT_OK_AND_ASSIGN(Batch batch, store_->begin());
      batch.put(std::string(1, key), std::string(1 + chance() % (40 << 10), key));
      ASSERT_OK(store_->apply(batch));
    }
    files_.crash_at(0, testing::FaultyFiles::kSync);
    ASSERT_FALSE(store_->sync().ok());
    store_.reset();
    files_.crash_reordered(chance);
    ASSERT_NO_FATAL_FAILURE(start());
    EXPECT_EQ(get("first"), "1");
    const bool is_whole = store_->epoch() == 6;
    EXPECT_TRUE(is_whole || store_->epoch() == 1) << store_->epoch();
    for (char key = 'a'; key < 'f'; ++key) EXPECT_EQ(get(std::string(1, key)) != "(none)", is_whole) << key;
    ++(is_whole ? whole : absent);
  }
  EXPECT_GT(whole, 0);
  EXPECT_GT(absent, 0);
  store_.reset();  // before its env
}

TEST_F(LevelDbStoreTest, AStoreOfANewerSchemaIsRefused) {
  open();
  std::string newer;
  append(newer, keys::kSchemaVersion + 1);
  append(newer, std::uint64_t{1});
  ASSERT_OK(put(keys::generation(), newer));
  store_.reset();
  EXPECT_CODE(LevelDbStore::open(files_, clock_, folder_ / "store"), Code::unimplemented);
}

TEST_F(LevelDbStoreTest, AMissingEpochIsCorrupt) {
  open();
  for (int i = 0; i < 4; ++i) ASSERT_OK(put("a", "1"));
  ASSERT_OK_AND_ASSIGN(Batch batch, store_->begin());
  batch.remove(keys::epoch(2));
  ASSERT_OK(store_->commit(batch));
  store_.reset();
  EXPECT_CODE(LevelDbStore::open(files_, clock_, folder_ / "store"), Code::corrupt);
}

TEST_F(LevelDbStoreTest, TheFolderIsOneProcesssOnly) {
  open();
  EXPECT_CODE(LevelDbStore::open(files_, clock_, folder_ / "store"), Code::failed_precondition);
}

// Runs in a process of its own, started by the test below.
TEST(DISABLED_StoreProcess, WritesUntilItIsKilled) {
  ASSERT_OK_AND_ASSIGN(const auto store, LevelDbStore::open(Files::system(), Clock::system(), ChildProcess::folder()));
  for (std::uint32_t i = 0;; ++i) {
    ASSERT_OK_AND_ASSIGN(Batch batch, store->begin());
    batch.put("k" + std::to_string(i), std::string(1000, 'x'));
    ASSERT_OK(store->commit(batch));
    ChildProcess::report(i);
  }
}

TEST_F(LevelDbStoreTest, WhatAKilledProcessAcknowledgedIsThere) {
  ChildProcess child("DISABLED_StoreProcess.*", folder_ / "store");
  std::uint32_t last = 0;
  for (int i = 0; i < 200; ++i) {
    const auto reported = child.next();
    ASSERT_TRUE(reported);
    last = *reported;
  }
  child.kill();
  while (const auto reported = child.next()) last = *reported;
  open();
  for (std::uint32_t i = 0; i <= last; ++i) ASSERT_EQ(get("k" + std::to_string(i)).size(), 1000u) << i;
  EXPECT_GE(store_->epoch(), last + 1u);
  EXPECT_LE(store_->epoch(), last + 2u);
}

}  // namespace
}  // namespace espalier::registry
