#include "model/artefact.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "common/bytes.h"
#include "common/hash.h"
#include "model/artefact_layout.h"
#include "model/artefact_sections.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/artefact_test_support.h"

namespace espalier::model {
namespace {

namespace at = artefact_header;

Output predict(const Artefact& artefact, const std::vector<Value>& row) {
  Artefact::Scratch scratch;
  Output out;
  artefact.predict(row, scratch, out);
  return out;
}

/// What the definition says, from the contents alone: bias + sum of value x weight.
std::vector<double> inside_of(const ArtefactContents& contents, const std::vector<Value>& row) {
  const auto program = Program::open(contents.program);
  EXPECT_OK(program);
  Program::Scratch scratch;
  FeatureVector features;
  program->run(row, scratch, features);
  const LinearParameters& parameters = contents.parameters;
  std::vector<double> inside(parameters.bias.begin(), parameters.bias.end());
  for (std::size_t k = 0; k < features.index.size(); ++k) {
    for (std::uint32_t o = 0; o < parameters.outputs; ++o) {
      inside[o] += static_cast<double>(features.value[k]) *
                   static_cast<double>(parameters.weight[features.index[k] * parameters.outputs + o]);
    }
  }
  return inside;
}

/// Allows for weights of 8 bits.
double tolerance(WeightFormat format) { return format == WeightFormat::sparse_i8 ? 0.02 : 1e-9; }

TEST(Artefact, KeepsWhatWasPutIn) {
  for (const auto& [name, contents] : all_contents()) {
    const std::string bytes = must_build(contents);
    ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
    EXPECT_EQ(artefact.task(), contents.task) << name;
    EXPECT_EQ(artefact.transform(), contents.transform);
    EXPECT_TRUE(artefact.original_scale());
    EXPECT_EQ(std::vector<std::string>(artefact.classes().begin(), artefact.classes().end()), contents.classes);
    EXPECT_TRUE(artefact.base().is_none());
    EXPECT_EQ(artefact.size(), bytes.size());
    EXPECT_EQ(artefact.probe_count(), 3u);
    EXPECT_EQ(artefact.weight_format(), contents.format);
    EXPECT_EQ(artefact.program().inputs().size(), 2u);
    const auto zeros = std::ranges::count(contents.parameters.weight, 0.0f);
    EXPECT_EQ(artefact.weight_count(),
              contents.parameters.weight.size() - (contents.format == WeightFormat::dense_f32 ? 0 : zeros));
  }
}

TEST(Artefact, TheSameContentsGiveTheSameBytes) {
  for (const auto& [name, contents] : all_contents()) EXPECT_EQ(must_build(contents), must_build(contents)) << name;
}

TEST(Artefact, PredictsWhatTheParametersSay) {
  for (const auto& [name, contents] : all_contents()) {
    const std::string bytes = must_build(contents);
    ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
    for (const auto& row : {small_row(35, "good night"), small_row(20, "bad"), small_row(60, "unheard of")}) {
      const std::vector<double> inside = inside_of(contents, row);
      const Output out = predict(artefact, row);
      const double near = tolerance(contents.format);
      if (contents.task == Task::regression) {
        EXPECT_NEAR(out.value, std::exp(inside[0]), std::exp(inside[0]) * near) << name;
        EXPECT_TRUE(out.scores.empty());
        continue;
      }
      double sum = 0;
      for (const double score : inside) sum += std::exp(score);
      const double first = contents.task == Task::binary ? 1 / (1 + std::exp(inside[0])) : std::exp(inside[0]) / sum;
      EXPECT_NEAR(out.scores[0], first, near) << name;
      EXPECT_NEAR(std::accumulate(out.scores.begin(), out.scores.end(), 0.0), 1, 1e-12);
      EXPECT_EQ(out.best, std::ranges::max_element(out.scores) - out.scores.begin());
      EXPECT_EQ(out.value, out.scores[out.best]);
    }
  }
}

TEST(Artefact, ManyClassesTakeTwoBytesEach) {
  for (const WeightFormat format : {WeightFormat::sparse_f32, WeightFormat::sparse_i8}) {
    const ArtefactContents contents = multiclass_contents(format, 300);
    const std::string bytes = must_build(contents);
    ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
    const auto row = small_row(35, "good night");
    const Output out = predict(artefact, row);
    const std::vector<double> inside = inside_of(contents, row);
    ASSERT_EQ(out.scores.size(), 300u);
    for (std::size_t i = 0; i < 300; ++i) {
      EXPECT_NEAR(std::log(out.scores[i] / out.scores[0]), inside[i] - inside[0], 0.03);
    }
    Artefact::Scratch scratch;
    EXPECT_OK(artefact.replay_probes(scratch));
  }
}

TEST(Artefact, EqualClassesGoToTheLowestIndex) {
  ArtefactContents contents = multiclass_contents(WeightFormat::dense_f32);
  std::ranges::fill(contents.parameters.weight, 0.0f);
  contents.parameters.bias = {0, 1, 1};
  const std::string bytes = must_build(contents);
  ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
  EXPECT_EQ(predict(artefact, small_row(1, "")).best, 1u);

  ArtefactContents binary = binary_contents(WeightFormat::sparse_f32);
  std::ranges::fill(binary.parameters.weight, 0.0f);
  const std::string even = must_build(binary);
  ASSERT_OK_AND_ASSIGN(const Artefact undecided, Artefact::open(even));
  EXPECT_EQ(undecided.weight_count(), 0u);
  EXPECT_EQ(predict(undecided, small_row(1, "")).best, 0u);
  EXPECT_EQ(predict(undecided, small_row(1, "")).value, 0.5);
}

TEST(Artefact, ExtremeWeightsGiveFiniteAnswers) {
  constexpr float kHuge = std::numeric_limits<float>::max();
  for (auto [name, contents] : all_contents()) {
    for (const float sign : {1.0f, -1.0f}) {
      std::ranges::fill(contents.parameters.weight, sign * kHuge);
      std::ranges::fill(contents.parameters.bias, sign * kHuge);
      const std::string bytes = must_build(contents);
      ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
      for (const double age : {35.0, 1e300, -1e300}) {
        const Output out = predict(artefact, small_row(age, "good"));
        EXPECT_TRUE(std::isfinite(out.value)) << name;
        for (const double score : out.scores) EXPECT_TRUE(score >= 0 && score <= 1) << name;
      }
      Artefact::Scratch scratch;
      EXPECT_OK(artefact.replay_probes(scratch)) << name;
    }
  }
}

TEST(Artefact, TransformsAreTakenBack) {
  struct Case {
    TargetTransform transform;
    bool original_scale;
    float bias;
    double expected;
  };
  constexpr double kMax = std::numeric_limits<double>::max();
  const Case cases[] = {
      {TargetTransform::identity, true, 2, 2},   {TargetTransform::identity, false, -2, -2},
      {TargetTransform::log, true, 0, 1},        {TargetTransform::log, true, 1e6f, kMax},
      {TargetTransform::log, true, -1e6f, 0},    {TargetTransform::log, false, 2, 2},
      {TargetTransform::log1p, true, 0, 0},      {TargetTransform::log1p, true, 1e6f, kMax},
      {TargetTransform::log1p, true, -1e6f, -1}, {TargetTransform::sqrt, true, 3, 9},
      {TargetTransform::sqrt, true, -3, 0},      {TargetTransform::sqrt, false, -3, -3},
  };
  for (const Case& c : cases) {
    ArtefactContents contents = regression_contents(WeightFormat::sparse_f32);
    std::ranges::fill(contents.parameters.weight, 0.0f);
    contents.transform = c.transform;
    contents.original_scale = c.original_scale;
    contents.parameters.bias = {c.bias};
    const std::string bytes = must_build(contents);
    ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
    EXPECT_DOUBLE_EQ(predict(artefact, small_row(1, "x")).value, c.expected);
    EXPECT_EQ(artefact.original_scale(), c.original_scale);
  }
}

TEST(Artefact, TheBaseIsKept) {
  ArtefactContents contents = regression_contents(WeightFormat::sparse_f32);
  contents.base = blake2b_256("parent");
  const std::string bytes = must_build(contents);
  ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
  EXPECT_EQ(artefact.base(), blake2b_256("parent"));
}

TEST(Artefact, BuildRefusesWhatDoesNotFit) {
  using Change = std::function<void(ArtefactContents&)>;
  const std::pair<const char*, Change> cases[] = {
      {"no program", [](ArtefactContents& c) { c.program.clear(); }},
      {"broken program", [](ArtefactContents& c) { c.program.resize(c.program.size() / 2); }},
      {"a weight too few", [](ArtefactContents& c) { c.parameters.weight.pop_back(); }},
      {"a weight too many", [](ArtefactContents& c) { c.parameters.weight.push_back(0); }},
      {"no bias", [](ArtefactContents& c) { c.parameters.bias.clear(); }},
      {"NaN", [](ArtefactContents& c) { c.parameters.weight[1] = std::nanf(""); }},
      {"infinite bias", [](ArtefactContents& c) { c.parameters.bias[0] = HUGE_VALF; }},
      {"one output", [](ArtefactContents& c) { c.parameters.outputs = 1; }},
      {"no output", [](ArtefactContents& c) { c.parameters.outputs = 0; }},
      {"too many outputs", [](ArtefactContents& c) { c.parameters.outputs = 65537; }},
      {"a class too few", [](ArtefactContents& c) { c.classes.pop_back(); }},
      {"a class twice", [](ArtefactContents& c) { c.classes[0] = c.classes[1]; }},
      {"an empty class", [](ArtefactContents& c) { c.classes[0].clear(); }},
      {"a class of odd bytes", [](ArtefactContents& c) { c.classes[0] = "\xff"; }},
      {"a transform of classes", [](ArtefactContents& c) { c.transform = TargetTransform::log; }},
      {"classes of a regression", [](ArtefactContents& c) { c.task = Task::regression; }},
  };
  for (const auto& [what, change] : cases) {
    ArtefactContents contents = multiclass_contents(WeightFormat::sparse_f32);
    ASSERT_OK(build_artefact(contents, {}));
    change(contents);
    EXPECT_CODE(build_artefact(contents, {}), Code::invalid_argument) << what;
  }
}

TEST(Artefact, BuildRefusesProbesThatDoNotFit) {
  const ArtefactContents contents = regression_contents(WeightFormat::dense_f32);
  const std::vector<std::vector<Value>> cases[] = {
      {{}},
      {{Value::of(1.0)}},
      {{Value::of(1.0), Value::of(2.0)}},
      {{Value::of("x"), Value::of("x")}},
      {{Value::of(std::nan("")), Value::of("x")}},
      {{Value::of(1.0), Value::of("x"), Value{}}},
      std::vector<std::vector<Value>>(kMaxProbes + 1, small_row(1, "x")),
  };
  for (const auto& probes : cases) EXPECT_CODE(build_artefact(contents, probes), Code::invalid_argument);
}

TEST(Artefact, AnyFlippedBitIsSeen) {
  const std::string bytes = must_build(multiclass_contents(WeightFormat::sparse_i8));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] ^= static_cast<char>(1u << bit % 8);
    const auto opened = Artefact::open(flipped);
    ASSERT_FALSE(opened.ok()) << "bit " << bit;
    ASSERT_TRUE(opened.status().code() == Code::corrupt || opened.status().code() == Code::unimplemented);
  }
}

