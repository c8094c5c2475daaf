#include "model/pack.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

#include "common/bytes.h"
#include "model/artefact.h"
#include "model/pack_format.h"
#include "tests/support/faulty_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/model/pack_test_support.h"

namespace espalier::model {
namespace {

using testing::FaultyFiles;
using testing::TempDir;

class PackTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Pack>> open(PackOptions options = kSmall) { return Pack::open(files_, folder_, options); }
  static Status add(Pack& pack, const std::string& bytes) { return pack.add(blake2b_256(bytes), bytes); }
  static std::string found(const Pack& pack, const std::string& bytes) {
    const auto view = pack.find(blake2b_256(bytes));
    return view ? std::string(*view) : "nothing";
  }
  std::string segment(std::uint32_t number) const { return folder_ + "/" + segment_name(number); }
  void overwrite(std::uint32_t number, std::uint64_t offset, std::string_view bytes) const {
    auto file = Files::system().open(segment(number), false);
    ASSERT_OK(file);
    ASSERT_OK((*file)->write_at(offset, bytes));
  }

  TempDir dir_;
  std::string folder_ = dir_ / "pack";
  FaultyFiles files_;
};

TEST_F(PackTest, ANewOneIsEmpty) {
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  EXPECT_TRUE(pack->hashes().empty());
  EXPECT_EQ(pack->disk_bytes(), 0u);
  EXPECT_FALSE(pack->find(Hash256{}));
  EXPECT_CODE(pack->verify(Hash256{}), Code::not_found);
  EXPECT_OK(pack->sync());
}

TEST_F(PackTest, GivesBackWhatWasAddedAlsoAfterReopening) {
  constexpr int kCount = 100;
  for (const bool reopened : {false, true}) {
    ASSERT_OK_AND_ASSIGN(auto pack, open());
    std::uint64_t bytes = 0;
    for (int i = 0; i < kCount; ++i) {
      if (!reopened) {
        ASSERT_OK(add(*pack, artefact(i)));
        if (i % 10 == 0) {
          ASSERT_OK(pack->sync());
        }
      }
      bytes += artefact(i).size();
    }
    ASSERT_OK(pack->sync());
    for (int i = 0; i < kCount; ++i) {
      EXPECT_EQ(found(*pack, artefact(i)), artefact(i));
      EXPECT_OK(pack->verify(blake2b_256(artefact(i))));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pack->find(blake2b_256(artefact(i)))->data()) % 64, 0u);
    }
    EXPECT_EQ(pack->hashes().size(), static_cast<std::size_t>(kCount));
    EXPECT_EQ(pack->artefact_bytes(), bytes);
    EXPECT_GT(pack->disk_bytes(), bytes);
    EXPECT_EQ(pack->disk_bytes() % kSmall.segment_bytes, 0u);
  }
}

TEST_F(PackTest, ViewsStayWhileMoreIsAdded) {
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  ASSERT_OK(add(*pack, artefact(0)));
  const std::string_view first = *pack->find(blake2b_256(artefact(0)));
  for (int i = 1; i < 200; ++i) ASSERT_OK(add(*pack, artefact(i)));
  EXPECT_EQ(first, artefact(0));
}

TEST_F(PackTest, StoresTheSameBytesOnce) {
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  for (int i = 0; i < 1000; ++i) ASSERT_OK(add(*pack, artefact(1)));
  EXPECT_EQ(pack->disk_bytes(), kSmall.segment_bytes);
  EXPECT_EQ(pack->artefact_bytes(), artefact(1).size());
}

TEST_F(PackTest, ALargeArtefactGetsASegmentOfItsOwn) {
  const std::string large(100'000, 'x');
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    ASSERT_OK(add(*pack, artefact(1)));
    ASSERT_OK(add(*pack, large));
    ASSERT_OK(add(*pack, artefact(2)));
    ASSERT_OK(pack->sync());
  }
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  EXPECT_EQ(found(*pack, large), large);
  EXPECT_EQ(found(*pack, artefact(2)), artefact(2));
  EXPECT_EQ(pack->hashes().size(), 3u);
}

