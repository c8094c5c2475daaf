// Artefacts that cost more than they look like: programs and probes that exhaust, names that stand in one place, bases
// that lead round, as many outputs and features as there may be.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "common/bytes.h"
#include "model/artefact_layout.h"
#include "model/artefact_sections.h"
#include "model/feature_program.h"
#include "shard/predict.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/shard/hostile_artefact_fixture.h"
#include "tests/unit/shard/table_builder.h"
#include "wire/messages.h"
#include "wire/row_codec.h"

namespace espalier::shard {
namespace {

using model::Artefact;
using model::ArtefactContents;
using model::Field;
using model::FieldType;
using model::Instruction;
using model::Op;
using model::Value;
using model::WeightFormat;

constexpr std::size_t kTextLimit = 65536;

/// An artefact of a program's bytes, whatever they are, with one feature's weight.
std::string artefact_around(const std::string& program, std::uint32_t features, const std::string& probes = {}) {
  const model::ArtefactHeader header{
      model::Task::regression, model::TargetTransform::identity, true, WeightFormat::dense_f32, 1, features, {}};
  std::vector<std::pair<model::SectionKind, std::string>> sections = {
      {model::SectionKind::program, program},
      {model::SectionKind::parameters, std::string(std::size_t{features} * sizeof(float), '\0')},
      {model::SectionKind::bias, std::string(sizeof(float), '\0')}};
  if (!probes.empty()) sections.emplace_back(model::SectionKind::probes, probes);
  return write_sections(header, sections);
}

/// A program of emit_chars on one text, with so many n-grams' lengths each, hashed.
std::string chars_program(std::uint32_t emits, std::uint16_t low, std::uint16_t high, std::uint32_t bits) {
  model::ProgramWriter writer({{"s", FieldType::text}});
  for (std::uint32_t i = 0; i < emits; ++i) {
    std::string data;
    append(data, model::GramHead{low, high, model::kHashed | model::kAcross, bits, 1u << bits});
    Instruction instruction{Op::emit_chars};
    instruction.b = model::kNone;
    instruction.width = 1u << bits;
    EXPECT_OK(writer.emit(instruction, "g" + std::to_string(i), data));
  }
  auto bytes = writer.finish();
  EXPECT_OK(bytes);
  return *std::move(bytes);
}

/// A text of many different characters, as long as one counts.
std::string long_text() {
  std::string text;
  std::minstd_rand random(7);
  while (text.size() < kTextLimit) text.push_back(static_cast<char>('!' + random() % 90));
  return text;
}

TEST_F(HostileArtefactTest, NamesThatStandInOnePlaceAThousandTimesAreRefused) {
  // 1,024 inputs whose names are the same 64 KiB: 80 KB that would become 64 MB, in each process and in the registry's
  // records.
  std::string program = fitted({{"a", "x"}});
  model::ProgramHeader head;
  std::memcpy(&head, program.data(), sizeof head);
  const auto name_at = static_cast<std::uint32_t>(program.size());
  program.append(65528, 'n');
  head.inputs = 1024;
  head.inputs_at = static_cast<std::uint32_t>(program.size());
  for (std::uint32_t i = 0; i < head.inputs; ++i) append(program, model::InputEntry{name_at, 65528, 0, 0});
  head.size = static_cast<std::uint32_t>(program.size());
  std::memcpy(program.data(), &head, sizeof head);
  const std::string hostile = artefact_around(program, 1);
  Status status;
  const Cost cost = Cost::of([&] { status = Artefact::open(hostile).status(); });
  EXPECT_CODE(status, Code::corrupt);
  EXPECT_LE(cost.peak, kept_for(hostile.size()));
  try_artefact(hostile, {{"x", FieldType::number}});
  EXPECT_EQ(admitted_, 0u);
}

TEST_F(HostileArtefactTest, ARowCostsNoMoreThanItsStepsHoweverManyNGramsAProgramWants) {
  // As many lengths as there may be, over a text as long as one counts.
  const std::string text = long_text();
  const std::string most = artefact_around(chars_program(8, 1, 8, 12), 8 << 12);
  ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(most));
  Artefact::Scratch scratch;
  model::Output out;
  const std::vector<Value> row = {Value::of(text)};
  const Cost cost = Cost::of([&] { artefact.predict(row, scratch, out); });
  std::printf("a row of %.1f million steps: %.0f ms, %.1f MiB\n", static_cast<double>(artefact.steps(row)) / 1e6,
              cost.seconds * 1e3, static_cast<double>(cost.peak) / (1 << 20));
  EXPECT_TRUE(std::isfinite(out.value));
  EXPECT_LT(cost.seconds, kLongestSeconds);
  EXPECT_LE(cost.peak, kWorkingBytes);
  EXPECT_LE(artefact.steps(row), 200'000'000u);
  // One more length, and 4,096 of them as far as the format of an instruction goes.
  for (const std::uint32_t emits : {9u, 16u}) {
    std::string program = chars_program(emits, 8, 8, 12);
    for (std::size_t at = 0; at + sizeof(model::GramHead) <= program.size(); at += 8) {
      const auto head = load<model::GramHead>(program.data() + at);
      if (head.low == 8 && head.high == 8) put(program, {at, 2}, 1);
    }
    EXPECT_CODE(Artefact::open(artefact_around(program, emits << 12)), Code::corrupt) << emits;
  }
  model::ProgramWriter writer({{"s", FieldType::text}});
  std::string data;
  append(data, model::GramHead{1, 8, model::kHashed, 4, 16});
  for (int i = 0; i < 9; ++i) {
    Instruction instruction{Op::emit_chars};
    instruction.b = model::kNone;
    instruction.width = 16;
    ASSERT_OK(writer.emit(instruction, "g", data));
  }
  EXPECT_CODE(writer.finish(), Code::invalid_argument) << "no trainer makes what a shard would refuse";
}

/// Each look at it takes a millisecond.
class LookingClock final : public Clock {
 public:
  std::int64_t monotonic_us() const override { return now_us_ += 1000; }
  std::int64_t wall_us() const override { return now_us_; }

