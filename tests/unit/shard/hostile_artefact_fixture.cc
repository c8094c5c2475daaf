#include "tests/unit/shard/hostile_artefact_fixture.h"

#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "common/bytes.h"
#include "model/artefact_layout.h"
#include "tests/support/status_matchers.h"

namespace {

thread_local std::int64_t live_bytes_here = 0;
thread_local std::int64_t peak_bytes_here = 0;

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) return nullptr;
  live_bytes_here += static_cast<std::int64_t>(malloc_usable_size(memory));
  peak_bytes_here = std::max(peak_bytes_here, live_bytes_here);
  return memory;
}
void* operator new(std::size_t size) {
  void* const memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) live_bytes_here -= static_cast<std::int64_t>(malloc_usable_size(memory));
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace espalier::shard {

using model::Artefact;
using model::ArtefactContents;
using model::Field;
using model::FieldType;
using model::Value;
using model::WeightFormat;

std::int64_t live_bytes() { return live_bytes_here; }
std::int64_t& peak_bytes() { return peak_bytes_here; }

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

namespace {

class PlainRows final : public model::Rows {
 public:
  explicit PlainRows(std::vector<Field> fields) : fields_(std::move(fields)) {}
  std::size_t count() const override { return 8; }
  void read(std::size_t row, std::span<Value> out) const override {
    static constexpr std::string_view kTexts[] = {"good morning", "bad night", "2017-01-05", "good night"};
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      out[i] = fields_[i].type == FieldType::number ? Value::of(static_cast<double>(row + i + 1))
                                                    : Value::of(kTexts[(row + i) % 4]);
    }
  }

 private:
  std::vector<Field> fields_;
};

}  // namespace

std::string fitted(const std::vector<model::FeatureDefinition>& definitions) {
  const auto set = model::FeatureSet::parse(definitions);
  EXPECT_OK(set);
  auto bytes = set->fit(PlainRows(set->inputs()));
  EXPECT_OK(bytes);
  return *std::move(bytes);
}

ArtefactContents contents_of(model::Task task, WeightFormat format, std::string program, std::uint32_t outputs) {
  ArtefactContents contents;
  contents.task = task;
  contents.format = format;
  contents.program = std::move(program);
  const auto opened = model::Program::open(contents.program);
  EXPECT_OK(opened);
  contents.parameters.outputs = outputs;
  contents.parameters.bias.assign(outputs, 0.25f);
  contents.parameters.weight.resize(std::size_t{opened->feature_count()} * outputs);
  for (std::size_t i = 0; i < contents.parameters.weight.size(); ++i) {
    contents.parameters.weight[i] = static_cast<float>(static_cast<int>(i * 5 % 8) - 4) / 8;
  }
  const std::uint32_t classes = task == model::Task::regression ? 0 : std::max(outputs, 2u);
  for (std::uint32_t i = 0; i < classes; ++i) contents.classes.push_back("c" + std::to_string(i));
  return contents;
}

std::vector<std::vector<Value>> odd_rows(const std::vector<Field>& fields) {
  static constexpr double kNumbers[] = {0, -0.0, 1e300, -1e300, 5e-324, 3, std::numeric_limits<double>::max()};
  static const std::string kTexts[] = {"", "good night", std::string("\xFF\xC3\0\xF4\x90 \xE0", 7), "2017-02-29",
                                       "bad"};
  std::vector<std::vector<Value>> rows(1, std::vector<Value>(fields.size()));
  for (std::size_t row = 0; row < std::size(kNumbers); ++row) {
    auto& values = rows.emplace_back();
    for (std::size_t i = 0; i < fields.size(); ++i) {
      values.push_back(fields[i].type == FieldType::number ? Value::of(kNumbers[(row + i) % std::size(kNumbers)])
                                                           : Value::of(kTexts[(row + i) % std::size(kTexts)]));
    }
  }
  return rows;
}

namespace {

/// Every operation that there is.
std::string whole_program() {
  return fitted({{"a", "standardise(x)"},
                 {"b", "onehot(s) * standardise(y)"},
                 {"c", "fill(log(x), median) + y ^ 2 - abs(x) / (max(x, y) + min(x, 2))"},
                 {"d", "year(d) - month(d) + missing(x)"},
                 {"e", "cross(s, buckets(x, 3))"},
                 {"f", "onehot(x + 1, max=3)"},
                 {"g", "words(s, 1, 2, min_rows=1, sublinear)"},
                 {"h", "chars(s, 2, 3, hash=4, weights=tfidf) * x"},
                 {"i", "sqrt(exp(log1p(-x)))"}});
}

std::vector<std::vector<Value>> probes_for(const std::string& program) {
  auto rows = odd_rows(model::Program::open(program)->inputs());
  rows.resize(3);
  return rows;
}

}  // namespace

