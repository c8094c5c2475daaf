// The bytes of a feature program: written, checked, named.

#include "model/feature_program.h"

#include <bit>
#include <cmath>
#include <cstdio>

#include "common/bytes.h"

namespace espalier::model {
namespace {

void pad(std::string& bytes) { bytes.resize((bytes.size() + 7) / 8 * 8); }

Status damaged(const std::string& what) { return corrupt("feature program: " + what); }

/// The checks of one program: of its head and names first, then of each instruction with its tables.
class Checker {
 public:
  Checker(std::string_view bytes, ProgramLayout& layout) : bytes_(bytes), layout_(layout) {}

  Status check_head();
  Status check_strings();
  Status check_code();

 private:
  template <class T>
  const T* view(std::uint64_t at) const {
    return reinterpret_cast<const T*>(bytes_.data() + at);
  }
  /// True when `count` items of `size` bytes lie at `at`, after the head.
  bool fits(std::uint64_t at, std::uint64_t count, std::uint64_t size) const {
    return at >= sizeof(ProgramHeader) && at <= bytes_.size() && count <= (bytes_.size() - at) / size;
  }
  bool is_number(std::uint32_t before, std::uint32_t i) const {
    return i < before && layout_.code[i].op < Op::category_text;
  }
  bool is_category_at(std::uint32_t before, std::uint32_t i) const {
    return i < before && is_category(layout_.code[i].op);
  }
  Status check_operands(std::uint32_t at, const Instruction& i) const;
  /// Claims a table: tables lie in the order of their instructions and never overlap, so that checking takes time
  /// linear in the bytes.
  Status claim(const Instruction& i, std::uint64_t head_size);
  Status check_table(const Instruction& i);
  Status check_text_table(const Instruction& i);
  Status check_sorted_numbers(const Instruction& i, std::uint32_t extra, bool may_have_missing);
  Status check_cross(const Instruction& i);
  Status check_grams(const Instruction& i);
  Status check_emit(const Instruction& i);

