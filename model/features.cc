#include "model/features.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include "common/bytes.h"
#include "model/feature_plan.h"
#include "model/feature_program.h"
#include "model/feature_text.h"

namespace espalier::model {
namespace {

std::string number_text(double x) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, x);
  return error == std::errc() ? std::string(text, end) : std::string("?");
}

std::string bucket_name(const char* data, std::uint32_t category) {
  const auto head = load<TableHead>(data);
  if (category == head.count + 1) return "(missing)";
  const char* edges = data + sizeof head;
  const auto edge = [&](std::uint32_t i) { return number_text(load<double>(edges + 8 * std::size_t{i})); };
  if (head.count == 0) return "(any)";
  if (category == 0) return "<" + edge(0);
  if (category == head.count) return ">=" + edge(head.count - 1);
  return "[" + edge(category - 1) + "," + edge(category) + ")";
}

/// A category in words. Pairs nest at most as deep as cross() takes arguments in a program that was fitted; hostile
/// ones are cut off, as are entries that are as long as an artefact may make them.
std::string category_name(const ProgramLayout& layout, const Instruction& i, std::uint32_t category, int depth) {
  const char* data = layout.data(i);
  if (i.op == Op::buckets) return bucket_name(data, category);
  const auto head = load<TableHead>(data);
  if (category == head.count) return "(other)";
  if (category > head.count) return "(missing)";
  if (i.op == Op::category_text) return std::string(TextTable::at(data).entry(category).substr(0, 256));
  if (i.op == Op::category_number) return number_text(load<double>(data + sizeof head + 8 * std::size_t{category}));
  if (depth > 8) return "...";
  const auto pair = load<std::uint64_t>(data + sizeof head + 8 * std::size_t{category});
  const std::uint32_t width = layout.code[i.b].width;
  return category_name(layout, layout.code[i.a], static_cast<std::uint32_t>(pair / width), depth + 1) + "," +
         category_name(layout, layout.code[i.b], static_cast<std::uint32_t>(pair % width), depth + 1);
}

/// Dictionary entries are the data's own bytes; a name is for people, so what is not UTF-8 becomes '?'.
std::string printable(std::string name) {
  if (is_utf8(name)) return name;
  for (char& c : name) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return name;
}

}  // namespace

Program::Scratch::Scratch() : state_(std::make_unique<ProgramState>()) {}
Program::Scratch::~Scratch() = default;
Program::Scratch::Scratch(Scratch&&) noexcept = default;
Program::Scratch& Program::Scratch::operator=(Scratch&&) noexcept = default;

Program::Program(std::unique_ptr<ProgramLayout> layout) : layout_(std::move(layout)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

Result<Program> Program::open(std::string_view bytes) {
  auto layout = std::make_unique<ProgramLayout>();
  RETURN_IF_ERROR(check_program(bytes, *layout));
  return Program(std::move(layout));
}

const std::vector<Field>& Program::inputs() const { return layout_->inputs; }
std::uint32_t Program::feature_count() const { return layout_->header->features; }

std::string Program::feature_name(std::uint32_t index) const {
  assert(index < feature_count());
  for (std::uint32_t at = 0; at < layout_->header->instructions; ++at) {
    const Instruction& i = layout_->code[at];
    if (!is_emit(i.op) || index < i.base || index - i.base >= i.width) continue;
    const auto entry = load<NameEntry>(layout_->bytes + layout_->header->names_at + sizeof(NameEntry) * i.name);
    const std::string name(layout_->bytes + entry.at, entry.size);
    const std::uint32_t place = index - i.base;
    if (i.op == Op::emit_number) return name;
    if (i.op == Op::emit_category) {
      return printable(name + "=" + category_name(*layout_, layout_->code[i.a], place, 0));
    }
    const bool hashed = load<GramHead>(layout_->data(i)).flags & kHashed;
    return name + (hashed ? ":hash " : ":n-gram ") + std::to_string(place);
  }
  return "feature " + std::to_string(index);
}

Program::Steps Program::steps(std::span<const Value> inputs) const {
  Steps steps{layout_->header->instructions, 0};
  for (std::uint32_t at = 0; at < layout_->header->instructions; ++at) {
    const Instruction& i = layout_->code[at];
    if (i.op != Op::emit_words && i.op != Op::emit_chars) continue;
    const auto head = load<GramHead>(layout_->data(i));
    // Each byte may begin a word or character, and each of these may stand behind a space.
    const std::uint64_t places = 2 * std::min(inputs[i.a].text.size(), kMaxTextBytes) + 2;
    steps.grams += places * (head.high - head.low + 1u);
  }
  return steps;
}

void Program::run(std::span<const Value> inputs, Scratch& scratch, FeatureVector& out) const {
  assert(inputs.size() == layout_->inputs.size());
  out.clear();
  ProgramRun::evaluate(*layout_, inputs, *scratch.state_);
  ProgramRun::emit(*layout_, inputs, *scratch.state_, out);
}

struct FeatureSet::Impl {
  Plan plan;
};

FeatureSet::FeatureSet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FeatureSet::FeatureSet(FeatureSet&&) noexcept = default;
FeatureSet& FeatureSet::operator=(FeatureSet&&) noexcept = default;
FeatureSet::~FeatureSet() = default;

Result<FeatureSet> FeatureSet::parse(const std::vector<FeatureDefinition>& definitions) {
  auto impl = std::make_unique<Impl>();
  ASSIGN_OR_RETURN(impl->plan, make_plan(definitions));
  return FeatureSet(std::move(impl));
}

const std::vector<Field>& FeatureSet::inputs() const { return impl_->plan.inputs; }

Result<std::string> FeatureSet::fit(const Rows& rows) const { return fit_plan(impl_->plan, rows); }

}  // namespace espalier::model