 private:
  mutable std::int64_t now_us_ = 0;
};

TEST_F(HostileArtefactTest, RowsOfLongTextsEndWithTheBudgetAndNotWithTheLast) {
  const std::string bytes = artefact_around(chars_program(1, 1, 1, 4), 16), text(40'000, 'x');
  ASSERT_OK_AND_ASSIGN(Artefact artefact, Artefact::open(bytes));
  Node root;
  root.wanted.version = uuid_of(1);
  root.wanted.servable = std::make_shared<const Servable>(Servable::Bytes(bytes), std::move(artefact),
                                                          std::vector<std::uint32_t>{0}, nullptr);
  Tag tag;
  tag.name = "production";
  SnapshotMap<Node>::Editor nodes(tag.nodes);
  nodes.set(std::make_shared<const Node>(std::move(root)));
  tag.nodes = nodes.finish();
  Model model = model_of({});
  model.inputs = std::make_shared<const wire::FieldIndex>(std::vector<Field>{{"s", FieldType::text}});
  model.tags = {std::make_shared<const Tag>(std::move(tag))};
  ModelTable table;
  SnapshotMap<Model>::Editor models(table.models);
  models.set(std::make_shared<const Model>(std::move(model)));
  table.models = models.finish();

  const LookingClock clock;
  Predictor predictor("s0", clock, damage_);
  for (const auto& [rows, code] : {std::pair{20u, Code::ok}, std::pair{200u, Code::deadline_exceeded}}) {
    wire::PredictRequest request;
    request.tenant = "acme";
    request.model = "total";
    request.budget_us = 50'000;
    request.parts = {{{}, "", rows}};
    const std::vector<wire::NamedRow> named(rows, {{"s", Value::of(text)}});
    const std::string body = wire::encode_rows(named);
    const std::string_view bodies[] = {body};
    Reply reply;
    predictor.answer(Principal::local(), table, wire::encode(request), bodies, clock.monotonic_us(), reply);
    ASSERT_OK_AND_ASSIGN(const auto header, wire::decode<wire::PredictReply>(reply.header));
    ASSERT_EQ(header.parts.size(), 1u);
    EXPECT_EQ(header.parts[0].status, code) << rows << " rows";
  }
}

TEST_F(HostileArtefactTest, ProbesThatExhaustAreRefusedBeforeTheFirstIsReplayed) {
  const std::string program = chars_program(8, 1, 8, 12), text = long_text();
  std::string probes;
  append<std::uint32_t>(probes, model::kMaxProbes);
  for (std::uint32_t i = 0; i < model::kMaxProbes; ++i) {
    append(probes, model::ProbeInput::text);
    append(probes, static_cast<std::uint32_t>(text.size()));
    probes += text;
    append(probes, 0.0);
  }
  const std::string hostile = artefact_around(program, 8 << 12, probes);  // 64 MiB, and an hour of replay
  Status status;
  const Cost cost = Cost::of([&] { status = Artefact::open(hostile).status(); });
  EXPECT_CODE(status, Code::corrupt);
  EXPECT_NE(status.message().find("steps"), std::string::npos) << status.text();
  std::printf("probes that exhaust: refused in %.1f ms\n", cost.seconds * 1e3);
  EXPECT_LT(cost.seconds, kLongestSeconds);
  try_artefact(hostile, {{"s", FieldType::text}});
  EXPECT_EQ(admitted_, 0u);
  // Nor does a trainer make them.
  const std::vector<std::vector<Value>> rows(model::kMaxProbes, {Value::of(text)});
  EXPECT_CODE(build_artefact(contents_of(model::Task::regression, WeightFormat::dense_f32, program, 1), rows),
              Code::invalid_argument);
}

TEST_F(HostileArtefactTest, BasesAreNotFollowedWhereverTheyLead) {
  // A cycle as far as hashes allow one: each names the one before, and the first what the last was without a base. What
  // has a base isn't served, so nobody goes round.
  const std::string program = fitted({{"a", "x"}});
  ArtefactContents contents = contents_of(model::Task::regression, WeightFormat::dense_f32, program, 1);
  ASSERT_OK_AND_ASSIGN(std::string last, build_artefact(contents, {}));
  const std::vector<Field> fields = {{"x", FieldType::number}};
  ASSERT_OK(admit(last, fields));
  std::vector<Hash256> bases = {blake2b_256(last), blake2b_256("nobody has it")};
  for (int i = 0; i < 8; ++i) {
    contents.base = bases[i % bases.size()];
    ASSERT_OK_AND_ASSIGN(const std::string next, build_artefact(contents, {}));
    EXPECT_CODE(admit(next, fields), Code::unimplemented);
    bases.push_back(blake2b_256(next));
  }
  // Itself: what its hash is without it, since with it it would be another.
  std::string own = last;
  std::memcpy(own.data() + model::artefact_header::kBase, blake2b_256(own).bytes.data(), 32);
  rehash(own);
  EXPECT_CODE(admit(own, fields), Code::unimplemented);
}

TEST_F(HostileArtefactTest, AsManyOutputsOrFeaturesAsThereMayBeCostWhatTheirBytesSay) {
  const std::string one = fitted({{"a", "x"}});
  ASSERT_OK_AND_ASSIGN(const std::string outputs,
                       build_artefact(contents_of(model::Task::multiclass, WeightFormat::sparse_i8, one,
                                                  testing::kIsSanitized ? 6'000 : model::kMaxOutputs),
                                      {}));
  try_artefact(outputs, {{"x", FieldType::number}});
  const std::string hashed = chars_program(1, 1, 1, testing::kIsSanitized ? 16 : model::kMaxHashBits);
  ASSERT_OK_AND_ASSIGN(const std::string features,
                       build_artefact(contents_of(model::Task::regression, WeightFormat::sparse_i8, hashed, 1), {}));
  try_artefact(features, {{"s", FieldType::text}});
  EXPECT_EQ(admitted_, 2u);
  say("many outputs, many features");
}

TEST_F(HostileArtefactTest, NamesForPeopleStayShort) {
  // A dictionary's entry of a megabyte, crossed with itself over and over.
  model::ProgramWriter writer({{"s", FieldType::text}});
  std::string table;
  append(table, model::TableHead{1, 0});
  append<std::uint32_t>(table, 0);
  append<std::uint32_t>(table, 1 << 20);
  table.append(1 << 20, 'x');
  Instruction category{Op::category_text};
  category.width = 2;
  std::uint32_t at = writer.add(category, table);
  for (int i = 0; i < 12; ++i) {
    std::string pairs;
    append(pairs, model::TableHead{1, 0});
    append<std::uint64_t>(pairs, 0);
    Instruction cross{Op::cross};
    cross.a = cross.b = at;
    cross.width = 2;
    at = writer.add(cross, pairs);
  }
  Instruction emit{Op::emit_category};
  emit.a = at;
  emit.b = model::kNone;
  emit.width = 2;
  ASSERT_OK(writer.emit(emit, "c"));
  ASSERT_OK_AND_ASSIGN(const std::string program, writer.finish());
  ArtefactContents contents = contents_of(model::Task::regression, WeightFormat::dense_f32, program, 1);
  ASSERT_OK_AND_ASSIGN(const std::string bytes, build_artefact(contents, {}));
  ASSERT_OK_AND_ASSIGN(const Artefact artefact, Artefact::open(bytes));
  std::string shown;
  const Cost cost = Cost::of([&] { shown = artefact.describe_json(); });
  EXPECT_LT(shown.size(), 500'000u);
  EXPECT_LT(cost.peak, 4 << 20);
}

}  // namespace
}  // namespace espalier::shard
