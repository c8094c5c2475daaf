// Artefacts made to harm whoever reads them, with checksums that hold, through the shard's own admission: every field
// of every kind of artefact set to what might lead out of it. Each is refused with a code of the list or answers,
// finite, within the memory and time that docs/artefact-format.md states.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "common/bytes.h"
#include "model/artefact_layout.h"
#include "model/feature_program.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/shard/hostile_artefact_fixture.h"

namespace espalier::shard {
namespace {

using model::Artefact;
using model::Field;
using model::Instruction;

/// The inputs that an honest one reads.
std::vector<Field> fields_of(const HonestArtefact& honest) { return Artefact::open(honest.bytes)->program().inputs(); }

/// Where the numbers of an artefact stand, as docs/artefact-format.md and docs/features.md lay it out.
class Places {
 public:
  explicit Places(std::string_view bytes) : bytes_(bytes) {
    namespace at = model::artefact_header;
    for (const std::size_t place : {at::kVersion, at::kSectionCount, at::kOutputs, at::kFeatures, at::kReserved})
      add(place, 4);
    add(at::kTotalSize, 8);
    for (const std::size_t place : {at::kTask, at::kTransform, at::kFlags, at::kWeightFormat}) add(place, 1);
    each(at::kBase, 8, 4);
    for (std::uint32_t i = 0; i < load<std::uint32_t>(bytes.data() + at::kSectionCount); ++i) {
      const std::size_t entry = model::kArtefactHeaderBytes + i * model::kSectionEntryBytes;
      add(entry, 4), add(entry + 4, 4), add(entry + 8, 8), add(entry + 16, 8);
      const auto kind = load<std::uint32_t>(bytes.data() + entry);
      const auto from = load<std::uint64_t>(bytes.data() + entry + 8),
                 size = load<std::uint64_t>(bytes.data() + entry + 16);
      if (kind == static_cast<std::uint32_t>(model::SectionKind::program)) {
        program(from);
      } else {
        // Counts, rows, ends, sizes, weights and floats: at its beginning, and its last ones.
        each(from, 1, std::min<std::size_t>(size, 24));
        each(from, 4, std::min<std::size_t>(size / 4, 40));
        if (size >= 16) add(from + size - 4, 4), add(from + size - 8, 8), add(from + size - 1, 1);
      }
    }
  }
  std::vector<Place> all() const { return all_; }

 private:
  void add(std::size_t at, std::size_t width) { all_.push_back({at, width}); }
  void each(std::size_t at, std::size_t width, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) add(at + i * width, width);
  }
  void program(std::size_t from) {
    model::ProgramHeader head;
    std::memcpy(&head, bytes_.data() + from, sizeof head);
    add(from + 4, 2), add(from + 6, 2);
    each(from + 8, 4, 14);
    each(from + head.inputs_at, 4, std::size_t{4} * head.inputs);
    each(from + head.names_at, 4, std::size_t{2} * head.names);
    for (std::uint32_t i = 0; i < head.instructions; ++i) {
      const std::size_t at = from + head.instructions_at + i * sizeof(Instruction);
      add(at, 1), add(at + 1, 1), add(at + 2, 2);
      each(at + 4, 4, 5);
      each(at + 24, 8, 2);
      const auto data = load<std::uint32_t>(bytes_.data() + at + offsetof(Instruction, data));
      if (data == 0) continue;
      each(from + data, 2, 2);
      each(from + data, 4, 10);
      each(from + data + 8, 8, 3);
    }
  }

  std::string_view bytes_;
  std::vector<Place> all_;
};

std::uint64_t number_at(std::string_view bytes, Place place) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + place.at, place.width);
  return value;
}

