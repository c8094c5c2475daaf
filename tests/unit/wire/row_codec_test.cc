#include "wire/row_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "wire/codec.h"

namespace espalier::wire {
namespace {

using model::FieldType;
using model::Value;

const FieldIndex& fields() {
  static const FieldIndex index({{"sex", FieldType::text}, {"age", FieldType::number}, {"kg", FieldType::number}});
  return index;
}

std::string body(const std::function<void(Writer&)>& write) {
  std::string bytes;
  Writer writer(bytes);
  write(writer);
  return bytes;
}

std::string text_of(std::span<const Value> row) {
  std::string text;
  for (const Value& value : row) {
    if (!text.empty()) text += ' ';
    switch (value.kind) {
      case Value::Kind::missing: text += '-'; break;
      case Value::Kind::number: text += std::to_string(static_cast<int>(value.number)); break;
      case Value::Kind::text: text += value.text; break;
    }
  }
  return text;
}

Result<std::string> read_all(BodyReader& reader, std::string_view bytes, std::uint32_t rows) {
  RETURN_IF_ERROR(reader.open(bytes, rows, fields()));
  std::string text;
  for (std::uint32_t i = 0; i < rows; ++i) {
    std::span<const Value> row;
    RETURN_IF_ERROR(reader.next(row));
    if (i > 0) text += " | ";
    text += text_of(row);
  }
  RETURN_IF_ERROR(reader.finish());
  return text;
}

void one_row(Writer& w) {
  w.array(1);
  w.map(1);
  w.text("age");
  w.number(41);
}

TEST(BodyReader, ReadsEachForm) {
  BodyReader reader;
  const std::vector<NamedRow> named = {{{"sex", Value::of("M")}, {"age", Value::of(30.0)}, {"kg", Value::of(80.0)}},
                                       {{"kg", Value::of(70.0)}, {"sex", Value()}},
                                       {}};
  ASSERT_OK_AND_ASSIGN(const std::string rows, read_all(reader, encode_rows(named), 3));
  EXPECT_EQ(rows, "M 30 80 | - - 70 | - - -");

  const std::vector<Value> values = {Value::of("F"), Value(), Value::of("M"), Value::of(7.0)};
  ASSERT_OK_AND_ASSIGN(const std::string vectors, read_all(reader, encode_vectors(2, values), 2));
  EXPECT_EQ(vectors, "F - - | M 7 -") << "an earlier schema: what came later is missing";

  const std::string columns = body([](Writer& w) {
    w.map(1);
    w.key("columns");
    w.map(2);
    w.text("kg");
    w.array(2);
    w.number(1);
    w.real(2);
    w.text("sex");
    w.array(2);
    w.text("M");
    w.nil();
  });
  ASSERT_OK_AND_ASSIGN(const std::string by_column, read_all(reader, columns, 2));
  EXPECT_EQ(by_column, "M - 1 | - - 2");
}

TEST(BodyReader, TakesKeysInAnyOrderAndIgnoresUnknownOnes) {
  BodyReader reader;
  const std::string bytes = body([](Writer& w) {
    w.map(3);
    w.key("vectors");
    w.array(1);
    w.array(1);
    w.text("M");
    w.key("later");
    w.array(1);
    w.nil();
    w.key("schema");
    w.number(1);
  });
  ASSERT_OK_AND_ASSIGN(const std::string rows, read_all(reader, bytes, 1));
  EXPECT_EQ(rows, "M - -");
}

TEST(BodyReader, RefusesAndNamesThePlace) {
  struct Case {
    std::function<void(Writer&)> write;
    std::string message;
    Code code = Code::invalid_argument;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const auto row_with = [](const char* name, const std::function<void(Writer&)>& value) {
    return [=](Writer& w) {
      w.map(1);
      w.key("rows");
      w.array(1);
      w.map(1);
      w.text(name);
      value(w);
    };
  };
  for (const Case& c : std::initializer_list<Case>{
           {[](Writer&) {}, "body: expected a map, got the end of the bytes"},
           {[](Writer& w) { w.array(0); }, "body: expected a map, got an array"},
           {[](Writer& w) { w.map(0); }, "body: has none of rows, columns and vectors"},
           {[](Writer& w) { w.map(1), w.key("rows"), w.map(0); }, "rows: expected an array, got a map"},
           {[](Writer& w) { w.map(1), w.key("rows"), w.array(0); }, "rows: 0 rows, the header says 1"},
           {[](Writer& w) { w.map(1), w.key("rows"), w.array(2), w.map(0), w.map(0); },
            "rows: 2 rows, the header says 1"},
           {[](Writer& w) { w.map(1), w.key("rows"), w.array(1), w.nil(); }, "rows[0]: expected a map, got nil"},
           {[](Writer& w) { w.map(1), w.key("rows"), one_row(w), w.nil(); }, "body: 1 bytes too many after the value"},
           {[](Writer& w) { w.map(2), w.key("rows"), one_row(w), w.key("rows"), one_row(w); },
            "rows: only one of rows, columns and vectors may be given"},
           {row_with("height", [](Writer& w) { w.number(1); }),
            "rows[0].height: the model's input schema has no such field"},
           {row_with("age", [](Writer& w) { w.text("41"); }), "rows[0].age: expected a number, got text"},
           {row_with("age", [](Writer& w) { w.boolean(true); }), "rows[0].age: expected a number, got a boolean"},
           {row_with("age", [nan](Writer& w) { w.real(nan); }), "rows[0].age: NaN is not a number"},
           {row_with("age", [infinity](Writer& w) { w.real(-infinity); }), "rows[0].age: the number must be finite"},
           {row_with("sex", [](Writer& w) { w.number(1); }), "rows[0].sex: expected text, got an unsigned integer"},
           {row_with("sex", [](Writer& w) { w.text("\xc3"); }), "rows[0].sex: the text is not UTF-8"},
           {[](Writer& w) {
              w.map(1), w.key("rows"), w.array(1), w.map(2);
              w.text("age"), w.number(1), w.text("age"), w.number(2);
            },
            "rows[0].age: the field comes twice"},
           {[](Writer& w) { w.map(1), w.key("columns"), w.map(0); }, "columns: no columns"},
           {[](Writer& w) { w.map(1), w.key("columns"), w.map(1), w.text("age"), w.array(2), w.nil(), w.nil(); },
            "columns.age: 2 rows, the header says 1"},
           {[](Writer& w) { w.map(1), w.key("columns"), w.map(1), w.text("x"), w.array(1), w.nil(); },
            "columns.x: the model's input schema has no such field"},
           {[](Writer& w) {
              w.map(1), w.key("columns"), w.map(2);
              w.text("age"), w.array(1), w.nil(), w.text("age"), w.array(1), w.nil();
            },
            "columns.age: the column comes twice"},
           {[](Writer& w) { w.map(1), w.key("columns"), w.map(1), w.text("age"), w.array(1), w.text("x"); },
            "columns.age[0]: expected a number, got text"},
           {[](Writer& w) { w.map(1), w.key("vectors"), w.array(1), w.array(0); },
            "body: vectors without schema, the number of the input schema"},
           {[](Writer& w) { w.map(2), w.key("schema"), w.number(0), w.key("vectors"), w.array(1), w.array(0); },
            "schema: must be at least 1"},
           {[](Writer& w) { w.map(2), w.key("schema"), w.number(4), w.key("vectors"), w.array(1), w.array(0); },
            "schema: 4 is newer than 3, the model's input schema here", Code::failed_precondition},
           {[](Writer& w) {
              w.map(2), w.key("schema"), w.number(2), w.key("vectors"), w.array(1), w.array(1), w.nil();
            },
            "vectors[0]: 1 values, the input schema 2 has 2"},
           {[](Writer& w) {
              w.map(2), w.key("schema"), w.number(2), w.key("vectors"), w.array(1), w.array(2), w.nil(), w.text("x");
            },
            "vectors[0][1]: expected a number, got text"}}) {
    BodyReader reader;
    const auto read = read_all(reader, body(c.write), 1);
    ASSERT_CODE(read, c.code) << c.message;
    EXPECT_EQ(read.status().message(), c.message);
    EXPECT_OK(read_all(reader, encode_rows(std::vector<NamedRow>(1)), 1).status()) << "usable after a failure";
  }
}

TEST(BodyReader, RefusesEveryTruncation) {
  BodyReader reader;
  const std::vector<Value> values = {Value::of("F"), Value::of(1.5), Value::of("M"), Value::of(7.0)};
  const std::vector<NamedRow> named = {{{"sex", Value::of("M")}, {"age", Value::of(30.0)}}, {}};
  for (const std::string& whole : {encode_vectors(2, values), encode_rows(named)}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_CODE(read_all(reader, std::string_view(whole).substr(0, size), 2), Code::invalid_argument) << size;
    }
  }
}

model::Output output(double value, std::uint32_t best = 0, std::vector<double> scores = {}) {
  return {value, best, std::move(scores)};
}

TEST(AnswerWriter, WritesWhatClientsRead) {
  AnswerWriter writer;
  std::string bytes;
  writer.begin(model::Task::regression, {}, true);
  writer.add(output(1.5));
  writer.add(output(-2));
  EXPECT_GE(writer.most_bytes(), 20u);
  writer.finish(bytes);
  ASSERT_OK_AND_ASSIGN(const PartPrediction values, decode_prediction(bytes, 2));
  EXPECT_EQ(values.value, (std::vector<double>{1.5, -2}));
  EXPECT_TRUE(values.label.empty());

  const std::string_view classes[] = {"no", "yes"};
  writer.begin(model::Task::binary, classes, false);
  writer.add(output(0.75, 1, {0.25, 0.75}));
  writer.finish(bytes);
  ASSERT_OK_AND_ASSIGN(const PartPrediction labels, decode_prediction(bytes, 1));
  EXPECT_EQ(labels.label, (std::vector<std::string>{"yes"}));
  EXPECT_EQ(labels.probability, (std::vector<double>{0.75}));
  EXPECT_TRUE(labels.scores.empty());

  writer.begin(model::Task::multiclass, classes, true);
  writer.add(output(0.75, 1, {0.25, 0.75}));
  writer.add(output(0.5, 0, {0.5, 0.5}));
  writer.finish(bytes);
  EXPECT_LE(bytes.size(), writer.most_bytes());
  ASSERT_OK_AND_ASSIGN(const PartPrediction scores, decode_prediction(bytes, 2));
  EXPECT_EQ(scores.classes, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(scores.scores, (std::vector<double>{0.25, 0.75, 0.5, 0.5}));
}

TEST(DecodePrediction, RefusesWhatIsNoReplyBody) {
  struct Case {
    std::function<void(Writer&)> write;
    std::string message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {[](Writer&) {}, "reply body: expected a map, got the end of the bytes"},
           {[](Writer& w) { w.map(0); }, "reply body: neither values nor labels with probabilities"},
           {[](Writer& w) { w.map(1), w.key("value"), w.array(1), w.real(1); }, "value: 1 rows, the header says 2"},
           {[](Writer& w) { w.map(1), w.key("value"), w.array(2), w.real(1), w.nil(); },
            "value[1]: expected a number, got nil"},
           {[](Writer& w) { w.map(1), w.key("label"), w.array(2), w.text("a"), w.text("b"); },
            "reply body: neither values nor labels with probabilities"},
           {[](Writer& w) {
              w.map(3), w.key("label"), w.array(2), w.text("a"), w.text("b");
              w.key("probability"), w.array(2), w.real(1), w.real(1);
              w.key("scores"), w.array(2), w.array(1), w.real(1), w.array(0);
            },
            "scores[1]: a row of another length"},
           {[](Writer& w) {
              w.map(3), w.key("label"), w.array(2), w.text("a"), w.text("b");
              w.key("probability"), w.array(2), w.real(1), w.real(1);
              w.key("scores"), w.array(2), w.array(1), w.real(1), w.array(1), w.real(1);
            },
            "reply body: scores and classes differ in number"}}) {
    const auto decoded = decode_prediction(body(c.write), 2);
    ASSERT_CODE(decoded, Code::corrupt) << c.message;
    EXPECT_EQ(decoded.status().message(), c.message);
  }
}

TEST(FieldIndex, FindsByNameWhateverIsExpected) {
  EXPECT_EQ(fields().find("age", 1), 1u);
  EXPECT_EQ(fields().find("age", 0), 1u);
  EXPECT_EQ(fields().find("age", 99), 1u);
  EXPECT_EQ(fields().find("Age", 1), FieldIndex::kNone);
  EXPECT_EQ(FieldIndex({}).find("age", 0), FieldIndex::kNone);
}

}  // namespace
}  // namespace espalier::wire