TEST(Artefact, AnyOtherLengthIsSeen) {
  const std::string bytes = must_build(regression_contents(WeightFormat::dense_f32));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_CODE(Artefact::open(std::string(bytes, 0, size)), Code::corrupt) << size;
  }
  EXPECT_CODE(Artefact::open(bytes + '\0'), Code::corrupt);
}

TEST(Artefact, BytesMustLieAtAMultipleOfEight) {
  const std::string bytes = must_build(regression_contents(WeightFormat::dense_f32));
  const std::string shifted = "." + bytes;
  EXPECT_CODE(Artefact::open(std::string_view(shifted).substr(1)), Code::invalid_argument);
}

/// Sections of a whole artefact, to be changed and closed again with right checksums.
struct Parts {
  ArtefactHeader header;
  std::vector<std::pair<SectionKind, std::string>> sections;
  std::string& operator[](SectionKind kind) {
    return std::ranges::find(sections, kind, &std::pair<SectionKind, std::string>::first)->second;
  }
};

Parts parts_of(const std::string& bytes) {
  const auto read = read_sections(bytes);
  EXPECT_OK(read);
  Parts parts{read->header, {}};
  for (std::uint32_t kind = 1; kind <= kLastKnownSection; ++kind) {
    if (read->known[kind]) parts.sections.emplace_back(static_cast<SectionKind>(kind), *read->known[kind]);
  }
  return parts;
}