TEST_F(PackTest, RefusesSizesThatNoArtefactHas) {
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  EXPECT_CODE(add(*pack, ""), Code::invalid_argument);
  const std::string_view too_large(nullptr, kMaxArtefactBytes + 1);
  EXPECT_CODE(pack->add(Hash256{}, too_large), Code::invalid_argument);
  EXPECT_EQ(pack->disk_bytes(), 0u);
}

TEST_F(PackTest, ForgetsUntilItIsAddedAnew) {
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  ASSERT_OK(add(*pack, artefact(1)));
  pack->forget(blake2b_256(artefact(1)));
  EXPECT_EQ(found(*pack, artefact(1)), "nothing");
  EXPECT_EQ(pack->artefact_bytes(), 0u);
  ASSERT_OK(add(*pack, artefact(1)));
  EXPECT_EQ(found(*pack, artefact(1)), artefact(1));
}

TEST_F(PackTest, VerifyFindsDamageAndTheArtefactCanBeStoredAnew) {
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    ASSERT_OK(add(*pack, artefact(1)));
    ASSERT_OK(add(*pack, artefact(2)));
    ASSERT_OK(pack->sync());
    overwrite(1, 2 * kPackHeaderBytes + 5, "#");
    EXPECT_CODE(pack->verify(blake2b_256(artefact(1))), Code::corrupt);
    EXPECT_EQ(found(*pack, artefact(1)), "nothing");
    EXPECT_OK(pack->verify(blake2b_256(artefact(2))));
    ASSERT_OK(add(*pack, artefact(1)));
    ASSERT_OK(pack->sync());
  }
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  EXPECT_OK(pack->verify(blake2b_256(artefact(1)))) << "the later frame is the one that counts";
  EXPECT_EQ(pack->hashes().size(), 2u);
}

TEST_F(PackTest, ADamagedFrameHeaderEndsTheWalkAndTheRestIsKept) {
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    for (int i = 0; i < 3; ++i) ASSERT_OK(add(*pack, artefact(i)));
    ASSERT_OK(pack->sync());
  }
  const std::uint64_t second = kPackHeaderBytes + frame_bytes(artefact(0).size());
  overwrite(1, second + 9, "\x7f");
  {
    ASSERT_OK_AND_ASSIGN(const auto before, Files::system().read(segment(1)));
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    EXPECT_EQ(found(*pack, artefact(0)), artefact(0));
    EXPECT_EQ(found(*pack, artefact(1)), "nothing");
    ASSERT_OK(add(*pack, artefact(1)));
    ASSERT_OK(pack->sync());
    ASSERT_OK_AND_ASSIGN(const auto after, Files::system().read(segment(1)));
    EXPECT_EQ(after, before);
  }
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  EXPECT_EQ(found(*pack, artefact(1)), artefact(1));
  EXPECT_TRUE(std::filesystem::exists(segment(2)));
}

TEST_F(PackTest, SegmentsThatAreNone) {
  struct Case {
    const char* what;
    std::uint64_t offset;
    std::string bytes;
    Code code;
  };
  const Case cases[] = {
      {"magic", 0, "X", Code::ok},
      {"number", 12, "\x07", Code::ok},
      {"size", 17, "\x01", Code::ok},
      {"checksum", 56, "checksum", Code::ok},
      {"version", 8, "\x02", Code::unimplemented},
  };
  for (const Case& c : cases) {
    std::filesystem::remove_all(folder_);
    {
      ASSERT_OK_AND_ASSIGN(const auto pack, open());
      ASSERT_OK(add(*pack, artefact(1)));
      ASSERT_OK(pack->sync());
    }
    overwrite(1, c.offset, c.bytes);
    const auto pack = open();
    EXPECT_CODE(pack, c.code) << c.what;
    if (!pack.ok()) continue;
    EXPECT_EQ(found(**pack, artefact(1)), "nothing") << c.what;
    EXPECT_OK(add(**pack, artefact(1)));
    EXPECT_EQ(found(**pack, artefact(1)), artefact(1)) << c.what;
  }
}