std::vector<HonestArtefact> all_kinds() {
  const std::string program = whole_program();
  std::vector<HonestArtefact> all;
  for (const auto& [format, name] :
       {std::pair{WeightFormat::dense_f32, "dense_f32"}, std::pair{WeightFormat::sparse_f32, "sparse_f32"},
        std::pair{WeightFormat::sparse_i8, "sparse_i8"}}) {
    for (const auto& [task, outputs] : {std::pair{model::Task::regression, 1u}, std::pair{model::Task::binary, 1u},
                                        std::pair{model::Task::multiclass, 3u}}) {
      auto bytes = build_artefact(contents_of(task, format, program, outputs), probes_for(program));
      EXPECT_OK(bytes);
      all.push_back({std::string(model::task_name(task)) + " " + name, *std::move(bytes)});
    }
  }
  // An output's number takes two bytes.
  auto many = build_artefact(contents_of(model::Task::multiclass, WeightFormat::sparse_i8, fitted({{"a", "x"}}), 300),
                             probes_for(fitted({{"a", "x"}})));
  EXPECT_OK(many);
  all.push_back({"multiclass of 300", *std::move(many)});
  return all;
}

void rehash(std::string& bytes) {
  namespace at = model::artefact_header;
  const auto count = load<std::uint32_t>(bytes.data() + at::kSectionCount);
  if (count > (bytes.size() - model::kArtefactHeaderBytes) / model::kSectionEntryBytes) return;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t entry = model::kArtefactHeaderBytes + i * model::kSectionEntryBytes;
    const auto from = load<std::uint64_t>(bytes.data() + entry + 8),
               size = load<std::uint64_t>(bytes.data() + entry + 16);
    if (from > bytes.size() || size > bytes.size() - from) continue;
    put(bytes, {entry + 24, 8}, xxh3_64(std::string_view(bytes).substr(from, size)));
  }
  put(bytes, {at::kChecksum, 8},
      xxh3_64(bytes.substr(0, at::kChecksum) +
              bytes.substr(model::kArtefactHeaderBytes, count * model::kSectionEntryBytes)));
}

namespace {

void ask(const Artefact& artefact) {
  Artefact::Scratch scratch;
  model::Output out;
  for (const auto& row : odd_rows(artefact.program().inputs())) {
    artefact.predict(row, scratch, out);
    ASSERT_TRUE(std::isfinite(out.value));
    ASSERT_EQ(out.scores.size(), artefact.classes().size());
    double sum = 0;
    for (const double score : out.scores) {
      ASSERT_TRUE(score >= 0 && score <= 1);
      sum += score;
    }
    if (!out.scores.empty()) ASSERT_NEAR(sum, 1, 1e-9);
    ASSERT_LT(out.best, std::max<std::size_t>(1, out.scores.size()));
  }
}

}  // namespace

Result<std::shared_ptr<const Servable>> HostileArtefactTest::admit(std::string_view bytes,
                                                                   const std::vector<Field>& fields) {
  const Hash256 hash = blake2b_256(bytes);
  RETURN_IF_ERROR(admission_.store(hash, bytes));
  auto admitted = admission_.admit("acme total", fields, hash);
  admission_.give_up(hash);
  return admitted;
}

void HostileArtefactTest::try_artefact(std::string_view bytes, const std::vector<Field>& fields) {
  ++tried_;
  const std::string copy(bytes);  // at a multiple of 8, as in a pack
  std::optional<Artefact> artefact;
  Status status;
  const Cost opening = Cost::of([&] {
    auto opened = Artefact::open(copy);
    status = opened.status();
    if (opened.ok()) artefact.emplace(*std::move(opened));
  });
  note(opening);
  if (!status.ok()) {
    ASSERT_TRUE(status.code() == Code::corrupt || status.code() == Code::unimplemented) << status.text();
    ASSERT_FALSE(status.message().empty());
    ASSERT_LT(status.message().size(), 70'000u);
    if (tried_ % 8 != 0) return;
  } else {
    ASSERT_LE(opening.kept, kept_for(bytes.size()));
    ASSERT_LE(opening.peak, 2 * kept_for(bytes.size()));
  }
  std::shared_ptr<const Servable> servable;
  const Cost admission = Cost::of([&] {
    auto admitted = admit(bytes, fields);
    if (!status.ok()) ASSERT_EQ(admitted.status().code(), status.code());
    status = admitted.status();
    if (admitted.ok()) servable = *std::move(admitted);
  });
  note(admission);
  if (servable == nullptr) {
    const std::set<Code> codes = {Code::corrupt, Code::unimplemented, Code::failed_precondition};
    ASSERT_TRUE(codes.contains(status.code())) << status.text();
    return;
  }
  ++admitted_;
  const Cost answers = Cost::of([&] { ask(servable->artefact); });
  note(answers);
  const auto classes = static_cast<std::int64_t>(servable->artefact.classes().size());
  ASSERT_LE(answers.peak, kWorkingBytes + 64 * classes);
  ASSERT_LT(servable->artefact.describe_json().size(), 100'000u + 20 * bytes.size());
}

void HostileArtefactTest::note(const Cost& cost) {
  slowest_ = std::max(slowest_, cost.seconds);
  ASSERT_LT(cost.seconds, kLongestSeconds);
}

void HostileArtefactTest::say(const std::string& what) const {
  std::printf("%s: %zu tried, %zu answered, the slowest step %.1f ms\n", what.c_str(), tried_, admitted_,
              slowest_ * 1e3);
}

}  // namespace espalier::shard
