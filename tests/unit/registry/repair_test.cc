// A repair makes anew what follows from other records, names the rest, and starts a new generation when it changed
// anything.
#include "registry/upkeep/repair.h"

#include <filesystem>
#include <fstream>

#include "registry/keys.h"
#include "registry/upkeep/check.h"
#include "registry/upkeep/stopped.h"
#include "tests/unit/registry/random_workload.h"
#include "tests/unit/registry/raw_store.h"

namespace espalier::registry {
namespace {

class RepairTest : public RandomWorkload {
 protected:
  RepairTest() {
    for (int i = 0; i < 12; ++i) do_something();
    generation_ = registry_->hello(local_, {})->generation;
    registry_.reset();
    records_ = RawStore(folder_.path()).all();
  }
  upkeep::Repaired repair(upkeep::RepairOptions options = {}) {
    auto repaired = upkeep::repair(files_, clock_, folder_.path(), options);
    EXPECT_OK(repaired);
    return repaired.ok() ? *std::move(repaired) : upkeep::Repaired{};
  }
  std::uint64_t findings() {
    const auto stopped = upkeep::open_stopped(files_, clock_, folder_.path());
    EXPECT_OK(stopped);
    const auto check = upkeep::Check::start(*stopped->records);
    EXPECT_OK((*check)->run_to_the_end(clock_));
    return (*check)->findings().count();
  }
  /// All records but the generation.
  std::map<std::string, std::string> now() {
    auto records = RawStore(folder_.path()).all();
    records[keys::generation()] = records_.at(keys::generation());
    return records;
  }

  /// When an artefact was uploaded stands in its record alone: one that is made anew says that it isn't known.
  static std::map<std::string, std::string> without_upload_times(std::map<std::string, std::string> records) {
    for (auto& [key, value] : records) {
      if (key.starts_with("A")) value.resize(value.size() - sizeof(std::int64_t));
    }
    return records;
  }