TEST_F(PackTest, SegmentsThatAreLinksPipesOrFoldersAreSetAsideAndLeftAlone) {
  const std::string bytes = artefact(1);
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    ASSERT_OK(add(*pack, bytes));
    ASSERT_OK(pack->sync());
  }
  // A segment of another pack, whose tail somebody would write to; and what can't be read at all.
  const std::string elsewhere = dir_ / "elsewhere.pack";
  std::filesystem::rename(segment(1), elsewhere);
  ASSERT_OK_AND_ASSIGN(const std::string before, Files::system().read(elsewhere));
  std::filesystem::create_symlink(elsewhere, segment(1));
  ASSERT_EQ(::mkfifo(segment(2).c_str(), 0600), 0);
  std::filesystem::create_directory(segment(3));
  std::filesystem::create_symlink("/dev/zero", segment(4));
  std::filesystem::create_symlink(segment(5), segment(5));
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  EXPECT_TRUE(pack->hashes().empty());
  const std::string other = artefact(2);
  ASSERT_OK(add(*pack, other));
  ASSERT_OK(pack->sync());
  EXPECT_EQ(found(*pack, other), other);
  EXPECT_TRUE(std::filesystem::exists(segment(6))) << "the numbers of the others aren't used again";
  ASSERT_OK_AND_ASSIGN(const std::string after, Files::system().read(elsewhere));
  EXPECT_EQ(before, after);
}

TEST_F(PackTest, ACutSegmentGivesWhatIsWhole) {
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    for (int i = 0; i < 3; ++i) ASSERT_OK(add(*pack, artefact(i)));
    ASSERT_OK(pack->sync());
  }
  const std::uint64_t second = kPackHeaderBytes + frame_bytes(artefact(0).size());
  for (const std::uint64_t size :
       {second + 70, second + 64, second + 10, second, std::uint64_t{63}, std::uint64_t{0}}) {
    std::filesystem::resize_file(segment(1), size);
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    EXPECT_EQ(found(*pack, artefact(0)), size >= second ? artefact(0) : "nothing");
    EXPECT_EQ(found(*pack, artefact(1)), "nothing");
  }
}

TEST_F(PackTest, OtherFilesAreLeftAloneAndUnfinishedSegmentsRemoved) {
  ASSERT_OK(Pack::open(Files::system(), folder_, kSmall));
  for (const char* name : {"segment-1.pack", "segment-00000000.pack", "notes.txt", "segment-00000001.pack.making"}) {
    ASSERT_OK(Files::system().open(folder_ + "/" + name, true));
  }
  ASSERT_OK_AND_ASSIGN(const auto pack, Pack::open(Files::system(), folder_, kSmall));
  ASSERT_OK(add(*pack, artefact(1)));
  ASSERT_OK(pack->sync());
  ASSERT_OK_AND_ASSIGN(const auto names, Files::system().list(folder_));
  EXPECT_EQ(names, (std::vector<std::string>{"notes.txt", "segment-00000000.pack", "segment-00000001.pack",
                                             "segment-1.pack"}));
}

TEST_F(PackTest, ASegmentHasItsNameOnceItsFirstArtefactsAreDurable) {
  ASSERT_OK_AND_ASSIGN(auto pack, open());
  const auto syncs = [&] { return files_.calls(FaultyFiles::kSync | FaultyFiles::kSyncDirectory); };
  const auto before = syncs();
  ASSERT_OK(add(*pack, artefact(1)));
  ASSERT_OK(add(*pack, artefact(2)));
  EXPECT_EQ(syncs(), before);
  EXPECT_EQ(*Files::system().list(folder_), std::vector<std::string>{"segment-00000001.pack.making"});
  ASSERT_OK(pack->sync());
  EXPECT_EQ(syncs(), before + 2);
  EXPECT_EQ(*Files::system().list(folder_), std::vector<std::string>{"segment-00000001.pack"});
  ASSERT_OK(add(*pack, artefact(3)));
  ASSERT_OK(pack->sync());
  EXPECT_EQ(syncs(), before + 3);
}

