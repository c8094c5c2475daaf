#include "trainer/source.h"

#include <algorithm>
#include <cassert>
#include <map>

#include "data/reader.h"
#include "data/where.h"
#include "model/ids.h"

namespace espalier::trainer {
namespace {

void add_field(std::vector<model::Field>& fields, const model::Field& field) {
  if (std::ranges::find(fields, field) == fields.end()) fields.push_back(field);
}

/// Everything that training reads, each column once for each type that it is read as.
std::vector<model::Field> fields_of(const SourceOptions& options, const model::Spec& spec, const data::Where& where,
                                    const std::vector<model::Field>& inputs) {
  std::vector<model::Field> fields;
  for (const model::Field& input : inputs) add_field(fields, input);
  add_field(fields, target_field(spec));
  for (const std::string& level : spec.levels) add_field(fields, {level, model::FieldType::text});
  for (const std::string& slice : spec.evaluation.slices) add_field(fields, {slice, model::FieldType::text});
  for (const model::Field& field : where.fields()) add_field(fields, field);
  if (!options.tenant_column.empty()) add_field(fields, {options.tenant_column, model::FieldType::text});
  return fields;
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

Status sort_by_tenant(const SourceOptions& options, const std::vector<std::uint32_t>& rows, Source& source) {
  if (options.tenant_column.empty()) {
    RETURN_IF_ERROR(model::check_name("tenant", options.tenant));
    source.tenants.push_back({options.tenant, rows});
    return {};
  }
  const auto column = source.frame.find({options.tenant_column, model::FieldType::text});
  std::map<std::string_view, std::vector<std::uint32_t>> by_value;
  for (const std::uint32_t row : rows) by_value[source.frame.columns()[*column].texts[row]].push_back(row);
  std::map<std::string, std::vector<std::uint32_t>> by_tenant;
  for (auto& [value, value_rows] : by_value) {
    std::string tenant = lower_case(value);
    RETURN_IF_ERROR(model::check_name("tenant", tenant)
                        .at(source.path + ":" + std::to_string(source.frame.line(value_rows.front())) + ": column " +
                            options.tenant_column));
    auto& of_tenant = by_tenant[std::move(tenant)];
    of_tenant.insert(of_tenant.end(), value_rows.begin(), value_rows.end());
  }
  for (auto& [tenant, tenant_rows] : by_tenant) {
    std::ranges::sort(tenant_rows);
    source.tenants.push_back({tenant, std::move(tenant_rows)});
  }
  return {};
}

}  // namespace

model::Field target_field(const model::Spec& spec) {
  const bool is_number = spec.task == model::Task::regression;
  return {spec.target.column, is_number ? model::FieldType::number : model::FieldType::text};
}

Result<Source> read_source(const SourceOptions& options, const model::Spec& spec,
                           const std::vector<model::Field>& inputs) {
  data::Where where;
  if (!options.where.empty()) {
    ASSIGN_OR_RETURN(where, data::Where::parse(options.where));
  }
  data::ReaderOptions reader_options;
  reader_options.fingerprint = true;
  ASSIGN_OR_RETURN(auto reader, data::Reader::open(options.path, reader_options));
  // The lines of a JSON file need not have all keys: there only the end of the file tells.
  const auto format = data::format_of(options.path);
  if (format.ok() && *format != data::Format::json_lines) {
    RETURN_IF_ERROR(where.check_columns(reader->columns()));
  }
  const std::vector<model::Field> fields = fields_of(options, spec, where, inputs);
  RETURN_IF_ERROR(reader->select(fields));
  Source source{.path = options.path, .frame = data::Frame(fields), .fingerprint = {}, .tenants = {}};
  for (;;) {
    ASSIGN_OR_RETURN(const std::size_t rows, reader->read(source.frame, 1u << 20));
    if (rows == 0) break;
    if (source.frame.rows() > 0xFFFFFFFFu) return invalid_argument(options.path + ": more than 4,294,967,295 rows");
  }
  source.fingerprint = reader->fingerprint();
  std::vector<std::uint32_t> rows = data::BoundWhere(where, source.frame).rows();
  source.rows_passed = rows.size();
  const std::size_t target = *source.frame.find(target_field(spec));
  std::erase_if(rows,
                [&](std::uint32_t row) { return source.frame.value(row, target).kind == model::Value::Kind::missing; });
  source.rows_without_target = source.rows_passed - rows.size();
  if (rows.empty()) {
    return invalid_argument(options.path + ": of " + std::to_string(source.frame.rows()) + " rows " +
                            std::to_string(source.rows_passed) + " pass the filter, and none of those has a target");
  }
  RETURN_IF_ERROR(sort_by_tenant(options, rows, source));
  return source;
}

FrameRows::FrameRows(const data::Frame& frame, const std::vector<std::uint32_t>& rows,
                     const std::vector<model::Field>& fields)
    : frame_(frame), rows_(rows) {
  for (const model::Field& field : fields) {
    const auto column = frame.find(field);
    assert(column && "the frame has the program's inputs");
    columns_.push_back(*column);
  }
}

void FrameRows::read(std::size_t row, std::span<model::Value> out) const {
  for (std::size_t i = 0; i < columns_.size(); ++i) out[i] = frame_.value(rows_[row], columns_[i]);
}

}  // namespace espalier::trainer
