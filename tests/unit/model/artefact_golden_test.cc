// Bytes of every released format, kept for ever: they open, they answer as they did, and today's builder makes them.
//
// A golden file that is missing is written when ESPALIER_WRITE_GOLDEN is set; one that is there is never changed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/files.h"
#include "model/artefact.h"
#include "model/artefact_sections.h"
#include "model/pack.h"
#include "model/pack_format.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/model/artefact_test_support.h"

namespace espalier::model {
namespace {

std::string golden_folder() { return testing::source_folder() + "/tests/golden/"; }

/// The file's bytes; written first from `today` when it is missing and that is asked for.
std::string golden(const std::string& name, const std::string& today) {
  const std::string path = golden_folder() + name;
  if (std::getenv("ESPALIER_WRITE_GOLDEN") != nullptr && !Files::system().exists(path)) {
    EXPECT_OK(Files::system().create_directories(std::filesystem::path(path).parent_path().string()));
    std::ofstream(path, std::ios::binary) << today;
  }
  const auto bytes = Files::system().read(path);
  EXPECT_OK(bytes);
  return bytes.ok() ? *bytes : "";
}

std::string golden_name(const NamedContents& named) { return "artefact/" + named.name + ".artefact"; }

/// One number with a standardised feature: the example of docs/artefact-format.md.
std::string worked_example() {
  class Ages final : public Rows {
   public:
    std::size_t count() const override { return 2; }
    void read(std::size_t row, std::span<Value> out) const override { out[0] = Value::of(row == 0 ? 20.0 : 40.0); }
  };
  ArtefactContents contents;
  const auto set = FeatureSet::parse({{"age", "standardise(age)"}});
  EXPECT_OK(set);
  const auto program = set->fit(Ages());
  EXPECT_OK(program);
  contents.program = *program;
  contents.parameters = {1, {100}, {2.5}};
  const auto bytes = build_artefact(contents, {{Value::of(50.0)}});
  EXPECT_OK(bytes);
  return *bytes;
}

std::string hexdump(std::string_view bytes) {
  std::string text;
  char piece[32];
  for (std::size_t line = 0; line < bytes.size(); line += 16) {
    std::snprintf(piece, sizeof piece, "%04zx ", line);
    text += piece;
    for (std::size_t i = line; i < std::min(line + 16, bytes.size()); ++i) {
      std::snprintf(piece, sizeof piece, i % 8 == 0 && i != line ? "  %02x" : " %02x",
                    static_cast<unsigned char>(bytes[i]));
      text += piece;
    }
    text += "\n";
  }
  return text;
}

TEST(ArtefactGolden, TodaysBuilderMakesTheSameBytes) {
  for (NamedContents& named : all_contents()) {
    const std::string kept = golden(golden_name(named), must_build(named.contents));
    // The program is taken from the kept bytes: how programs are fitted may change, how they are kept may not.
    const auto sections = read_sections(kept);
    ASSERT_OK(sections);
    named.contents.program = std::string(*(*sections)[SectionKind::program]);
    EXPECT_EQ(must_build(named.contents), kept) << named.name;
    EXPECT_LE(kept.size(), 4096u);
  }
}

TEST(ArtefactGolden, AnswersAsItDid) {
  struct Case {
    const char* name;
    double value;
    std::uint32_t best;
  };
  const Case cases[] = {
      {"regression_dense_f32", 0.77897497092845602, 0}, {"binary_dense_f32", 0.56212145552452319, 0},
      {"multiclass_dense_f32", 0.34629167860258064, 1}, {"regression_sparse_f32", 0.77897497092845602, 0},
      {"binary_sparse_f32", 0.56212145552452319, 0},    {"multiclass_sparse_f32", 0.34629167860258064, 1},
      {"regression_sparse_i8", 0.77780025857117874, 0}, {"binary_sparse_i8", 0.56249288702640965, 0},
      {"multiclass_sparse_i8", 0.34615911652784859, 1},
  };
  for (const Case& c : cases) {
    const auto bytes = Files::system().read(golden_folder() + "artefact/" + c.name + ".artefact");
    ASSERT_OK(bytes);
    ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(*bytes));
    Artefact::Scratch scratch;
    EXPECT_OK(artefact.replay_probes(scratch));
    Output out;
    artefact.predict(small_row(42.5, "GOOD morning, good night"), scratch, out);
    EXPECT_NEAR(out.value, c.value, 1e-9) << c.name;
    EXPECT_EQ(out.best, c.best) << c.name;
  }
}

TEST(ArtefactGolden, TheExampleOfThePage) {
  const std::string kept = golden("artefact/worked_example.artefact", worked_example());
  std::ifstream page(testing::source_folder() + "/docs/artefact-format.md");
  std::stringstream text;
  text << page.rdbuf();
  const std::string expected = "```hexdump\n" + hexdump(kept) + "```";
  EXPECT_NE(text.str().find(expected), std::string::npos) << "docs/artefact-format.md lacks this block:\n" << expected;
  ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(kept));
  Artefact::Scratch scratch;
  EXPECT_OK(artefact.replay_probes(scratch));
  Output out;
  artefact.predict(std::vector{Value::of(50.0)}, scratch, out);
  EXPECT_NEAR(out.value, 105, 1e-6);
}

TEST(PackGolden, TheSameSegmentAsEver) {
  const testing::TempDir dir;
  const std::string name = segment_name(1);
  {
    ASSERT_OK_AND_ASSIGN(const auto pack, Pack::open(Files::system(), dir.path(), {1024}));
    for (const std::string& bytes : {std::string("first artefact"), std::string(100, 'b'), std::string(64, 'c')}) {
      ASSERT_OK(pack->add(blake2b_256(bytes), bytes));
      if (bytes.size() == 100) {
        ASSERT_OK(pack->sync());
      }
    }
    ASSERT_OK(pack->sync());
  }
  ASSERT_OK_AND_ASSIGN(const std::string today, Files::system().read(dir / name));
  const std::string kept = golden("pack/" + name, today);
  EXPECT_EQ(today, kept);

  const testing::TempDir copy;
  std::ofstream(copy / name, std::ios::binary) << kept;
  ASSERT_OK_AND_ASSIGN(const auto pack, Pack::open(Files::system(), copy.path(), {1024}));
  EXPECT_EQ(pack->hashes().size(), 3u);
  EXPECT_EQ(pack->find(blake2b_256("first artefact")), "first artefact");
  for (const Hash256& hash : pack->hashes()) EXPECT_OK(pack->verify(hash));
}

}  // namespace
}  // namespace espalier::model
