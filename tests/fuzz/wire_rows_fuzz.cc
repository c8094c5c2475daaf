// A part's rows of any bytes, in each of the three forms, against a schema of several fields: refused, or read row by
// row with values of the fields' types that lie within the bytes, and twice the same. Answers of any bytes: refused or
// read.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fuzz_driver.h"
#include "tests/unit/wire/sample_messages.h"
#include "wire/predict_codec.h"
#include "wire/row_codec.h"

namespace {

using namespace espalier;
using namespace espalier::wire;
using model::FieldType;
using model::Value;

const FieldIndex& fields() {
  static const FieldIndex all({{"sex", FieldType::text},
                               {"age", FieldType::number},
                               {"bodyweight_kg", FieldType::number},
                               {"town", FieldType::text},
                               {"", FieldType::number}});
  return all;
}

/// Aborts where a value is not of its field's type, or a text doesn't lie in the input.
void check(std::span<const Value> row, std::string_view input) {
  if (row.size() != fields().size()) std::abort();
  for (std::size_t i = 0; i < row.size(); ++i) {
    const bool is_text = fields().fields()[i].type == FieldType::text;
    if (row[i].kind == (is_text ? Value::Kind::number : Value::Kind::text)) std::abort();
    if (row[i].kind != Value::Kind::text || row[i].text.empty()) continue;
    if (row[i].text.data() < input.data() || row[i].text.data() + row[i].text.size() > input.data() + input.size()) {
      std::abort();
    }
  }
}

/// Everything that was read, to compare; empty: refused.
std::string read(BodyReader& reader, std::string_view input, std::uint32_t rows) {
  const Status opened = reader.open(input, rows, fields());
  if (!opened.ok()) {
    if (opened.code() != Code::invalid_argument && opened.code() != Code::failed_precondition) std::abort();
    return {};
  }
  std::string all = "read";
  std::span<const Value> row;
  for (std::uint32_t i = 0; i < rows; ++i) {
    const Status next = reader.next(row);
    if (!next.ok()) {
      if (next.code() != Code::invalid_argument || next.message().empty()) std::abort();
      return {};
    }
    check(row, input);
    for (const Value& value : row) {
      all.append(std::to_string(static_cast<int>(value.kind))).append(value.text);
      all.append(reinterpret_cast<const char*>(&value.number), sizeof value.number);
    }
  }
  return reader.finish().ok() ? all : std::string();
}

bool target(std::string_view input) {
  static BodyReader reader, another;
  bool is_taken = false;
  for (const std::uint32_t rows : {1u, 2u, 3u, 7u}) {
    const std::string all = read(reader, input, rows);
    if (all != read(another, input, rows)) std::abort();
    is_taken = is_taken || !all.empty();
    const auto answer = decode_prediction(input, rows);
    if (!answer.ok()) continue;
    is_taken = true;
    if (!answer->value.empty() && answer->value.size() != rows) std::abort();
    if (!answer->label.empty() && answer->label.size() != rows) std::abort();
    if (answer->scores.size() != answer->classes.size() * (answer->classes.empty() ? 1 : rows)) std::abort();
  }
  return is_taken;
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const auto& [name, bytes] : samples::all()) {
    if (name.find("body") != std::string::npos) all.push_back(bytes);
  }
  const std::vector<NamedRow> rows = {{{"sex", Value::of("M")}, {"age", Value::of(30.5)}, {"town", Value::of("Rome")}},
                                      {},
                                      {{"bodyweight_kg", Value::of(-1e300)}, {"", Value::of(0.0)}}};
  all.push_back(encode_rows(rows));
  all.push_back(encode_rows(std::span(rows).first(1)));
  const std::vector<Value> values = {Value::of("M"), Value::of(1.5), Value(), Value::of("Rome"), Value(),
                                     Value::of("F"), Value(),        Value(), Value(),           Value::of(3.0)};
  all.push_back(encode_vectors(5, values));
  // {"columns": {"sex": ["M", nil], "age": [1, 2.5]}}
  all.emplace_back(
      "\x81\xa7"
      "columns\x82\xa3sex\x92\xa1M\xc0\xa3"
      "age\x92\x01\xcb\x40\x04\0\0\0\0\0\0",
      33);
  AnswerWriter answers;
  const std::string_view classes[] = {"no", "yes"};
  answers.begin(model::Task::binary, classes, true);
  answers.add({0.75, 1, {0.25, 0.75}});
  answers.add({0.5, 0, {0.5, 0.5}});
  answers.finish(all.emplace_back());
  answers.begin(model::Task::regression, {}, false);
  answers.add({0.75, 0, {}});
  answers.finish(all.emplace_back());
  return all;
}

}  // namespace

int main() { return espalier::testing::run_fuzzer(seeds(), target); }
