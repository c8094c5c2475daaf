// A backup made while others write is one state, a restore of it answers as the registry did, and an archive that is
// not whole is refused with the place.
#include "registry/upkeep/archive.h"

#include <filesystem>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/upkeep/archive_source.h"
#include "registry/upkeep/check.h"
#include "registry/upkeep/stopped.h"
#include "tests/unit/registry/random_workload.h"
#include "tests/unit/registry/raw_store.h"

namespace espalier::registry {
namespace {

using upkeep::Archive;
using upkeep::ArchiveWriter;
using upkeep::BlockKind;

class ArchiveTest : public RandomWorkload {
 protected:
  void fill(int operations) {
    for (int i = 0; i < operations; ++i) do_something();
  }
  /// A backup through the protocol; `between` is called after each step but the last.
  void back_up(const std::string& path, const std::function<void()>& between) {
    wire::ArchiveRequest request;
    request.session = uuid('s', ++sessions_);
    std::unique_ptr<ArchiveWriter> writer;
    for (bool done = false; !done; ++request.step) {
      Registry::Bodies bodies, again;
      ASSERT_OK_AND_ASSIGN(const wire::ArchiveReply reply, registry_->archive(local_, request, bodies));
      ASSERT_OK(registry_->archive(local_, request, again));
      ASSERT_EQ(again, bodies);
      ASSERT_EQ(bodies.size(), reply.blocks.size());
      if (!writer) {
        ASSERT_OK_AND_ASSIGN(
            writer, ArchiveWriter::make(files_, path, {reply.generation, reply.epoch, reply.time_us, reply.schema}));
      }
      for (std::size_t i = 0; i < bodies.size(); ++i) {
        ASSERT_OK(writer->add(static_cast<BlockKind>(reply.blocks[i]), bodies[i]));
      }
      EXPECT_FALSE(files_.exists(path));
      done = reply.done;
      if (!done) {
        between();
        continue;
      }
      ASSERT_OK(writer->finish({reply.records, reply.artefacts, reply.artefact_bytes}));
    }
  }
  std::uint32_t sessions_ = 0;
};

std::map<std::string, std::string> without_generation(std::map<std::string, std::string> records) {
  records.erase(keys::generation());
  return records;
}

TEST_F(ArchiveTest, ABackupIsOneStateAndItsRestoreAnswersAsThatDid) {
  fill(15);
  const std::uint64_t generation = registry_->hello(local_, {})->generation;
  registry_.reset();
  const auto records = RawStore(folder_.path()).all();
  open();
  int steps = 0;
  back_up(folder_ / "a.espalier", [&] {
    if (++steps < 20) do_something();
  });
  EXPECT_GT(steps, 20);
  ASSERT_OK_AND_ASSIGN(const auto archive, Archive::open(files_, folder_ / "a.espalier"));
  EXPECT_EQ(archive->head().generation, generation);
  EXPECT_EQ(archive->counts().records, records.size() - 1);

  const std::string target = folder_ / "restored";
  ASSERT_OK_AND_ASSIGN(const std::uint64_t renewed, upkeep::restore(Files::system(), clock_, *archive, target));
  EXPECT_NE(renewed, generation);
  EXPECT_EQ(without_generation(RawStore(target).all()), without_generation(records));
  {
    ASSERT_OK_AND_ASSIGN(const auto stopped, upkeep::open_stopped(files_, clock_, target));
    ASSERT_OK_AND_ASSIGN(const auto check, upkeep::Check::start(*stopped.records));
    ASSERT_OK(check->run_to_the_end(clock_));
    EXPECT_EQ(check->findings().count(), 0u);
    EXPECT_EQ(check->counts().artefacts, archive->counts().artefacts);
  }
  ASSERT_OK_AND_ASSIGN(const auto registry, Registry::open(files_, clock_, target));
  wire::FeedRequest feed;
  feed.generation = generation;
  feed.after = 3;
  EXPECT_TRUE(registry->feed(local_, feed)->snapshot_required);
  EXPECT_EQ(registry->hello(local_, {})->generation, renewed);
}

TEST_F(ArchiveTest, ARestoreNeedsAnEmptyFolderAndAWholeArchive) {
  fill(3);
  back_up(folder_ / "a.espalier", [] {});
  EXPECT_CODE(ArchiveWriter::make(files_, folder_ / "a.espalier", {}), Code::already_exists);
  ASSERT_OK_AND_ASSIGN(const auto archive, Archive::open(files_, folder_ / "a.espalier"));
  EXPECT_CODE(upkeep::restore(Files::system(), clock_, *archive, folder_.path()), Code::failed_precondition);
  // What an earlier run left is no obstacle, nor is an empty folder.
  std::filesystem::create_directories(folder_ / "new.restoring/store");
  std::filesystem::create_directories(folder_ / "new");
  EXPECT_OK(upkeep::restore(Files::system(), clock_, *archive, folder_ / "new/"));
  EXPECT_TRUE(files_.exists(folder_ / "new/store/CURRENT"));
  EXPECT_FALSE(files_.exists(folder_ / "new.restoring"));
  EXPECT_CODE(upkeep::restore(Files::system(), clock_, *archive, folder_ / "new"), Code::failed_precondition);
  EXPECT_CODE(Archive::open(files_, folder_ / "none"), Code::not_found);
}

TEST_F(ArchiveTest, AWriterThatIsInterruptedLeavesNothing) {
  {
    ASSERT_OK_AND_ASSIGN(const auto writer, ArchiveWriter::make(files_, folder_ / "a.espalier", {}));
    ASSERT_OK(writer->add(BlockKind::records, "x"));
    EXPECT_TRUE(files_.exists(folder_ / "a.espalier.partial"));
  }
  EXPECT_FALSE(files_.exists(folder_ / "a.espalier"));
  EXPECT_FALSE(files_.exists(folder_ / "a.espalier.partial"));
}

TEST_F(ArchiveTest, ADamagedArtefactIsNotBackedUp) {
  fill(5);
  const std::string segment = folder_.path() + "/artefacts/acme/segment-00000001.pack";
  std::string bytes = *Files::system().read(segment);
  ASSERT_OK_AND_ASSIGN(const auto file, Files::system().open(segment, false));
  ASSERT_OK(file->write_at(400, std::string(1, static_cast<char>(bytes[400] ^ 1))));
  wire::ArchiveRequest request;
  request.session = uuid('s', 1);
  Status status;
  for (; status.ok(); ++request.step) {
    Registry::Bodies bodies;
    status = registry_->archive(local_, request, bodies).status();
    ASSERT_LT(request.step, 1000u);
  }
  EXPECT_CODE(status, Code::corrupt);
  EXPECT_NE(status.message().find("of tenant acme"), std::string::npos);
  Registry::Bodies bodies;
  EXPECT_CODE(registry_->archive(Principal("eve"), request, bodies), Code::permission_denied);
}

// ------------------------------------------------------------------------------------------------------- what is
// refused

class ArchiveBytes : public ArchiveTest {
 protected:
  /// An archive of two records and an artefact.
  std::string made(const std::function<void(ArchiveWriter&)>& fill, const upkeep::ArchiveCounts& counts = {2, 1, 3}) {
    const std::string path = folder_ / "made";
    if (files_.exists(path)) {
      EXPECT_OK(files_.remove(path));
    }
    auto writer = ArchiveWriter::make(files_, path, {7, 12, 99, keys::kSchemaVersion});
    EXPECT_OK(writer);
    fill(**writer);
    EXPECT_OK((*writer)->finish(counts));
    return *files_.read(path);
  }
  static void add_records(ArchiveWriter& writer, const std::vector<std::string>& keys = {"A", "B"}) {
    std::string payload;
    for (const auto& key : keys) upkeep::append_record(payload, key, "value");
    EXPECT_OK(writer.add(BlockKind::records, payload));
  }
  static void add_artefact(ArchiveWriter& writer, const std::string& bytes = "abc") {
    std::string payload;
    upkeep::append_artefact(payload, "acme", blake2b_256("abc"), bytes);
    EXPECT_OK(writer.add(BlockKind::artefacts, payload));
  }
  std::string whole() {
    return made([](ArchiveWriter& writer) {
      add_records(writer);
      add_artefact(writer);
    });
  }
};

TEST_F(ArchiveBytes, AreReadBack) {
  const std::string bytes = whole();
  ASSERT_OK_AND_ASSIGN(const auto archive, Archive::read(bytes));
  EXPECT_EQ(archive->head().epoch, 12u);
  std::string seen;
  ASSERT_OK(archive->each_record([&](std::string_view key, std::string_view value) {
    seen += std::string(key) + "=" + std::string(value) + " ";
    return Status();
  }));
  ASSERT_OK(archive->each_artefact([&](std::string_view tenant, const Hash256&, std::string_view artefact) {
    seen += std::string(tenant) + ":" + std::string(artefact);
    return Status();
  }));
  EXPECT_EQ(seen, "A=value B=value acme:abc");
}

TEST_F(ArchiveBytes, CutShortAnywhereAreRefusedWithThePlace) {
  const std::string bytes = whole();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);
    const auto archive = Archive::read(cut);
    ASSERT_CODE(archive, Code::corrupt) << size;
    const std::string wanted =
        size == 0 ? "not an archive" : "byte " + std::to_string(size) + ": the archive is cut short";
    EXPECT_NE(archive.status().message().find(wanted), std::string::npos) << archive.status().text();
  }
}

