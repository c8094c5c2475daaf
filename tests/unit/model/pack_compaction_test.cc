// Space that comes back: segments whose artefacts were mostly forgotten are rewritten and removed, whatever happens in
// between.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "model/pack_compaction.h"
#include "model/pack_format.h"
#include "tests/support/faulty_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/model/pack_test_support.h"

namespace espalier::model {
namespace {

using testing::FaultyFiles;
using testing::TempDir;

constexpr int kCount = 60;

Hash256 hash(int number) { return blake2b_256(artefact(number)); }
bool lives(int number) { return number % 4 == 0; }

class Compacting : public ::testing::Test {
 protected:
  /// A pack of sixty in several segments, three quarters of them forgotten.
  void fill() {
    auto pack = Pack::open(files_, folder_, kSmall);
    ASSERT_OK(pack);
    pack_ = *std::move(pack);
    for (int i = 0; i < kCount; ++i) ASSERT_OK(pack_->add(hash(i), artefact(i)));
    ASSERT_OK(pack_->sync());
    for (int i = 0; i < kCount; ++i) {
      if (!lives(i)) pack_->forget(hash(i));
    }
    ASSERT_GT(pack_->segments().size(), 3u);
  }
  /// A few artefacts a step.
  Status compact(Thoroughness how = Thoroughness::worthwhile) {
    PackCompaction compaction(*pack_);
    for (bool more = true; more;) {
      ASSIGN_OR_RETURN(more, compaction.step(300, how));
    }
    return {};
  }
  void expect_all_alive() const {
    for (int i = 0; i < kCount; i += 4) {
      const auto found = pack_->find(hash(i));
      ASSERT_TRUE(found) << i;
      EXPECT_EQ(*found, artefact(i));
    }
  }
  std::ptrdiff_t files_in_folder() {
    const auto names = *Files::system().list(folder_);
    return std::ranges::count_if(names, [](const auto& name) { return parse_segment_name(name).has_value(); });
  }