/// What the field might be set to: limits of its width, of the formats, of products that overflow, of the artefact, and
/// the field's own place.
std::vector<std::uint64_t> bad_values(std::string_view bytes, Place place) {
  const std::uint64_t now = number_at(bytes, place);
  const std::uint64_t most = place.width == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * place.width)) - 1;
  std::vector<std::uint64_t> values = {0,
                                       1,
                                       2,
                                       most,
                                       most - 1,
                                       most / 2,
                                       most / 2 + 1,
                                       now + 1,
                                       now - 1,
                                       now * 2,
                                       place.at,
                                       bytes.size(),
                                       bytes.size() - 1,
                                       bytes.size() + 1,
                                       most / 2 + 2,
                                       most / 4 + 1,
                                       most / 8 + 1,
                                       most / 16 + 2,
                                       most / 40 + 1,
                                       most - 7,
                                       most - 63,
                                       64,
                                       bytes.size() - place.at};
  for (const std::uint64_t limit : {8, 22, 24, 28, 32, 64, 256, 1024, 4096, 65536, 1 << 22, 1 << 24, 256 << 20}) {
    values.insert(values.end(), {limit, limit + 1});
  }
  if (place.width == 8 || place.width == 4) {
    for (const double number : {std::nan(""), HUGE_VAL, -HUGE_VAL, std::numeric_limits<double>::max(), 5e-324, -1.0}) {
      std::uint64_t bits = 0;
      const auto narrow = static_cast<float>(number);
      place.width == 8 ? std::memcpy(&bits, &number, 8) : std::memcpy(&bits, &narrow, 4);
      values.push_back(bits);
    }
  }
  for (std::uint64_t& value : values) value &= most;
  std::ranges::sort(values);
  values.erase(std::ranges::unique(values).begin(), values.end());
  std::erase(values, now);
  return values;
}
TEST_F(HostileArtefactTest, HonestOnesAreAdmittedAndAsked) {
  for (const HonestArtefact& honest : all_kinds()) {
    const auto& [name, bytes] = honest;
    SCOPED_TRACE(name);
    const auto fields = fields_of(honest);
    try_artefact(bytes, fields);
  }
  EXPECT_EQ(admitted_, 10u);
}

TEST_F(HostileArtefactTest, NoValueOfAnyFieldLeadsOutOfTheArtefact) {
  // ESPALIER_HOSTILE_ALL: each value, and not one of a few, other ones at each field.
  const bool all = std::getenv("ESPALIER_HOSTILE_ALL") != nullptr;
  const std::size_t one_of = all ? 1 : testing::kIsSanitized ? 61 : 5;
  std::size_t turn = 0;
  for (const HonestArtefact& honest : all_kinds()) {
    const auto& [name, bytes] = honest;
    SCOPED_TRACE(name);
    const auto fields = fields_of(honest);
    for (const Place place : Places(bytes).all()) {
      for (const std::uint64_t value : bad_values(bytes, place)) {
        if (++turn % one_of != 0) continue;
        SCOPED_TRACE(std::to_string(place.width) + " bytes at " + std::to_string(place.at) + " = " +
                     std::to_string(value));
        std::string hostile = bytes;
        put(hostile, place, value);
        rehash(hostile);
        ASSERT_NO_FATAL_FAILURE(try_artefact(hostile, fields));
      }
    }
  }
  EXPECT_GT(tried_, 250'000 / one_of);
  EXPECT_GT(admitted_, 50'000 / one_of) << "weights, for one, may be any";
  say("each field");
}

TEST_F(HostileArtefactTest, NorDoTwoOrThreeFieldsTogether) {
  std::minstd_rand random(20261122);
  const auto kinds = all_kinds();
  std::vector<std::vector<Place>> places;
  for (const auto& kind : kinds) places.push_back(Places(kind.bytes).all());
  for (int i = 0; i < (testing::kIsSanitized ? 1'000 : 10'000); ++i) {
    const std::size_t which = random() % kinds.size();
    std::string hostile = kinds[which].bytes;
    for (unsigned change = 0; change < 2 + i % 2u; ++change) {
      const Place place = places[which][random() % places[which].size()];
      const auto values = bad_values(hostile, place);
      put(hostile, place, values[random() % values.size()]);
    }
    rehash(hostile);
    const auto fields = fields_of(kinds[which]);
    ASSERT_NO_FATAL_FAILURE(try_artefact(hostile, fields)) << "number " << i;
  }
  say("fields together");
}

}  // namespace
}  // namespace espalier::shard
