// The bodies of a prediction: a part's rows on the way in, its predictions on the way out. Their grammar is in
// docs/wire-protocol.md.
//
// Thread safety: a FieldIndex is immutable and may be shared; readers and writers belong to one thread and are reused
// by it. Ownership: values that a BodyReader gives borrow their texts from the body. Errors: invalid_argument names the
// place within the part: "rows[2].bodyweight_kg: expected a number, got text".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/status.h"
#include "model/value.h"
#include "wire/messages.h"

namespace espalier::wire {

class Reader;

/// A model's input schema, for finding its fields by name.
class FieldIndex {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  explicit FieldIndex(std::vector<model::Field> fields);
  FieldIndex(const FieldIndex&) = delete;
  FieldIndex& operator=(const FieldIndex&) = delete;

  const std::vector<model::Field>& fields() const { return fields_; }
  std::size_t size() const { return fields_.size(); }
  /// Its place in fields(), kNone when there is none. `hint`: where it is expected.
  std::uint32_t find(std::string_view name, std::uint32_t hint) const {
    if (hint < fields_.size() && fields_[hint].name == name) return hint;
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? kNone : found->second;
  }

 private:
  std::vector<model::Field> fields_;
  std::unordered_map<std::string_view, std::uint32_t> by_name_;
};

/// Gives a part's rows one by one, from any of the three forms. Nothing is kept for rows not read yet, so memory does
/// not grow with the body.
///
///   RETURN_IF_ERROR(reader.open(body, rows, fields));
///   for (r = 0; r < rows; ++r) { std::span<const model::Value> row; RETURN_IF_ERROR(reader.next(row)); … }
///   RETURN_IF_ERROR(reader.finish());
class BodyReader {
 public:
  BodyReader();
  ~BodyReader();
  BodyReader(const BodyReader&) = delete;
  BodyReader& operator=(const BodyReader&) = delete;

  /// `rows` is what the header says of the part. invalid_argument: not one of the forms, another number of rows, an
  /// unknown column; failed_precondition: vectors of a schema newer than `fields`. `body` and `fields` must outlive the
  /// reading.
  Status open(std::string_view body, std::uint32_t rows, const FieldIndex& fields);
  /// One value a field of the schema, in its order; valid until the next call. Absent and nil values are missing.
  /// REQUIRES: open() was ok and fewer than `rows` rows were taken.
  Status next(std::span<const model::Value>& row);
  /// invalid_argument: bytes after the last row. REQUIRES: all rows were taken.
  Status finish();

 private:
  enum class Form : std::uint8_t { none, rows, columns, vectors };
  struct Column {
    std::uint32_t field;
    const char* at;
  };

  bool open_top(std::uint32_t rows);
  bool open_form(std::string_view key, bool last, std::uint32_t rows);
  bool open_list(std::uint32_t rows, bool last);
  bool open_columns(std::uint32_t rows);
  bool next_of_rows();
  bool next_of_columns();
  bool next_of_vectors();
  bool read_value(std::uint32_t field);
  bool find_field(std::string_view name, std::uint32_t hint, std::uint32_t& field);

  std::unique_ptr<Reader> reader_;
  const FieldIndex* fields_ = nullptr;
  Form form_ = Form::none;
  std::uint32_t schema_ = 0;
  std::uint32_t row_ = 0;
  const char* start_ = nullptr;  ///< of the list's first element
  const char* end_ = nullptr;    ///< where the list must end; null: at the end of the body
  bool newer_schema_ = false;
  std::vector<Column> columns_;
  std::vector<model::Value> values_;
  std::vector<std::uint32_t> set_in_row_;  ///< by field: row + 1 in which it was set last
};

/// Collects a part's predictions and writes its reply body.
class AnswerWriter {
 public:
  /// `classes` (empty for regression) must outlive finish().
  void begin(model::Task task, std::span<const std::string_view> classes, bool all_scores);
  /// REQUIRES: for binary and multiclass, `output` has one score a class where all scores are asked for.
  void add(const model::Output& output);
  /// How large the body will be, at most; to stop before it is too large.
  std::size_t most_bytes() const { return bytes_; }
  /// `to` is overwritten.
  void finish(std::string& to) const;

 private:
  model::Task task_ = model::Task::regression;
  std::span<const std::string_view> classes_;
  bool all_scores_ = false;
  std::size_t bytes_ = 0;
  std::vector<double> values_;
  std::vector<std::uint32_t> best_;
  std::vector<double> scores_;  ///< row-major: rows x classes
};

/// A reply's body as its client reads it. Regression fills `value`; the other tasks `label` and `probability`, and,
/// where all scores were asked for, `classes` and `scores` (row-major, rows x classes).
struct PartPrediction {
  std::vector<double> value;
  std::vector<std::string> label;
  std::vector<double> probability;
  std::vector<std::string> classes;
  std::vector<double> scores;
};
/// corrupt: not a reply body of `rows` rows.
Result<PartPrediction> decode_prediction(std::string_view body, std::uint32_t rows);

/// Request bodies. A row of names: fields left out are missing. Vectors: `values` row-major, `schema` of them a row, in
/// the schema's order.
using NamedRow = std::vector<std::pair<std::string_view, model::Value>>;
std::string encode_rows(std::span<const NamedRow> rows);
/// REQUIRES: schema > 0 and values.size() is a multiple of it.
std::string encode_vectors(std::uint32_t schema, std::span<const model::Value> values);

}  // namespace espalier::wire