TEST_F(PackTest, ASegmentThatGetsNoNameIsGivenUpWithWhatItHolds) {
  for (const auto kind : {FaultyFiles::kSync, FaultyFiles::kRename, FaultyFiles::kSyncDirectory}) {
    ASSERT_OK_AND_ASSIGN(auto pack, open());
    const int first = static_cast<int>(kind) * 10;
    ASSERT_OK(add(*pack, artefact(first)));
    ASSERT_OK(pack->sync());
    ASSERT_OK(pack->close_segment());
    ASSERT_OK(add(*pack, artefact(first + 1)));
    const auto given = pack->find(blake2b_256(artefact(first + 1)));
    ASSERT_TRUE(given);
    files_.fail_at(0, Status(Code::resource_exhausted, "full"), kind);
    EXPECT_CODE(pack->sync(), Code::resource_exhausted);
    EXPECT_EQ(found(*pack, artefact(first + 1)), "nothing");
    EXPECT_EQ(*given, artefact(first + 1));  // whoever has the bytes may go on reading them
    ASSERT_OK(add(*pack, artefact(first + 2)));
    ASSERT_OK(pack->sync());
    pack.reset();
    ASSERT_OK_AND_ASSIGN(pack, open());
    EXPECT_EQ(found(*pack, artefact(first)), artefact(first));
    EXPECT_EQ(found(*pack, artefact(first + 1)), "nothing");
    EXPECT_EQ(found(*pack, artefact(first + 2)), artefact(first + 2));
  }
}

TEST_F(PackTest, ASegmentThatNothingWasWrittenToIsNotKept) {
  ASSERT_OK_AND_ASSIGN(auto pack, open());
  files_.fail_at(1, Status(Code::resource_exhausted, "full"), FaultyFiles::kWrite);
  EXPECT_CODE(add(*pack, artefact(1)), Code::resource_exhausted);
  ASSERT_OK(pack->close_segment());
  EXPECT_TRUE(pack->segments().empty());
  EXPECT_TRUE(files_.list(folder_)->empty());
  ASSERT_OK(add(*pack, artefact(1)));
  ASSERT_OK(pack->sync());
  EXPECT_EQ(found(*pack, artefact(1)), artefact(1));
}

TEST_F(PackTest, AFullDiskLeavesThePackUsable) {
  ASSERT_OK_AND_ASSIGN(auto pack, open());
  ASSERT_OK(add(*pack, artefact(1)));
  ASSERT_OK(pack->sync());
  ASSERT_OK(add(*pack, artefact(2)));
  files_.fail_all(Status(Code::resource_exhausted, "full"));
  EXPECT_CODE(add(*pack, artefact(3)), Code::resource_exhausted);
  EXPECT_CODE(pack->sync(), Code::resource_exhausted);
  EXPECT_EQ(found(*pack, artefact(1)), artefact(1));
  EXPECT_EQ(found(*pack, artefact(2)), "nothing");
  EXPECT_CODE(add(*pack, artefact(2)), Code::resource_exhausted);
  files_.heal();
  ASSERT_OK(add(*pack, artefact(2)));
  ASSERT_OK(add(*pack, artefact(3)));
  ASSERT_OK(pack->sync());
  pack.reset();
  ASSERT_OK_AND_ASSIGN(pack, open());
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(found(*pack, artefact(i)), artefact(i));
}

TEST_F(PackTest, ATailThatCannotBeSecuredIsLeftOut) {
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    ASSERT_OK(add(*pack, artefact(1)));
    ASSERT_OK(pack->sync());
    ASSERT_OK(add(*pack, artefact(2)));
  }
  files_.fail_at(0, Status(Code::resource_exhausted, "full"), FaultyFiles::kSync);
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    EXPECT_EQ(found(*pack, artefact(1)), artefact(1));
    EXPECT_EQ(found(*pack, artefact(2)), "nothing");
  }
  ASSERT_OK_AND_ASSIGN(const auto pack, open());
  EXPECT_EQ(found(*pack, artefact(2)), artefact(2));
}

