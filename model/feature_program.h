// The layout of a feature program: what the compiler writes, open() checks and run() reads in place. docs/features.md
// has the byte tables.
//
// A program is a list of instructions without jumps: instruction i may read the results of instructions before it, and
// its own result is number i. Instructions that emit write the vector, in ascending order of features.
//
// Thread safety: values and views of constant bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/features.h"
#include "model/value.h"

namespace espalier::model {

inline constexpr char kProgramMagic[4] = {'F', 'P', 'R', 'G'};
inline constexpr std::uint16_t kProgramVersion = 1;
inline constexpr std::uint32_t kMaxProgramInputs = 1024;
inline constexpr std::uint32_t kMaxProgramInstructions = 4096;
inline constexpr std::uint32_t kMaxProgramFeatures = 1u << 24;
inline constexpr std::uint32_t kMaxProgramBytes = 256u << 20;
inline constexpr std::uint32_t kMaxWordGram = 5;
inline constexpr std::uint32_t kMaxCharGram = 8;
/// Of all words() and chars() together: how many n-grams can begin at one place of a text bounds what a row costs.
inline constexpr std::uint32_t kMaxGramLengths = 64;
inline constexpr std::uint32_t kMaxHashBits = 22;
inline constexpr std::uint32_t kMaxDirectoryBits = 24;
inline constexpr float kMaxIdf = 1e6f;

/// The numbers are in artefacts: they never change.
enum class Op : std::uint8_t {
  constant = 0,
  input = 1,  ///< the number of input a
  add = 2,
  subtract = 3,
  multiply = 4,
  divide = 5,
  power = 6,
  negate = 7,
  log = 8,
  log1p = 9,
  exp = 10,
  sqrt = 11,
  abs = 12,
  min = 13,
  max = 14,
  fill = 15,             ///< a, or x where it is missing
  missing = 16,          ///< 1 where a is missing, else 0
  missing_text = 17,     ///< the same of text input a
  standardise = 18,      ///< (a - x) * y; missing becomes 0
  date = 19,             ///< part b of text input a
  category_text = 20,    ///< place of text input a in a dictionary
  category_number = 21,  ///< place of number a in a dictionary
  buckets = 22,          ///< place of number a between edges
  cross = 23,            ///< place of the pair of categories a, b
  emit_number = 24,
  emit_category = 25,  ///< category a, times number b when b is not kNone
  emit_words = 26,     ///< n-grams of text input a, times number b when b is not kNone
  emit_chars = 27,
};
inline constexpr std::uint8_t kOpCount = 28;
inline constexpr std::uint32_t kNone = 0xFFFFFFFF;

enum class DatePart : std::uint8_t { year = 0, month = 1, day = 2, weekday = 3, hour = 4 };
inline constexpr std::uint32_t kDateParts = 5;

inline bool is_emit(Op op) { return op >= Op::emit_number; }
inline bool is_category(Op op) { return op >= Op::category_text && op <= Op::cross; }
inline bool reads_text_input(Op op) {
  return op == Op::missing_text || op == Op::date || op == Op::category_text || op == Op::emit_words ||
         op == Op::emit_chars;
}

/// 40 bytes, as they lie in the program.
struct Instruction {
  Op op;
  std::uint8_t zero = 0;
  std::uint16_t name = 0;   ///< emit: index of its definition's name
  std::uint32_t a = 0;      ///< an input or an earlier instruction
  std::uint32_t b = 0;      ///< an earlier instruction, or kNone
  std::uint32_t base = 0;   ///< emit: its first feature
  std::uint32_t width = 0;  ///< category: how many there are; emit: how many features
  std::uint32_t data = 0;   ///< offset of its tables in the program, 0 when it has none
  double x = 0;
  double y = 0;
};
static_assert(sizeof(Instruction) == 40);

/// 64 bytes at the start.
struct ProgramHeader {
  char magic[4];
  std::uint16_t version;
  std::uint16_t zero;
  std::uint32_t size;
  std::uint32_t features;
  std::uint32_t inputs;
  std::uint32_t instructions;
  std::uint32_t names;
  std::uint32_t inputs_at;
  std::uint32_t instructions_at;
  std::uint32_t names_at;
  std::uint32_t data_at;
  std::uint32_t reserved[5];
};
static_assert(sizeof(ProgramHeader) == 64);

struct InputEntry {
  std::uint32_t at;
  std::uint32_t size;
  std::uint32_t type;
  std::uint32_t zero;
};
struct NameEntry {
  std::uint32_t at;
  std::uint32_t size;
};

/// Head of the tables of category_text, category_number, buckets and cross.
struct TableHead {
  std::uint32_t count;
  std::uint32_t flags;
};
inline constexpr std::uint32_t kHasMissing = 1;  ///< missing is a category of its own

/// Head of the tables of emit_words and emit_chars.
struct GramHead {
  std::uint16_t low;  ///< shortest and longest n-gram
  std::uint16_t high;
  std::uint32_t flags;
  std::uint32_t bits;   ///< hashed: 2^bits features; vocabulary: 2^bits directory entries and one more
  std::uint32_t count;  ///< features
};
inline constexpr std::uint32_t kSublinear = 1;  ///< 1 + ln(count) in place of count
inline constexpr std::uint32_t kHashed = 2;
inline constexpr std::uint32_t kIdf = 4;      ///< weights by inverse document frequency follow
inline constexpr std::uint32_t kBinary = 8;   ///< 1 in place of count
inline constexpr std::uint32_t kAcross = 16;  ///< characters: n-grams may span words
inline constexpr std::uint32_t kGramFlags = 31;

/// What a vocabulary's or hash's tables say, as views of the program.
struct GramTable {
  GramHead head;
  const std::uint32_t* directory = nullptr;
  const std::uint32_t* remainder = nullptr;
  const float* idf = nullptr;

