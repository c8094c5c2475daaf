// build_artefact(): from what a trainer found to the bytes of a version.
#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include "common/bytes.h"
#include "model/artefact.h"
#include "model/artefact_layout.h"
#include "model/artefact_probes.h"
#include "model/artefact_sections.h"
#include "model/linear.h"

namespace espalier::model {
namespace {

bool all_finite(const std::vector<float>& numbers) {
  return std::ranges::all_of(numbers, [](float number) { return std::isfinite(number); });
}

Status check_contents(const ArtefactContents& contents, const Program& program) {
  const LinearParameters& parameters = contents.parameters;
  const bool is_multiclass = contents.task == Task::multiclass;
  if (is_multiclass ? parameters.outputs < 2 || parameters.outputs > kMaxOutputs : parameters.outputs != 1) {
    return invalid_argument("parameters.outputs " + std::to_string(parameters.outputs) + " does not go with the task");
  }
  const std::size_t classes = contents.task == Task::regression ? 0 : is_multiclass ? parameters.outputs : 2;
  if (contents.classes.size() != classes) {
    return invalid_argument(std::to_string(contents.classes.size()) + " classes where " + std::to_string(classes) +
                            " belong");
  }
  const std::set<std::string> distinct(contents.classes.begin(), contents.classes.end());
  if (distinct.size() != classes || distinct.contains("")) return invalid_argument("a class is empty or there twice");
  if (!std::ranges::all_of(contents.classes, is_utf8)) return invalid_argument("a class is not UTF-8");
  if (contents.task != Task::regression && contents.transform != TargetTransform::identity) {
    return invalid_argument("a transform goes with regression only");
  }
  if (parameters.bias.size() != parameters.outputs) return invalid_argument("one bias belongs to each output");
  const std::uint64_t weights = std::uint64_t{program.feature_count()} * parameters.outputs;
  if (parameters.weight.size() != weights) {
    return invalid_argument(std::to_string(parameters.weight.size()) + " weights where " + std::to_string(weights) +
                            " belong (features x outputs)");
  }
  if (!all_finite(parameters.bias) || !all_finite(parameters.weight)) {
    return invalid_argument("a weight or bias is not finite");
  }
  return {};
}

Status check_probe(const std::vector<Value>& inputs, const Program& program) {
  const std::vector<Field>& fields = program.inputs();
  if (inputs.size() != fields.size()) return invalid_argument("one input belongs to each field of the program");
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Value& input = inputs[i];
    if (input.kind == Value::Kind::missing) continue;
    if ((input.kind == Value::Kind::text) != (fields[i].type == FieldType::text) || !std::isfinite(input.number)) {
      return invalid_argument(fields[i].name + " is not of its field's type or not finite");
    }
  }
  return {};
}

std::string encode_classes(const std::vector<std::string>& classes) {
  std::string bytes;
  std::string names;
  append(bytes, static_cast<std::uint32_t>(classes.size()));
  for (const std::string& name : classes) {
    names += name;
    append(bytes, static_cast<std::uint32_t>(names.size()));
  }
  return bytes + names;
}

std::string encode(const ArtefactContents& contents, std::uint32_t features, const std::vector<Probe>& probes) {
  const LinearParameters& parameters = contents.parameters;
  const ArtefactHeader header{contents.task,   contents.transform, contents.original_scale,
                              contents.format, parameters.outputs, features,
                              contents.base};
  std::vector<std::pair<SectionKind, std::string>> sections;
  if (!contents.classes.empty()) sections.emplace_back(SectionKind::classes, encode_classes(contents.classes));
  sections.emplace_back(SectionKind::program, contents.program);
  sections.emplace_back(SectionKind::parameters, encode_parameters(contents.format, parameters));
  std::string bias;
  for (const float number : parameters.bias) append(bias, number);
  sections.emplace_back(SectionKind::bias, std::move(bias));
  if (!probes.empty()) sections.emplace_back(SectionKind::probes, encode_probes(probes));
  return write_sections(header, sections);
}

/// The number without its last 20 bits (a relative 2e-10, far below the probes' tolerance): exponentials may differ in
/// the last bit from machine to machine, the bytes of an artefact should not.
double shortened(double number) {
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(number) & ~std::uint64_t{0xFFFFF});
}

/// What the finished bytes answer to the inputs.
Result<std::vector<Probe>> predict_probes(std::string_view bytes, const std::vector<std::vector<Value>>& inputs) {
  ASSIGN_OR_RETURN(const Artefact artefact, Artefact::open(bytes));
  Artefact::Scratch scratch;
  Output out;
  std::vector<Probe> probes;
  std::uint64_t steps = 0;
  for (const std::vector<Value>& input : inputs) {
    steps += artefact.steps(input);
    if (steps > kMaxProbeSteps) {
      return invalid_argument("probes: so long a text, or so many of them, that replaying them would take too long");
    }
    artefact.predict(input, scratch, out);
    probes.push_back({input, artefact.task() == Task::regression ? std::vector<double>{out.value} : out.scores});
    for (double& number : probes.back().expected) number = shortened(number);
  }
  return probes;
}

}  // namespace

Result<std::string> build_artefact(const ArtefactContents& contents,
                                   const std::vector<std::vector<Value>>& probe_inputs) {
  auto program = Program::open(contents.program);
  if (!program.ok()) return invalid_argument(program.status().at("program").message());
  RETURN_IF_ERROR(check_contents(contents, *program));
  if (probe_inputs.size() > kMaxProbes) return invalid_argument("more than " + std::to_string(kMaxProbes) + " probes");
  for (std::size_t i = 0; i < probe_inputs.size(); ++i) {
    RETURN_IF_ERROR(check_probe(probe_inputs[i], *program).at("probes[" + std::to_string(i) + "]"));
  }
  std::string bytes = encode(contents, program->feature_count(), {});
  if (bytes.size() <= kMaxArtefactBytes && !probe_inputs.empty()) {
    ASSIGN_OR_RETURN(const std::vector<Probe> probes, predict_probes(bytes, probe_inputs));
    bytes = encode(contents, program->feature_count(), probes);
  }
  if (bytes.size() > kMaxArtefactBytes) {
    return invalid_argument("the artefact would have " + std::to_string(bytes.size()) + " bytes, at most " +
                            std::to_string(kMaxArtefactBytes) + " are allowed");
  }
  return bytes;
}

}  // namespace espalier::model
