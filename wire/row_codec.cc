#include "wire/row_codec.h"

#include <cassert>

#include "wire/codec.h"

namespace espalier::wire {
namespace {

/// Bytes of one float.
constexpr std::size_t kRealBytes = 9;
/// Head of a text, an array or a map, at most, and the keys around them.
constexpr std::size_t kHeadBytes = 5;
constexpr std::size_t kKeysBytes = 64;

void write_value(Writer& writer, const model::Value& value) {
  switch (value.kind) {
    case model::Value::Kind::missing: writer.nil(); break;
    case model::Value::Kind::number: writer.real(value.number); break;
    case model::Value::Kind::text: writer.text(value.text); break;
  }
}

}  // namespace

FieldIndex::FieldIndex(std::vector<model::Field> fields) : fields_(std::move(fields)) {
  by_name_.reserve(fields_.size());
  for (std::uint32_t i = 0; i < fields_.size(); ++i) by_name_.emplace(fields_[i].name, i);
}

BodyReader::BodyReader() : reader_(std::make_unique<Reader>(std::string_view())) {}
BodyReader::~BodyReader() = default;

Status BodyReader::open(std::string_view body, std::uint32_t rows, const FieldIndex& fields) {
  *reader_ = Reader(body, "body");
  fields_ = &fields;
  form_ = Form::none;
  schema_ = row_ = 0;
  start_ = end_ = nullptr;
  newer_schema_ = false;
  columns_.clear();
  values_.assign(fields.size(), model::Value());
  set_in_row_.assign(fields.size(), 0);
  if (open_top(rows)) return {};
  if (newer_schema_) return failed_precondition(reader_->status().message());
  return reader_->status();
}

bool BodyReader::open_top(std::uint32_t rows) {
  Reader& reader = *reader_;
  std::uint32_t keys = 0;
  if (!reader.read_map(keys)) return false;
  bool schema_given = false;
  for (std::uint32_t i = 0; i < keys; ++i) {
    std::string_view key;
    if (!reader.read_text(key)) return false;
    reader.enter(key);
    if (is_key(key, "schema")) {
      std::uint64_t schema = 0;
      if (schema_given) return reader.fail("the key comes twice");
      if (!reader.read_unsigned(schema)) return false;
      if (schema == 0) return reader.fail("must be at least 1");
      if (schema > fields_->size()) {
        newer_schema_ = true;
        return reader.fail(std::to_string(schema) + " is newer than " + std::to_string(fields_->size()) +
                           ", the model's input schema here");
      }
      schema_ = static_cast<std::uint32_t>(schema);
      schema_given = true;
    } else if (!open_form(key, i + 1 == keys, rows)) {
      return false;
    }
    reader.leave();
  }
  if (form_ == Form::none) return reader.fail("has none of rows, columns and vectors");
  if (form_ == Form::vectors && !schema_given)
    return reader.fail("vectors without schema, the number of the input schema");
  const bool walked = form_ == Form::columns || end_ != nullptr;
  if (walked && !reader.finish()) return false;
  if (form_ != Form::columns) reader.seek(start_);
  return true;
}

bool BodyReader::open_form(std::string_view key, bool last, std::uint32_t rows) {
  const Form form = is_key(key, "rows")      ? Form::rows
                    : is_key(key, "columns") ? Form::columns
                    : is_key(key, "vectors") ? Form::vectors
                                             : Form::none;
  if (form == Form::none) return reader_->skip();
  if (form_ != Form::none) return reader_->fail("only one of rows, columns and vectors may be given");
  form_ = form;
  return form == Form::columns ? open_columns(rows) : open_list(rows, last);
}

bool BodyReader::open_list(std::uint32_t rows, bool last) {
  Reader& reader = *reader_;
  const char* from = reader.position();
  std::uint32_t count = 0;
  if (!reader.read_array(count)) return false;
  if (count != rows) {
    return reader.fail(std::to_string(count) + " rows, the header says " + std::to_string(rows));
  }
  start_ = reader.position();
  // The list that comes last is checked while its rows are read.
  if (last) return true;
  reader.seek(from);
  if (!reader.skip()) return false;
  end_ = reader.position();
  return true;
}

bool BodyReader::open_columns(std::uint32_t rows) {
  Reader& reader = *reader_;
  std::uint32_t count = 0;
  if (!reader.read_map(count)) return false;
  if (count == 0) return reader.fail("no columns");
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view name;
    if (!reader.read_text(name)) return false;
    reader.enter(name);
    Column column;
    if (!find_field(name, i, column.field)) return false;
    if (set_in_row_[column.field] != 0) return reader.fail("the column comes twice");
    set_in_row_[column.field] = 1;
    const char* from = reader.position();
    std::uint32_t elements = 0;
    if (!reader.read_array(elements)) return false;
    if (elements != rows) {
      return reader.fail(std::to_string(elements) + " rows, the header says " + std::to_string(rows));
    }
    column.at = reader.position();
    reader.seek(from);
    if (!reader.skip()) return false;
    columns_.push_back(column);
    reader.leave();
  }
  return true;
}

bool BodyReader::find_field(std::string_view name, std::uint32_t hint, std::uint32_t& field) {
  field = fields_->find(name, hint);
  return field != FieldIndex::kNone || reader_->fail("the model's input schema has no such field");
}

bool BodyReader::read_value(std::uint32_t field) {
  Reader& reader = *reader_;
  model::Value& value = values_[field];
  if (reader.peek() == Reader::Type::nil) {
    value.kind = model::Value::Kind::missing;
    return reader.read_nil();
  }
  if (fields_->fields()[field].type == model::FieldType::number) {
    value.kind = model::Value::Kind::number;
    return reader.read_number(value.number);
  }
  value.kind = model::Value::Kind::text;
  return reader.read_text(value.text);
}