  std::uint64_t generation_ = 0;
  std::map<std::string, std::string> records_;
};

TEST_F(RepairTest, LeavesASoundRegistryAlone) {
  const upkeep::Repaired repaired = repair();
  EXPECT_FALSE(repaired.is_changed);
  EXPECT_EQ(repaired.generation, generation_);
  EXPECT_TRUE(repaired.mended.empty());
  EXPECT_EQ(RawStore(folder_.path()).all(), records_);
}

TEST_F(RepairTest, MakesAnewWhatFollowsFromOtherRecords) {
  // Of each table several at once, gone and damaged in turn.
  std::map<char, int> damaged;
  {
    RawStore store(folder_.path());
    for (const auto& [key, value] : records_) {
      if (std::string("XeivrA").find(key[0]) == std::string::npos || ++damaged[key[0]] % 3 != 0) continue;
      if (damaged[key[0]] % 2 == 0) {
        store.remove(key);
      } else {
        store.put(key, value.empty() ? "x" : value.substr(0, 5));
      }
    }
  }
  EXPECT_EQ(damaged.size(), 6u);
  const upkeep::Repaired planned = repair({.dry_run = true});
  EXPECT_FALSE(planned.is_changed);
  EXPECT_GT(planned.mended.size(), 20u);
  EXPECT_NE(now(), records_);

  const upkeep::Repaired repaired = repair();
  EXPECT_TRUE(repaired.is_changed);
  EXPECT_NE(repaired.generation, generation_);
  EXPECT_TRUE(repaired.left.empty()) << repaired.left.front().table << repaired.left.front().key;
  EXPECT_EQ(without_upload_times(now()), without_upload_times(records_));
  EXPECT_EQ(findings(), 0u);
  open();
  EXPECT_EQ(registry_->hello(local_, {})->generation, repaired.generation);
  wire::FeedRequest feed;
  feed.generation = generation_;
  EXPECT_TRUE(registry_->feed(local_, feed)->snapshot_required);
}

TEST_F(RepairTest, MakesEpochsAnewFromTheirIndex) {
  RawStore(folder_.path()).remove(keys::epoch(4));
  EXPECT_CODE(Registry::open(files_, clock_, folder_.path()), Code::corrupt);
  EXPECT_TRUE(repair().left.empty());
  EXPECT_EQ(now(), records_);
}

TEST_F(RepairTest, NamesWhatItCannotMakeAnewAndLeavesIt) {
  std::string key;
  for (const auto& [candidate, value] : records_) {
    if (candidate[0] == 'V') key = candidate;
  }
  RawStore(folder_.path()).put(key, "nonsense");
  const auto damaged = RawStore(folder_.path()).all();
  const upkeep::Repaired repaired = repair();
  ASSERT_EQ(repaired.left.size(), 1u);
  EXPECT_EQ(repaired.left[0].table, "V");
  EXPECT_EQ(repaired.left[0].key, upkeep::readable(key));
  EXPECT_FALSE(repaired.is_changed);
  EXPECT_EQ(RawStore(folder_.path()).all(), damaged);
}

TEST_F(RepairTest, FindsArtefactsBehindADamagedPlaceOfAPack) {
  const std::string segment = folder_.path() + "/artefacts/acme/segment-00000001.pack";
  std::filesystem::permissions(segment, std::filesystem::perms::owner_all);
  std::string bytes = *Files::system().read(segment);
  const std::size_t first = bytes.find("ESPFRAME"), second = bytes.find("ESPFRAME", first + 8);
  ASSERT_NE(second, std::string::npos);
  bytes[second + 20] ^= 1;
  std::ofstream(segment, std::ios::binary) << bytes;
  const std::uint64_t lost = findings();
  EXPECT_GT(lost, 2u);
  EXPECT_EQ(repair({.dry_run = true}).salvaged, lost - 1);
  EXPECT_EQ(findings(), lost);
  const upkeep::Repaired repaired = repair();
  EXPECT_EQ(repaired.salvaged, lost - 1);
  EXPECT_TRUE(repaired.is_changed);
  ASSERT_EQ(repaired.left.size(), 1u);  // the one whose own frame is damaged
  EXPECT_EQ(repaired.left[0].table, "pack");
  EXPECT_EQ(findings(), 1u);
}

TEST_F(RepairTest, LetsLevelDbGatherWhatItCanStillRead) {
  std::filesystem::remove(folder_ / "store/CURRENT");
  EXPECT_CODE(upkeep::repair(files_, clock_, folder_.path(), {}), Code::not_found);
  const upkeep::Repaired repaired = repair({.dry_run = false, .leveldb = true});
  EXPECT_TRUE(repaired.is_changed);
  EXPECT_NE(repaired.generation, generation_);
  EXPECT_TRUE(repaired.left.empty());
  EXPECT_EQ(now(), records_);
}

TEST_F(RepairTest, GathersNothingFromARegistryThatRuns) {
  open();
  EXPECT_CODE(upkeep::repair(files_, clock_, folder_.path(), {.leveldb = true}), Code::unavailable);
  ASSERT_OK_AND_ASSIGN(const auto joined, registry_->join(local_, {uuid('j', 900), {"s0", {"ipc:///s0"}, 1}}));
  open();
  EXPECT_EQ(registry_->hello(local_, {})->generation, generation_);
  EXPECT_EQ(registry_->hello(local_, {})->epoch, joined.epoch);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "store/lost"));
}

TEST_F(RepairTest, WhatWasGatheredHasANewGenerationWhereverThatIsCutShort) {
  int refused = 0, renewed = 0;
  for (std::uint64_t n = 0;; ++n) {
    SCOPED_TRACE(n);
    std::filesystem::remove_all(folder_ / "store/lost");
    files_.crash_at(n);
    const Status cut = upkeep::repair(files_, clock_, folder_.path(), {.leveldb = true}).status();
    files_.crash();
    const bool is_begun = std::filesystem::exists(folder_ / "store/lost");
    const Status opened = Registry::open(files_, clock_, folder_.path()).status();
    if (!opened.ok()) {
      ++refused;
      EXPECT_CODE(opened, Code::failed_precondition);
      EXPECT_NE(opened.message().find("--leveldb"), std::string::npos) << opened.message();
      EXPECT_CODE(upkeep::repair(files_, clock_, folder_.path(), {}), Code::failed_precondition);
      EXPECT_TRUE(repair({.leveldb = true}).is_changed);
    }
    open();
    const std::uint64_t generation = registry_->hello(local_, {})->generation;
    registry_.reset();
    EXPECT_EQ(generation != generation_, is_begun);
    renewed += is_begun && opened.ok() && !cut.ok();
    generation_ = generation;
    EXPECT_EQ(now(), records_);
    if (!files_.was_reached()) break;
    ASSERT_LT(n, 100u);
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(renewed, 0);
}

}  // namespace
}  // namespace espalier::registry