  std::string_view bytes_;
  ProgramLayout& layout_;
  std::uint64_t table_end_ = 0;
  std::uint32_t gram_lengths_ = 0;
  std::uint64_t features_ = 0;
};

Status Checker::check_head() {
  if (bytes_.size() < sizeof(ProgramHeader)) return damaged("shorter than its header");
  if (reinterpret_cast<std::uintptr_t>(bytes_.data()) % 8 != 0) return damaged("not aligned to 8 bytes");
  const auto* head = view<ProgramHeader>(0);
  if (std::memcmp(head->magic, kProgramMagic, sizeof kProgramMagic) != 0) return damaged("wrong magic");
  if (head->version != kProgramVersion) {
    return {Code::unimplemented, "feature program: version " + std::to_string(head->version) + ", this build reads 1"};
  }
  if (head->size != bytes_.size() || head->size > kMaxProgramBytes) return damaged("wrong size");
  if (head->inputs > kMaxProgramInputs || !fits(head->inputs_at, head->inputs, sizeof(InputEntry)) ||
      head->inputs_at % 8 != 0) {
    return damaged("inputs out of bounds");
  }
  if (head->instructions > kMaxProgramInstructions || head->instructions_at % 8 != 0 ||
      !fits(head->instructions_at, head->instructions, sizeof(Instruction))) {
    return damaged("instructions out of bounds");
  }
  if (head->names > kMaxProgramInstructions || head->names_at % 8 != 0 ||
      !fits(head->names_at, head->names, sizeof(NameEntry))) {
    return damaged("names out of bounds");
  }
  if (head->features > kMaxProgramFeatures) return damaged("too many features");
  layout_.bytes = bytes_.data();
  layout_.header = head;
  layout_.code = view<Instruction>(head->instructions_at);
  return {};
}

Status Checker::check_strings() {
  constexpr std::uint32_t kMaxNameSize = 65536;
  // Many entries may name one place, but not so that what is read here or kept is more than the program.
  std::uint64_t named = 0;
  const auto claims = [&](std::uint32_t size) { return (named += size) <= bytes_.size(); };
  for (std::uint32_t i = 0; i < layout_.header->inputs; ++i) {
    const InputEntry& entry = view<InputEntry>(layout_.header->inputs_at)[i];
    if (entry.size > kMaxNameSize || !fits(entry.at, entry.size, 1)) return damaged("an input's name is out of bounds");
    if (!claims(entry.size)) return damaged("names that are longer than the program");
    if (entry.type > 1) return damaged("an input has an unknown type");
    layout_.inputs.push_back({std::string(bytes_.substr(entry.at, entry.size)), static_cast<FieldType>(entry.type)});
    if (!is_utf8(layout_.inputs.back().name)) return damaged("an input's name is not UTF-8");
  }
  for (std::uint32_t i = 0; i < layout_.header->names; ++i) {
    const NameEntry& entry = view<NameEntry>(layout_.header->names_at)[i];
    if (entry.size > kMaxNameSize || !fits(entry.at, entry.size, 1))
      return damaged("a feature's name is out of bounds");
    if (!claims(entry.size)) return damaged("names that are longer than the program");
    if (!is_utf8(bytes_.substr(entry.at, entry.size))) return damaged("a feature's name is not UTF-8");
  }
  return {};
}

Status Checker::check_code() {
  table_end_ = layout_.header->data_at;
  for (std::uint32_t at = 0; at < layout_.header->instructions; ++at) {
    const Instruction& i = layout_.code[at];
    const std::string place = "instruction " + std::to_string(at);
    if (static_cast<std::uint8_t>(i.op) >= kOpCount) return damaged(place + ": unknown operation");
    if (!std::isfinite(i.x) || !std::isfinite(i.y)) return damaged(place + ": a constant is not finite");
    if (Status status = check_operands(at, i); !status.ok()) return status.at(place);
    if (Status status = check_table(i); !status.ok()) return status.at(place);
    if (is_emit(i.op)) {
      if (Status status = check_emit(i); !status.ok()) return status.at(place);
    }
  }
  if (features_ != layout_.header->features) return damaged("the instructions give another number of features");
  return {};
}

Status Checker::check_operands(std::uint32_t at, const Instruction& i) const {
  const auto& inputs = layout_.inputs;
  const Status bad = damaged("a wrong operand");
  if (i.op == Op::constant) return {};
  if (reads_text_input(i.op) || i.op == Op::input) {
    const FieldType type = i.op == Op::input ? FieldType::number : FieldType::text;
    if (i.a >= inputs.size() || inputs[i.a].type != type) return bad;
    if (i.op == Op::date && i.b >= kDateParts) return bad;
    return is_emit(i.op) && i.b != kNone && !is_number(at, i.b) ? bad : Status();
  }
  if (i.op == Op::cross) return is_category_at(at, i.a) && is_category_at(at, i.b) ? Status() : bad;
  if (i.op == Op::emit_category) {
    return is_category_at(at, i.a) && (i.b == kNone || is_number(at, i.b)) ? Status() : bad;
  }
  const bool binary = (i.op >= Op::add && i.op <= Op::power) || i.op == Op::min || i.op == Op::max;
  return is_number(at, i.a) && (!binary || is_number(at, i.b)) ? Status() : bad;
}

Status Checker::claim(const Instruction& i, std::uint64_t head_size) {
  if (i.data % 8 != 0 || i.data < table_end_ || !fits(i.data, 1, head_size)) {
    return damaged("tables out of bounds or out of order");
  }
  return {};
}

Status Checker::check_table(const Instruction& i) {
  switch (i.op) {
    case Op::category_text: return check_text_table(i);
    case Op::category_number: return check_sorted_numbers(i, 1, true);
    case Op::buckets: return check_sorted_numbers(i, 2, false);
    case Op::cross: return check_cross(i);
    case Op::emit_words:
    case Op::emit_chars: return check_grams(i);
    default: return i.data == 0 ? Status() : damaged("tables where none belong");
  }
}

Status Checker::check_text_table(const Instruction& i) {
  RETURN_IF_ERROR(claim(i, sizeof(TableHead)));
  const auto head = load<TableHead>(bytes_.data() + i.data);
  const std::uint64_t offsets_at = i.data + sizeof head;
  if (head.count >= kMaxProgramFeatures || head.flags > kHasMissing || !fits(offsets_at, head.count + 1, 4)) {
    return damaged("a dictionary is out of bounds");
  }
  if (i.width != head.count + 1 + head.flags) return damaged("a wrong number of categories");
  const auto* offsets = view<std::uint32_t>(offsets_at);
  const std::uint64_t text_at = offsets_at + 4 * (std::uint64_t{head.count} + 1);
  if (offsets[0] != 0) return damaged("a dictionary's offsets are wrong");
  for (std::uint32_t k = 0; k < head.count; ++k) {
    if (offsets[k + 1] < offsets[k]) return damaged("a dictionary's offsets are wrong");
  }
  if (!fits(text_at, offsets[head.count], 1)) return damaged("a dictionary is out of bounds");
  const TextTable table = TextTable::at(bytes_.data() + i.data);
  for (std::uint32_t k = 1; k < head.count; ++k) {
    if (table.entry(k - 1) >= table.entry(k)) return damaged("a dictionary is not sorted");
  }
  table_end_ = text_at + offsets[head.count];
  return {};
}

Status Checker::check_sorted_numbers(const Instruction& i, std::uint32_t extra, bool may_have_missing) {
  RETURN_IF_ERROR(claim(i, sizeof(TableHead)));
  const auto head = load<TableHead>(bytes_.data() + i.data);
  const std::uint64_t at = i.data + sizeof head;
  if (head.count >= kMaxProgramFeatures || head.flags > (may_have_missing ? kHasMissing : 0) ||
      !fits(at, head.count, 8)) {
    return damaged("numbers out of bounds");
  }
  if (i.width != head.count + extra + head.flags) return damaged("a wrong number of categories");
  const auto* numbers = view<double>(at);
  for (std::uint32_t k = 0; k < head.count; ++k) {
    if (!std::isfinite(numbers[k])) return damaged("an edge or category is not finite");
    if (k > 0 && !(numbers[k - 1] < numbers[k])) return damaged("edges or categories are not sorted");
  }
  table_end_ = at + 8 * std::uint64_t{head.count};
  return {};
}

Status Checker::check_cross(const Instruction& i) {
  RETURN_IF_ERROR(claim(i, sizeof(TableHead)));
  const auto head = load<TableHead>(bytes_.data() + i.data);
  const std::uint64_t at = i.data + sizeof head;
  if (head.count >= kMaxProgramFeatures || head.flags != 0 || !fits(at, head.count, 8)) {
    return damaged("pairs out of bounds");
  }
  if (i.width != head.count + 1) return damaged("a wrong number of categories");
  const auto* pairs = view<std::uint64_t>(at);
  const std::uint64_t limit = std::uint64_t{layout_.code[i.a].width} * layout_.code[i.b].width;
  for (std::uint32_t k = 0; k < head.count; ++k) {
    if (pairs[k] >= limit) return damaged("a pair of unknown categories");
    if (k > 0 && pairs[k - 1] >= pairs[k]) return damaged("pairs are not sorted");
  }
  table_end_ = at + 8 * std::uint64_t{head.count};
  return {};
}

Status Checker::check_grams(const Instruction& i) {
  RETURN_IF_ERROR(claim(i, sizeof(GramHead)));
  const auto head = load<GramHead>(bytes_.data() + i.data);
  const std::uint32_t longest = i.op == Op::emit_words ? kMaxWordGram : kMaxCharGram;
  if (head.low < 1 || head.high < head.low || head.high > longest) return damaged("wrong lengths of n-grams");
  gram_lengths_ += head.high - head.low + 1u;
  if (gram_lengths_ > kMaxGramLengths) return damaged("too many lengths of n-grams in all");
  if (head.flags & ~kGramFlags) return {Code::unimplemented, "feature program: unknown kind of n-gram weights"};
  const bool hashed = head.flags & kHashed;
  if (head.bits > (hashed ? kMaxHashBits : kMaxDirectoryBits) || head.count > kMaxProgramFeatures ||
      (hashed && (head.bits == 0 || head.count != 1u << head.bits)) || i.width != head.count) {
    return damaged("a wrong number of n-grams");
  }
  std::uint64_t at = i.data + sizeof head;
  if (!hashed) {
    const std::uint64_t entries = (std::uint64_t{1} << head.bits) + 1;
    if (!fits(at, entries + head.count, 4)) return damaged("a vocabulary is out of bounds");
    const auto* directory = view<std::uint32_t>(at);
    const auto* remainder = directory + entries;
    if (directory[0] != 0 || directory[entries - 1] != head.count) return damaged("a vocabulary's directory is wrong");
    for (std::uint64_t d = 0; d + 1 < entries; ++d) {
      if (directory[d] > directory[d + 1] || directory[d + 1] > head.count) {
        return damaged("a vocabulary's directory is wrong");
      }
      for (std::uint32_t k = directory[d] + 1; k < directory[d + 1]; ++k) {
        if (remainder[k - 1] >= remainder[k]) return damaged("a vocabulary is not sorted");
      }
    }
    at += 4 * (entries + head.count);
  }
  if (head.flags & kIdf) {
    if (!fits(at, head.count, 4)) return damaged("n-gram weights are out of bounds");
    const auto* idf = view<float>(at);
    for (std::uint32_t k = 0; k < head.count; ++k) {
      if (!(idf[k] >= 0 && idf[k] <= kMaxIdf)) return damaged("an n-gram's weight is out of range");
    }
    at += 4 * std::uint64_t{head.count};
  }
  table_end_ = at;
  return {};
}

Status Checker::check_emit(const Instruction& i) {
  if (i.name >= layout_.header->names) return damaged("a feature without a name");
  if (i.op == Op::emit_number && i.width != 1) return damaged("a number that is several features");
  if (i.op == Op::emit_category && i.width != layout_.code[i.a].width) return damaged("a wrong number of features");
  if (i.base != features_) return damaged("features that don't follow each other");
  features_ += i.width;
  return features_ <= kMaxProgramFeatures ? Status() : damaged("too many features");
}

}  // namespace

Status check_program(std::string_view bytes, ProgramLayout& layout) {
  Checker checker(bytes, layout);
  RETURN_IF_ERROR(checker.check_head());
  RETURN_IF_ERROR(checker.check_strings());
  return checker.check_code();
}

std::uint32_t ProgramWriter::add(Instruction instruction, std::string data) {
  code_.push_back(instruction);
  data_.push_back(std::move(data));
  return static_cast<std::uint32_t>(code_.size() - 1);
}

Status ProgramWriter::emit(Instruction instruction, std::string_view name, std::string data) {
  if (instruction.width > kMaxProgramFeatures - features_) {
    return invalid_argument("features." + std::string(name) + ": more than " + std::to_string(kMaxProgramFeatures) +
                            " features in all");
  }
  if (names_.empty() || names_.back() != name) names_.emplace_back(name);
  instruction.name = static_cast<std::uint16_t>(names_.size() - 1);
  instruction.base = features_;
  features_ += instruction.width;
  add(instruction, std::move(data));
  return {};
}

Result<std::string> ProgramWriter::finish() const {
  if (code_.size() > kMaxProgramInstructions) {
    return invalid_argument("features: more than " + std::to_string(kMaxProgramInstructions) + " steps in all");
  }
  std::uint32_t gram_lengths = 0;
  for (std::size_t i = 0; i < code_.size(); ++i) {
    if (code_[i].op != Op::emit_words && code_[i].op != Op::emit_chars) continue;
    const auto head = load<GramHead>(data_[i].data());
    gram_lengths += head.high - head.low + 1u;
  }
  if (gram_lengths > kMaxGramLengths) {
    return invalid_argument("features: words() and chars() have " + std::to_string(gram_lengths) +
                            " lengths of n-grams in all, at most " + std::to_string(kMaxGramLengths) + " are allowed");
  }
  std::uint64_t total = sizeof(ProgramHeader) + sizeof(Instruction) * code_.size() + 8;
  for (const std::string& data : data_) total += data.size() + 8;
  for (const Field& input : inputs_) total += input.name.size() + sizeof(InputEntry);
  for (const std::string& name : names_) total += name.size() + sizeof(NameEntry) + 8;
  if (total > kMaxProgramBytes) return invalid_argument("features: the program would be larger than 256 MB");

  std::string bytes(sizeof(ProgramHeader), '\0');
  bytes.reserve(total);
  ProgramHeader head{};
  std::memcpy(head.magic, kProgramMagic, sizeof kProgramMagic);
  head.version = kProgramVersion;
  head.features = features_;
  head.inputs = static_cast<std::uint32_t>(inputs_.size());
  head.instructions = static_cast<std::uint32_t>(code_.size());
  head.names = static_cast<std::uint32_t>(names_.size());
  head.inputs_at = sizeof head;
  head.names_at = head.inputs_at + head.inputs * sizeof(InputEntry);
  head.instructions_at = head.names_at + head.names * sizeof(NameEntry);
  std::uint32_t text_at = head.instructions_at + head.instructions * sizeof(Instruction);
  std::string text;
  for (const Field& input : inputs_) {
    append(bytes, InputEntry{static_cast<std::uint32_t>(text_at + text.size()),
                             static_cast<std::uint32_t>(input.name.size()), static_cast<std::uint32_t>(input.type), 0});
    text += input.name;
  }
  for (const std::string& name : names_) {
    append(bytes,
           NameEntry{static_cast<std::uint32_t>(text_at + text.size()), static_cast<std::uint32_t>(name.size())});
    text += name;
  }
  bytes.resize(text_at);
  bytes += text;
  pad(bytes);
  head.data_at = static_cast<std::uint32_t>(bytes.size());
  for (std::size_t i = 0; i < code_.size(); ++i) {
    Instruction instruction = code_[i];
    if (!data_[i].empty()) {
      instruction.data = static_cast<std::uint32_t>(bytes.size());
      bytes += data_[i];
      pad(bytes);
    }
    std::memcpy(bytes.data() + head.instructions_at + i * sizeof instruction, &instruction, sizeof instruction);
  }
  head.size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes;
}

}  // namespace espalier::model