  TempDir dir_;
  std::string folder_ = dir_ / "pack";
  FaultyFiles files_;
  std::unique_ptr<Pack> pack_;
};

TEST_F(Compacting, WhatLivesMovesAndTheFilesGo) {
  fill();
  const std::uint64_t before = pack_->disk_bytes();
  const std::ptrdiff_t files = files_in_folder();
  ASSERT_OK(compact());
  EXPECT_LT(pack_->disk_bytes(), before / 2);
  EXPECT_LT(files_in_folder(), files);
  EXPECT_EQ(pack_->hashes().size(), static_cast<std::size_t>(kCount / 4));
  expect_all_alive();
  pack_.reset();
  ASSERT_OK_AND_ASSIGN(pack_, Pack::open(files_, folder_, kSmall));
  expect_all_alive();
}

TEST_F(Compacting, SaysHowMuchOfEachSegmentLives) {
  fill();
  std::uint64_t live = 0;
  for (const Pack::SegmentUse& use : pack_->segments()) live += use.live_bytes;
  std::uint64_t expected = 0;
  for (int i = 0; i < kCount; i += 4) expected += frame_bytes(artefact(i).size());
  EXPECT_EQ(live, expected);
  EXPECT_TRUE(pack_->segments().back().is_open);
}

TEST_F(Compacting, HeldBytesStayWhereTheyAre) {
  fill();
  const std::string_view bytes = *pack_->find(hash(0));
  const auto held = pack_->hold(hash(0));
  ASSERT_OK(compact());
  EXPECT_NE(pack_->find(hash(0))->data(), bytes.data());
  pack_.reset();
  EXPECT_EQ(bytes, artefact(0));
}

TEST_F(Compacting, WhatIsAddedAndForgottenMeanwhileIsRight) {
  fill();
  ASSERT_OK(pack_->move_out(1, 1));
  pack_->forget(hash(4));
  ASSERT_OK(pack_->add(hash(1), artefact(1)));
  ASSERT_OK(pack_->sync());
  ASSERT_OK(compact());
  EXPECT_FALSE(pack_->find(hash(4)));
  EXPECT_EQ(*pack_->find(hash(1)), artefact(1));
  EXPECT_EQ(*pack_->find(hash(0)), artefact(0));
}

TEST_F(Compacting, ThoroughlyTheOpenSegmentGoesTooAndNothingDeadIsLeft) {
  fill();
  ASSERT_OK(compact(Thoroughness::all));
  expect_all_alive();
  for (const Pack::SegmentUse& use : pack_->segments()) EXPECT_EQ(use.dead_bytes, 0u);
  for (int i = 0; i < kCount; ++i) pack_->forget(hash(i));
  ASSERT_OK(compact(Thoroughness::all));
  EXPECT_EQ(files_in_folder(), 0);
  ASSERT_OK(pack_->add(hash(1), artefact(1)));
  ASSERT_OK(pack_->sync());
}

TEST_F(Compacting, WhatIsAddedLeavesCompactionASegment) {
  constexpr std::uint64_t kMost = 4 * kSmall.segment_bytes;
  ASSERT_OK_AND_ASSIGN(pack_, Pack::open(files_, folder_, {kSmall.segment_bytes, kMost}));
  int count = 0;
  while (pack_->add(hash(count), artefact(count)).ok()) ++count;
  EXPECT_CODE(pack_->add(hash(count), artefact(count)), Code::resource_exhausted);
  ASSERT_OK(pack_->sync());
  EXPECT_EQ(pack_->disk_bytes(), kMost);
  for (int i = 0; i < count; ++i) {
    if (!lives(i)) pack_->forget(hash(i));
  }
  ASSERT_OK(pack_->close_segment());
  PackCompaction compaction(*pack_);
  ASSERT_OK(compaction.step(1, Thoroughness::tight));
  EXPECT_EQ(pack_->disk_bytes(), kMost + kSmall.segment_bytes);
  EXPECT_CODE(pack_->add(hash(count), artefact(count)), Code::resource_exhausted) << "that segment is compaction's";
  for (bool more = true; more && pack_->disk_bytes() >= kMost;) {
    ASSERT_OK_AND_ASSIGN(more, compaction.step(300, Thoroughness::tight));
    EXPECT_LE(pack_->disk_bytes(), kMost + kSmall.segment_bytes);
  }
  EXPECT_LT(pack_->disk_bytes(), kMost);
  EXPECT_OK(pack_->add(hash(count), artefact(count)));
  for (int i = 0; i < count; i += 4) EXPECT_EQ(*pack_->find(hash(i)), artefact(i));
}

TEST_F(Compacting, TightlyLargerSegmentsThanAreMadeNowGoHoweverFullTheyAre) {
  fill();
  constexpr std::uint64_t kSmaller = 1024;
  ASSERT_OK(pack_->sync());
  ASSERT_OK_AND_ASSIGN(pack_, Pack::open(files_, folder_, {kSmaller}));
  EXPECT_TRUE(has_oversized(pack_->segments()));
  PackCompaction compaction(*pack_);
  for (bool more = true; more && has_oversized(pack_->segments());) {
    ASSERT_OK_AND_ASSIGN(more, compaction.step(300, Thoroughness::tight));
  }
  for (const Pack::SegmentUse& use : pack_->segments()) EXPECT_EQ(use.bytes, kSmaller);
  EXPECT_FALSE(has_oversized(pack_->segments()));
  expect_all_alive();
}

TEST_F(Compacting, AFullDiskLosesNothingAndItGoesOnLater) {
  fill();
  files_.fail_all(Status(Code::resource_exhausted, "full"), FaultyFiles::kPreallocate);
  EXPECT_CODE(compact(), Code::resource_exhausted);
  expect_all_alive();
  files_.heal();
  ASSERT_OK(compact());
  expect_all_alive();
}

TEST_F(Compacting, AFailedSyncLeavesEverythingWhereItWas) {
  fill();
  files_.fail_at(0, Status(Code::unavailable, "sync"), FaultyFiles::kSync);
  EXPECT_CODE(compact(), Code::unavailable);
  EXPECT_TRUE(files_.was_reached());
  expect_all_alive();
  ASSERT_OK(compact());
  expect_all_alive();
}

TEST_F(Compacting, ADamagedArtefactIsNeverCopied) {
  fill();
  {
    ASSERT_OK_AND_ASSIGN(const auto file, Files::system().open(folder_ + "/" + segment_name(1), false));
    ASSERT_OK(file->write_at(2 * kPackHeaderBytes + 3, "damage"));
  }
  EXPECT_CODE(pack_->move_out(1, 1000), Code::corrupt);
  ASSERT_OK(compact());
  EXPECT_TRUE(pack_->find(hash(0))) << "its segment is left as it is";
  EXPECT_EQ(pack_->segments().front().number, 1u);
  ASSERT_OK(compact(Thoroughness::all));
  EXPECT_FALSE(pack_->find(hash(0)));
  EXPECT_GT(pack_->segments().front().number, 1u);
  EXPECT_EQ(*pack_->find(hash(4)), artefact(4));
}

TEST(ChooseSegment, TakesWhatHoldsNothingFirstThenTheOneWithLeast) {
  const std::vector<Pack::SegmentUse> uses = {{1, 1000, 400, 500, false, false}, {2, 1000, 0, 900, false, false},
                                              {3, 1000, 100, 800, false, false}, {4, 1000, 600, 300, false, false},
                                              {5, 1000, 0, 100, false, true},    {6, 1000, 0, 900, true, false}};
  std::set<std::uint32_t> done;
  for (const std::uint32_t number : {2u, 3u, 1u}) {
    EXPECT_EQ(choose_segment(uses, Thoroughness::worthwhile, done), number);
    done.insert(number);
  }
  EXPECT_FALSE(choose_segment(uses, Thoroughness::worthwhile, done));
  EXPECT_EQ(choose_segment(uses, Thoroughness::all, done), 5u);
  done.insert(5);
  EXPECT_EQ(choose_segment(uses, Thoroughness::all, done), 4u);
}

TEST_F(Compacting, ACrashBetweenAnyTwoCallsLosesNothing) {
  for (const auto torn : {FaultyFiles::Torn::nothing, FaultyFiles::Torn::first_half}) {
    for (std::uint64_t n = 0;; ++n) {
      std::filesystem::remove_all(folder_);
      fill();
      files_.crash_at(n);
      static_cast<void>(compact());
      pack_.reset();
      files_.crash(torn);
      ASSERT_OK_AND_ASSIGN(pack_, Pack::open(files_, folder_, kSmall));
      expect_all_alive();
      for (int i = 0; i < kCount; ++i) {
        if (!lives(i)) pack_->forget(hash(i));  // what was only forgotten has come back
      }
      ASSERT_OK(compact());
      expect_all_alive();
      pack_.reset();
      if (!files_.was_reached()) break;
    }
  }
}

}  // namespace
}  // namespace espalier::model