/// Adds and syncs a few times; what a sync() has acknowledged is in `acknowledged`.
void fill(Files& files, const std::string& folder, std::set<int>& acknowledged) {
  auto pack = Pack::open(files, folder, kSmall);
  std::set<int> added;
  for (int i = 0; pack.ok() && i < 24; ++i) {
    const std::string bytes = artefact(i);
    if ((*pack)->add(blake2b_256(bytes), bytes).ok()) added.insert(i);
    if (i % 3 != 2) continue;
    if ((*pack)->sync().ok()) acknowledged.insert(added.begin(), added.end());
    added.clear();
  }
}

TEST_F(PackTest, AcknowledgedMeansDurableWhereverItStops) {
  for (const auto torn : {FaultyFiles::Torn::nothing, FaultyFiles::Torn::first_half, FaultyFiles::Torn::all}) {
    for (std::uint64_t n = 0;; ++n) {
      std::filesystem::remove_all(folder_);
      std::set<int> acknowledged;
      files_.crash_at(n);
      fill(files_, folder_, acknowledged);
      files_.crash(torn);
      if (!files_.was_reached()) break;
      ASSERT_OK_AND_ASSIGN(const auto pack, open());
      for (const Hash256& hash : pack->hashes()) ASSERT_OK(pack->verify(hash)) << "stopped at call " << n;
      for (const int i : acknowledged) ASSERT_EQ(found(*pack, artefact(i)), artefact(i)) << "stopped at call " << n;
      ASSERT_OK(add(*pack, artefact(99)));
      ASSERT_OK(pack->sync());
    }
  }
}

TEST_F(PackTest, OneFailedCallLosesNothingAcknowledged) {
  for (std::uint64_t n = 0;; ++n) {
    std::filesystem::remove_all(folder_);
    std::set<int> acknowledged;
    files_.fail_at(n, Status(Code::resource_exhausted, "full"));
    fill(files_, folder_, acknowledged);
    if (!files_.was_reached()) break;
    files_.crash();
    ASSERT_OK_AND_ASSIGN(const auto pack, open());
    for (const Hash256& hash : pack->hashes()) ASSERT_OK(pack->verify(hash)) << "failed call " << n;
    for (const int i : acknowledged) ASSERT_EQ(found(*pack, artefact(i)), artefact(i)) << "failed call " << n;
  }
}

TEST_F(PackTest, OpensAHundredThousandArtefactsQuickly) {
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, Pack::open(Files::system(), folder_, PackOptions()));
    for (int i = 0; i < 100'000; ++i) ASSERT_OK(add(*pack, artefact(i)));
    ASSERT_OK(pack->sync());
  }
  const auto start = std::chrono::steady_clock::now();
  ASSERT_OK_AND_ASSIGN(const auto pack, Pack::open(Files::system(), folder_, PackOptions()));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(pack->hashes().size(), 100'000u);
  RecordProperty("seconds", std::to_string(took.count()));
  EXPECT_LT(took.count(), 5.0) << "a generous limit: sanitizers and a busy machine run this too";
}

TEST(PackFormat, SegmentNames) {
  EXPECT_EQ(segment_name(1), "segment-00000001.pack");
  EXPECT_EQ(parse_segment_name("segment-00000012.pack"), 12u);
  for (const char* name :
       {"", "segment-", "segment-1.pack", "segment-00000000.pack", "segment-00000001.pack.making",
        "segment-0000000a.pack", "segment--0000001.pack", "segment-00000001.pac", "x-00000001.pack"}) {
    EXPECT_FALSE(parse_segment_name(name)) << name;
  }
}

}  // namespace
}  // namespace espalier::model