Status BodyReader::next(std::span<const model::Value>& row) {
  bool good = false;
  switch (form_) {
    case Form::rows: good = next_of_rows(); break;
    case Form::columns: good = next_of_columns(); break;
    case Form::vectors: good = next_of_vectors(); break;
    case Form::none: break;
  }
  if (!good) return reader_->status();
  ++row_;
  row = values_;
  return {};
}

bool BodyReader::next_of_rows() {
  Reader& reader = *reader_;
  reader.enter("rows");
  reader.enter(row_);
  std::uint32_t count = 0;
  if (!reader.read_map(count)) return false;
  if (count < values_.size()) {
    for (model::Value& value : values_) value.kind = model::Value::Kind::missing;
  }
  std::uint32_t hint = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view name;
    if (!reader.read_text(name)) return false;
    reader.enter(name);
    std::uint32_t field = 0;
    if (!find_field(name, hint, field)) return false;
    if (set_in_row_[field] == row_ + 1) return reader.fail("the field comes twice");
    set_in_row_[field] = row_ + 1;
    if (!read_value(field)) return false;
    hint = field + 1;
    reader.leave();
  }
  reader.leave();
  reader.leave();
  return true;
}

bool BodyReader::next_of_columns() {
  Reader& reader = *reader_;
  reader.enter("columns");
  for (Column& column : columns_) {
    reader.enter(fields_->fields()[column.field].name);
    reader.enter(row_);
    reader.seek(column.at);
    if (!read_value(column.field)) return false;
    column.at = reader.position();
    reader.leave();
    reader.leave();
  }
  reader.leave();
  return true;
}

bool BodyReader::next_of_vectors() {
  Reader& reader = *reader_;
  reader.enter("vectors");
  reader.enter(row_);
  std::uint32_t count = 0;
  if (!reader.read_array(count)) return false;
  if (count != schema_) {
    return reader.fail(std::to_string(count) + " values, the input schema " + std::to_string(schema_) + " has " +
                       std::to_string(schema_));
  }
  for (std::uint32_t field = 0; field < count; ++field) {
    reader.enter(field);
    if (!read_value(field)) return false;
    reader.leave();
  }
  reader.leave();
  reader.leave();
  return true;
}

Status BodyReader::finish() {
  // Lists that are not last were walked to their end by open(), columns too: there the rows taken end where they must.
  if (form_ == Form::columns || end_ != nullptr) return {};
  if (!reader_->finish()) return reader_->status();
  return {};
}

void AnswerWriter::begin(model::Task task, std::span<const std::string_view> classes, bool all_scores) {
  task_ = task;
  classes_ = classes;
  all_scores_ = all_scores && task != model::Task::regression;
  bytes_ = kKeysBytes + 4 * kHeadBytes;
  if (all_scores_) {
    for (const std::string_view name : classes) bytes_ += kHeadBytes + name.size();
  }
  values_.clear();
  best_.clear();
  scores_.clear();
}

void AnswerWriter::add(const model::Output& output) {
  values_.push_back(output.value);
  bytes_ += kRealBytes;
  if (task_ == model::Task::regression) return;
  best_.push_back(output.best);
  bytes_ += kHeadBytes + classes_[output.best].size();
  if (!all_scores_) return;
  assert(output.scores.size() == classes_.size());
  scores_.insert(scores_.end(), output.scores.begin(), output.scores.end());
  bytes_ += kHeadBytes + output.scores.size() * kRealBytes;
}

void AnswerWriter::finish(std::string& to) const {
  to.clear();
  to.reserve(bytes_);
  Writer writer(to);
  const auto rows = static_cast<std::uint32_t>(values_.size());
  const bool regression = task_ == model::Task::regression;
  writer.map(regression ? 1 : all_scores_ ? 4 : 2);
  if (!regression) {
    writer.key("label");
    writer.array(rows);
    for (const std::uint32_t best : best_) writer.text(classes_[best]);
  }
  regression ? writer.key("value") : writer.key("probability");
  writer.array(rows);
  for (const double value : values_) writer.real(value);
  if (!all_scores_) return;
  const auto classes = static_cast<std::uint32_t>(classes_.size());
  writer.key("classes");
  writer.array(classes);
  for (const std::string_view name : classes_) writer.text(name);
  writer.key("scores");
  writer.array(rows);
  for (std::uint32_t row = 0; row < rows; ++row) {
    writer.array(classes);
    for (std::uint32_t i = 0; i < classes; ++i) writer.real(scores_[std::size_t{row} * classes + i]);
  }
}

std::string encode_rows(std::span<const NamedRow> rows) {
  std::string body;
  Writer writer(body);
  writer.map(1);
  writer.key("rows");
  writer.array(static_cast<std::uint32_t>(rows.size()));
  for (const NamedRow& row : rows) {
    writer.map(static_cast<std::uint32_t>(row.size()));
    for (const auto& [name, value] : row) {
      writer.text(name);
      write_value(writer, value);
    }
  }
  return body;
}

std::string encode_vectors(std::uint32_t schema, std::span<const model::Value> values) {
  assert(schema > 0 && values.size() % schema == 0);
  std::string body;
  Writer writer(body);
  writer.map(2);
  writer.key("schema");
  writer.number(schema);
  writer.key("vectors");
  writer.array(static_cast<std::uint32_t>(values.size() / schema));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % schema == 0) writer.array(schema);
    write_value(writer, values[i]);
  }
  return body;
}

}  // namespace espalier::wire
