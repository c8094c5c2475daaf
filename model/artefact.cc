#include "model/artefact.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "common/bytes.h"
#include "model/artefact_probes.h"
#include "model/artefact_sections.h"
#include "model/artefact_view.h"
#include "model/linear.h"

namespace espalier::model {
namespace {

/// u32 count, u32 end of each name, the names.
Result<std::vector<std::string_view>> read_classes(std::string_view section, const ArtefactHeader& header) {
  const std::uint32_t wanted = header.task == Task::binary ? 2 : header.outputs;
  if (section.size() < sizeof(std::uint32_t) || load<std::uint32_t>(section.data()) != wanted) {
    return corrupt("classes.count does not go with the outputs");
  }
  const std::size_t names = sizeof(std::uint32_t) * (std::size_t{wanted} + 1);
  if (section.size() < names) return corrupt("classes end before their names");
  const std::string_view text = section.substr(names);
  std::vector<std::string_view> classes;
  std::unordered_set<std::string_view> seen;
  std::uint32_t begin = 0;
  for (std::uint32_t i = 0; i < wanted; ++i) {
    const auto end = load<std::uint32_t>(section.data() + sizeof(std::uint32_t) * (i + 1));
    const std::string place = "classes[" + std::to_string(i) + "]";
    if (end < begin || end > text.size()) return corrupt(place + " ends outside of the section");
    classes.push_back(text.substr(begin, end - begin));
    if (classes.back().empty()) return corrupt(place + " is empty");
    if (!is_utf8(classes.back())) return corrupt(place + " is not UTF-8");
    if (!seen.insert(classes.back()).second) return corrupt(place + " is there twice");
    begin = end;
  }
  if (begin != text.size()) return corrupt("bytes after the last class");
  return classes;
}

double from_inside(TargetTransform transform, double inside) {
  switch (transform) {
    case TargetTransform::identity: return inside;
    case TargetTransform::log: return std::exp(inside);
    case TargetTransform::log1p: return std::expm1(inside);
    // No square root is negative: such a prediction stands for the smallest.
    case TargetTransform::sqrt: return inside <= 0 ? 0 : inside * inside;
  }
  return inside;
}

void answer_regression(const ArtefactHeader& header, const std::vector<double>& inside, Output& out) {
  const double value = header.original_scale ? from_inside(header.transform, inside[0]) : inside[0];
  out.value = std::min(value, std::numeric_limits<double>::max());
  out.best = 0;
  out.scores.clear();
}

void answer_binary(double inside, Output& out) {
  // The exponential is of a number that is not positive, so that it can't overflow.
  const double small = std::exp(-std::fabs(inside));
  const double likelier = 1 / (1 + small);
  const double other = small / (1 + small);
  out.scores.resize(2);
  out.scores[0] = inside > 0 ? other : likelier;
  out.scores[1] = inside > 0 ? likelier : other;
}

void answer_multiclass(const std::vector<double>& inside, Output& out) {
  const double largest = *std::ranges::max_element(inside);
  out.scores.resize(inside.size());
  double sum = 0;
  for (std::size_t i = 0; i < inside.size(); ++i) sum += out.scores[i] = std::exp(inside[i] - largest);
  for (double& score : out.scores) score /= sum;
}

}  // namespace

Artefact::Artefact(std::unique_ptr<Layout> layout) : layout_(std::move(layout)) {}
Artefact::Artefact(Artefact&&) noexcept = default;
Artefact& Artefact::operator=(Artefact&&) noexcept = default;
Artefact::~Artefact() = default;

Result<Artefact> Artefact::open(std::string_view bytes) {
  ASSIGN_OR_RETURN(const ArtefactSections sections, read_sections(bytes));
  const ArtefactHeader& header = sections.header;
  std::vector<std::string_view> classes;
  if (sections[SectionKind::classes]) {
    ASSIGN_OR_RETURN(classes, read_classes(*sections[SectionKind::classes], header));
  }
  auto program = Program::open(*sections[SectionKind::program]);
  if (!program.ok()) return program.status().at("program");
  if (program->feature_count() != header.features) {
    return corrupt("header.features is " + std::to_string(header.features) + ", the program makes " +
                   std::to_string(program->feature_count()));
  }
  ASSIGN_OR_RETURN(LinearModel linear,
                   LinearModel::open(header.format, header.features, header.outputs, *sections[SectionKind::parameters],
                                     *sections[SectionKind::bias]));
  const std::size_t expected = header.task == Task::regression ? 1 : classes.size();
  ASSIGN_OR_RETURN(ProbeReader probes,
                   ProbeReader::open(sections[SectionKind::probes].value_or(std::string_view()),
                                     sections[SectionKind::probes].has_value(), program->inputs(), expected));
  Artefact artefact(
      std::make_unique<Layout>(Layout{bytes, header, std::move(classes), *std::move(program), linear, probes}));
  RETURN_IF_ERROR(artefact.check_probe_steps());
  return artefact;
}

Status Artefact::check_probe_steps() const {
  ProbeReader probes = layout_->probes;
  std::vector<Value> inputs(layout_->program.inputs().size());
  std::vector<double> expected;
  std::uint64_t sum = 0;
  for (std::uint32_t number = 0; number < probes.count(); ++number) {
    probes.next(inputs, expected);
    sum += steps(inputs);
    if (sum > kMaxProbeSteps) return corrupt("probes take more than " + std::to_string(kMaxProbeSteps) + " steps");
  }
  return {};
}

Task Artefact::task() const { return layout_->header.task; }
TargetTransform Artefact::transform() const { return layout_->header.transform; }
bool Artefact::original_scale() const { return layout_->header.original_scale; }
std::span<const std::string_view> Artefact::classes() const { return layout_->classes; }
const Hash256& Artefact::base() const { return layout_->header.base; }
const Program& Artefact::program() const { return layout_->program; }
std::uint64_t Artefact::size() const { return layout_->bytes.size(); }
std::uint32_t Artefact::probe_count() const { return layout_->probes.count(); }
WeightFormat Artefact::weight_format() const { return layout_->header.format; }
std::uint64_t Artefact::weight_count() const { return layout_->linear.weight_count(); }

std::uint64_t Artefact::steps(std::span<const Value> inputs) const {
  const Program::Steps program = layout_->program.steps(inputs);
  const std::uint64_t outputs = layout_->header.outputs;
  const std::uint64_t features =
      std::min<std::uint64_t>(program.instructions + program.grams, layout_->program.feature_count());
  const std::uint64_t weights = std::min(features * outputs, weight_count());
  return program.instructions + program.grams * kStepsOfGram + features + weights + outputs * kStepsOfGram;
}

void Artefact::predict(std::span<const Value> inputs, Scratch& scratch, Output& out) const {
  const ArtefactHeader& header = layout_->header;
  layout_->program.run(inputs, scratch.program, scratch.features);
  layout_->linear.score(scratch.features, scratch.scores);
  assert(std::ranges::all_of(scratch.scores, [](double score) { return std::isfinite(score); }));
  if (header.task == Task::regression) {
    answer_regression(header, scratch.scores, out);
    return;
  }
  if (header.task == Task::binary)
    answer_binary(scratch.scores[0], out);
  else
    answer_multiclass(scratch.scores, out);
  out.best = static_cast<std::uint32_t>(std::ranges::max_element(out.scores) - out.scores.begin());
  out.value = out.scores[out.best];
}

Status Artefact::replay_probes(Scratch& scratch) const {
  ProbeReader probes = layout_->probes;
  std::vector<Value> inputs(layout_->program.inputs().size());
  std::vector<double> expected;
  Output out;
  for (std::uint32_t number = 0; number < probes.count(); ++number) {
    probes.next(inputs, expected);
    predict(inputs, scratch, out);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double got = task() == Task::regression ? out.value : out.scores[i];
      if (std::fabs(got - expected[i]) <= kProbeTolerance * std::max(1.0, std::fabs(expected[i]))) continue;
      return corrupt("probes[" + std::to_string(number) + "].expected[" + std::to_string(i) + "] is " +
                     std::to_string(expected[i]) + ", this build gets " + std::to_string(got));
    }
  }
  return {};
}

}  // namespace espalier::model