template <class T>
void put(std::string& bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// Damage under right checksums: a writer's fault, or malice.
TEST(Artefact, SectionsThatContradictThemselves) {
  using enum SectionKind;
  using Change = std::function<void(Parts&)>;
  const float nan = std::nanf("");
  const std::pair<const char*, Change> cases[] = {
      {"classes: count", [](Parts& p) { put(p[classes], 0, 4u); }},
      {"classes: empty", [](Parts& p) { p[classes].clear(); }},
      {"classes: end before begin", [](Parts& p) { put(p[classes], 8, 1u); }},
      {"classes: end outside", [](Parts& p) { put(p[classes], 12, 0xFFFFFFFFu); }},
      {"classes: bytes behind", [](Parts& p) { p[classes] += "x"; }},
      {"classes: not UTF-8", [](Parts& p) { p[classes].back() = '\xff'; }},
      {"classes: twice", [](Parts& p) { p[classes].back() = '1'; }},
      {"classes: missing", [](Parts& p) { p.sections.erase(p.sections.begin()); }},
      {"program: cut", [](Parts& p) { p[program].resize(8); }},
      {"program: missing", [](Parts& p) { p.sections.erase(p.sections.begin() + 1); }},
      {"header: features", [](Parts& p) { p.header.features += 1; }},
      {"header: outputs", [](Parts& p) { p.header.outputs = 4; }},
      {"header: one class", [](Parts& p) { p.header.outputs = 1; }},
      {"header: format", [](Parts& p) { p.header.format = WeightFormat::dense_f32; }},
      {"header: task", [](Parts& p) { p.header.task = Task::binary; }},
      {"header: transform", [](Parts& p) { p.header.transform = TargetTransform::sqrt; }},
      {"parameters: empty", [](Parts& p) { p[parameters].clear(); }},
      {"parameters: count", [](Parts& p) { put(p[parameters], 0, 0xFFFFFFFFu); }},
      {"parameters: row 0", [](Parts& p) { put(p[parameters], 4, 1u); }},
      {"parameters: row beyond", [](Parts& p) { put(p[parameters], 8, 0x80000000u); }},
      {"parameters: bytes behind", [](Parts& p) { p[parameters] += '\0'; }},
      {"parameters: output", [](Parts& p) { p[parameters].back() = 3; }},
      {"parameters: outputs descend", [](Parts& p) { p[parameters].back() = 0; }},
      {"parameters: NaN", [nan](Parts& p) { put(p[parameters], 8 + 4 * p.header.features, nan); }},
      {"bias: NaN", [nan](Parts& p) { put(p[bias], 0, nan); }},
      {"bias: too few", [](Parts& p) { p[bias].resize(8); }},
      {"bias: too many", [](Parts& p) { p[bias] += "1234"; }},
      {"probes: empty", [](Parts& p) { p[probes].clear(); }},
      {"probes: none", [](Parts& p) { p[probes] = std::string(4, '\0'); }},
      {"probes: too many", [](Parts& p) { put(p[probes], 0, 4u); }},
      {"probes: too few", [](Parts& p) { put(p[probes], 0, 2u); }},
      {"probes: kind", [](Parts& p) { p[probes][4] = 3; }},
      {"probes: type", [](Parts& p) { p[probes][4] = 2; }},
      {"probes: NaN", [](Parts& p) { put(p[probes], 5, std::nan("")); }},
      {"probes: long text", [](Parts& p) { put(p[probes], 14, 0xFFFFFFFFu); }},
      {"probes: expects infinity", [](Parts& p) { put(p[probes], p[probes].size() - 8, HUGE_VAL); }},
      {"probes: bytes behind", [](Parts& p) { p[probes] += "x"; }},
  };
  const std::string bytes = must_build(multiclass_contents(WeightFormat::sparse_f32));
  const Parts whole = parts_of(bytes);
  ASSERT_EQ(write_sections(whole.header, whole.sections), bytes);
  for (const auto& [what, change] : cases) {
    Parts parts = whole;
    change(parts);
    EXPECT_CODE(Artefact::open(write_sections(parts.header, parts.sections)), Code::corrupt) << what;
  }
}

/// Closes bytes whose header or table was changed with a right header checksum.
std::string closed(std::string bytes) {
  const auto count = load<std::uint32_t>(bytes.data() + at::kSectionCount);
  put(bytes, at::kChecksum,
      xxh3_64(bytes.substr(0, at::kChecksum) + bytes.substr(kArtefactHeaderBytes, count * kSectionEntryBytes)));
  return bytes;
}

TEST(Artefact, HeadersAndTablesThatDoNotHold) {
  struct Case {
    const char* what;
    std::size_t offset;
    std::uint32_t value;
    Code code;
  };
  constexpr std::size_t kTable = kArtefactHeaderBytes;
  const Case cases[] = {
      {"magic", 0, 0, Code::corrupt},
      {"version 0", at::kVersion, 0, Code::corrupt},
      {"version 2", at::kVersion, 2, Code::unimplemented},
      {"total size", at::kTotalSize, 7, Code::corrupt},
      {"reserved", at::kReserved, 1, Code::unimplemented},
      {"task", at::kTask, 9, Code::unimplemented},
      {"transform", at::kTask, 0x0900, Code::unimplemented},
      {"flags", at::kTask, 0x020000, Code::unimplemented},
      {"weight format", at::kTask, 0x03000000, Code::unimplemented},
      {"no outputs", at::kOutputs, 0, Code::corrupt},
      {"kind 0", kTable, 0, Code::corrupt},
      {"kinds descend", kTable, 5, Code::corrupt},
      {"unknown flags", kTable + 4, 2, Code::unimplemented},
      {"offset", kTable + 8, 64, Code::corrupt},
      {"offset beyond", kTable + 12, 0x7FFFFFFF, Code::corrupt},
      {"size beyond", kTable + 20, 0x7FFFFFFF, Code::corrupt},
      {"checksum", kTable + 24, 0, Code::corrupt},
  };
  const std::string bytes = must_build(regression_contents(WeightFormat::sparse_f32));
  ASSERT_OK(Artefact::open(closed(bytes)));
  for (const Case& c : cases) {
    std::string changed = bytes;
    put(changed, c.offset, c.value);
    EXPECT_CODE(Artefact::open(closed(changed)), c.code) << c.what;
  }
}

TEST(Artefact, UnknownSectionsArePassedOverWhenTheyAreOptional) {
  const std::string bytes = must_build(regression_contents(WeightFormat::sparse_f32));
  Parts parts = parts_of(bytes);
  parts.sections.emplace_back(static_cast<SectionKind>(77), "something new");
  std::string extended = write_sections(parts.header, parts.sections);
  EXPECT_CODE(Artefact::open(extended), Code::unimplemented);
  put(extended, kArtefactHeaderBytes + (parts.sections.size() - 1) * kSectionEntryBytes + 4, kSectionOptional);
  EXPECT_OK(Artefact::open(closed(extended)));
}

TEST(Artefact, ProbesThatAnswerOtherwiseAreNamed) {
  const std::string bytes = must_build(binary_contents(WeightFormat::dense_f32));
  ASSERT_OK_AND_ASSIGN(const Artefact whole, Artefact::open(bytes));
  Artefact::Scratch scratch;
  EXPECT_OK(whole.replay_probes(scratch));
  Parts parts = parts_of(bytes);
  std::string& probes = parts[SectionKind::probes];
  put(probes, probes.size() - 8, load<double>(probes.data() + probes.size() - 8) + 2e-6);
  const std::string changed = write_sections(parts.header, parts.sections);
  ASSERT_OK_AND_ASSIGN(const Artefact other, Artefact::open(changed));
  const Status status = other.replay_probes(scratch);
  EXPECT_CODE(status, Code::corrupt);
  EXPECT_NE(status.message().find("probes[2].expected[1]"), std::string::npos) << status.message();
}

TEST(Artefact, AnArtefactWithoutProbesHasNothingToReplay) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes, build_artefact(regression_contents(WeightFormat::dense_f32), {}));
  ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
  EXPECT_EQ(artefact.probe_count(), 0u);
  Artefact::Scratch scratch;
  EXPECT_OK(artefact.replay_probes(scratch));
}

TEST(Artefact, DescribesItselfAsJson) {
  for (const auto& [name, contents] : all_contents()) {
    const std::string bytes = must_build(contents);
    ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
    const auto json = nlohmann::json::parse(artefact.describe_json());
    EXPECT_EQ(json["hash"], blake2b_256(bytes).hex());
    EXPECT_EQ(json["task"], task_name(contents.task));
    EXPECT_EQ(json["weights"], artefact.weight_count());
    EXPECT_TRUE(json["base"].is_null());
    EXPECT_EQ(json["inputs"].size(), 2u);
    ASSERT_FALSE(json["largest_weights"].empty());
    EXPECT_NEAR(std::fabs(json["largest_weights"][0]["weight"].get<double>()), 0.5, 1e-6);
  }
}

}  // namespace
}  // namespace espalier::model