TEST_F(ArchiveBytes, WithAnyBitFlippedAreRefused) {
  const std::string bytes = whole();
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string flipped = bytes;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(Archive::read(flipped).ok()) << "bit " << i;
  }
}

TEST_F(ArchiveBytes, ThatContradictThemselvesAreRefused) {
  const auto refused = [&](const std::string& bytes, const std::string& why, Code code = Code::corrupt) {
    const auto archive = Archive::read(bytes);
    EXPECT_CODE(archive, code);
    EXPECT_NE(archive.status().message().find(why), std::string::npos) << archive.status().text();
  };
  refused(whole() + "x", "bytes behind the end");
  refused("PK\3\4 something else altogether", "not an archive");
  refused(made([](auto& writer) { add_records(writer, {"B", "A"}); }, {2, 0, 0}), "don't ascend");
  refused(made([](auto& writer) { add_records(writer, {"A", "A"}); }, {2, 0, 0}), "don't ascend");
  refused(made([](auto& writer) { add_records(writer); }, {3, 0, 0}), "other counts");
  refused(made([](auto& writer) { add_artefact(writer, "abd"); }, {0, 1, 3}), "doesn't have its hash");
  refused(made([](auto& writer) {
            add_artefact(writer);
            add_records(writer);
          }),
          "records behind artefacts");
  refused(made([](auto& writer) { EXPECT_OK(writer.add(BlockKind::records, "abc")); }, {}), "lengths don't fit");
  refused(made([](auto& writer) { EXPECT_OK(writer.add(BlockKind::artefacts, std::string(50, '\xFF'))); }, {}),
          "lengths don't fit");
  refused(made([](auto& writer) { EXPECT_OK(writer.add(static_cast<BlockKind>(9), "")); }, {}), "block of kind 9",
          Code::unimplemented);
  std::string later = whole();
  later[8] = 2;
  refused(later, "archive version 2", Code::unimplemented);
}

}  // namespace
}  // namespace espalier::registry