  /// REQUIRES: the tables were checked, or `at` was written by the compiler.
  static GramTable at(const char* data);
  /// Place of an n-gram by its 64-bit fingerprint; kNone when the vocabulary has none.
  std::uint32_t find(std::uint64_t fingerprint) const;
};

/// The dictionary of category_text: views of the program.
struct TextTable {
  TableHead head;
  const std::uint32_t* offsets = nullptr;
  const char* text = nullptr;

  static TextTable at(const char* data);
  std::string_view entry(std::uint32_t i) const { return {text + offsets[i], offsets[i + 1] - offsets[i]}; }
  std::uint32_t find(std::string_view value) const;
};

struct ProgramLayout {
  const char* bytes = nullptr;
  const ProgramHeader* header = nullptr;
  const Instruction* code = nullptr;
  std::vector<Field> inputs;

  const char* data(const Instruction& i) const { return bytes + i.data; }
};

struct ProgramState {
  std::vector<double> numbers;            ///< results by instruction; NaN is missing
  std::vector<std::uint32_t> categories;  ///< results by instruction
  std::string text;                       ///< one text, normalised
  std::vector<std::uint32_t> starts;      ///< of its words or characters, in bytes
  std::vector<std::uint32_t> ends;
  std::vector<std::uint32_t> hits;  ///< features of a text, with repetition
};

/// The running of a program, shared by serving and fitting.
struct ProgramRun {
  static const ProgramLayout& layout(const Program& program) { return *program.layout_; }
  static ProgramState& state(Program::Scratch& scratch) { return *scratch.state_; }
  /// Results of all instructions that do not emit, left in the scratch.
  static void evaluate(const ProgramLayout& layout, std::span<const Value> inputs, ProgramState& state);
  static void emit(const ProgramLayout& layout, std::span<const Value> inputs, ProgramState& state, FeatureVector& out);
};

/// Checks the whole of `bytes`; sets `layout` to views of it.
Status check_program(std::string_view bytes, ProgramLayout& layout);

/// Collects the pieces of a program and writes its bytes.
class ProgramWriter {
 public:
  explicit ProgramWriter(std::vector<Field> inputs) : inputs_(std::move(inputs)) {}
  /// Returns the instruction's number. `data`: its tables, or empty.
  std::uint32_t add(Instruction instruction, std::string data = {});
  /// Returns the instruction's number; its base is the next free feature. invalid_argument: too many features.
  Status emit(Instruction instruction, std::string_view name, std::string data = {});
  /// invalid_argument: larger than a program may be.
  Result<std::string> finish() const;

 private:
  std::vector<Field> inputs_;
  std::vector<Instruction> code_;
  std::vector<std::string> data_;
  std::vector<std::string> names_;
  std::uint32_t features_ = 0;
};

/// A date's part from ISO text: YYYY, YYYY-MM, YYYY-MM-DD, then T or a space and HH[:MM...]; NaN when the text has no
/// such part or is no date.
double date_part(std::string_view text, DatePart part);

}  // namespace espalier::model
