#include "registry/records/datasets.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "common/bytes.h"
#include "model/properties.h"
#include "registry/keys.h"
#include "registry/reading.h"
#include "registry/search/index.h"
#include "registry/space/erased.h"
#include "wire/messages.h"

namespace espalier::registry {
namespace {

constexpr std::size_t kMaxNameBytes = 1'024;

Status check_text(std::string_view text, std::string_view what) {
  const std::string place(what);
  if (text.size() > kMaxNameBytes) {
    return invalid_argument(place + ": " + std::to_string(text.size()) + " bytes, at most " +
                            std::to_string(kMaxNameBytes) + " are allowed");
  }
  if (!is_utf8(text)) return invalid_argument(place + ": not UTF-8");
  if (text.find('\0') != std::string_view::npos) return invalid_argument(place + ": holds a NUL");
  return {};
}

Status check_column(const wire::ColumnProfile& column, std::uint64_t rows) {
  if (column.name.empty()) return invalid_argument("name: empty");
  for (const std::string* text : {&column.name, &column.first, &column.last}) {
    RETURN_IF_ERROR(check_text(*text, "name, first, last"));
  }
  if (column.count > rows || column.missing != rows - column.count) {
    return invalid_argument("count and missing: " + std::to_string(column.count) + " and " +
                            std::to_string(column.missing) + " of " + std::to_string(rows) + " rows");
  }
  for (const double number : {column.min, column.max, column.mean}) {
    if (!std::isfinite(number)) return invalid_argument("min, max, mean: the number must be finite");
  }
  if (column.count > 0 && column.min > column.max) return invalid_argument("min: above max");
  if (column.top.size() > kMaxTopValues) {
    return invalid_argument("top: " + std::to_string(column.top.size()) + " values, at most " +
                            std::to_string(kMaxTopValues) + " are allowed");
  }
  for (const wire::ValueCount& value : column.top) {
    RETURN_IF_ERROR(check_text(value.value, "top"));
    if (value.count > column.count) return invalid_argument("top: a value that comes more often than there are any");
  }
  return {};
}

Status check(const wire::DatasetRecord& dataset) {
  if (dataset.dataset.is_none()) return invalid_argument("dataset: a fingerprint is needed");
  if (dataset.source.empty()) return invalid_argument("source: empty");
  RETURN_IF_ERROR(check_text(dataset.source, "source"));
  RETURN_IF_ERROR(check_text(dataset.principal, "principal"));
  if (dataset.where.size() > (16u << 10) || !is_utf8(dataset.where)) {
    return invalid_argument("where: at most 16384 bytes of UTF-8");
  }
  RETURN_IF_ERROR(check_text(dataset.first, "first"));
  RETURN_IF_ERROR(check_text(dataset.last, "last"));
  RETURN_IF_ERROR(model::check_properties(dataset.properties));
  if (dataset.columns.size() > kMaxDatasetColumns) {
    return invalid_argument("columns: " + std::to_string(dataset.columns.size()) + " of them, at most " +
                            std::to_string(kMaxDatasetColumns) + " are allowed");
  }
  for (std::size_t i = 0; i < dataset.columns.size(); ++i) {
    const wire::ColumnProfile& column = dataset.columns[i];
    RETURN_IF_ERROR(check_column(column, dataset.rows).at("columns[" + std::to_string(i) + "] (" + column.name + ")"));
  }
  return {};
}

Status other_rows(const wire::DatasetRecord& known) {
  return failed_precondition("dataset " + known.dataset.hex() + " has " + std::to_string(known.rows) + " rows of " +
                             known.source + ": other rows need another fingerprint");
}

bool is_before(const wire::ColumnProfile& a, const wire::ColumnProfile& b) {
  return std::tie(a.name, a.type) < std::tie(b.name, b.type);
}

/// By name and type; what the first has stays.
void add_columns(std::vector<wire::ColumnProfile>& to, const std::vector<wire::ColumnProfile>& from) {
  for (const wire::ColumnProfile& column : from) {
    const auto at = std::ranges::lower_bound(to, column, is_before);
    if (at == to.end() || is_before(column, *at)) to.insert(at, column);
  }
}

}  // namespace

Result<std::optional<wire::DatasetRecord>> Datasets::find(const std::string& tenant, const Hash256& dataset,
                                                          std::uint64_t epoch) const {
  const std::string prefix = keys::dataset(tenant, dataset);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, prefix, epoch));
  if (!dated) return std::optional<wire::DatasetRecord>();
  auto record = wire::decode<wire::DatasetRecord>(dated->value);
  if (!record.ok()) return bad_record(prefix, record.status());
  return std::optional(*std::move(record));
}

Result<wire::DatasetRecord> Datasets::get(const std::string& tenant, const Hash256& dataset,
                                          std::uint64_t epoch) const {
  // While its tenant is being erased it may be there for a while.
  ASSIGN_OR_RETURN(const auto erased, Erased(store_).find(tenant));
  if (erased) return not_found("dataset " + dataset.hex());
  ASSIGN_OR_RETURN(auto record, find(tenant, dataset, epoch));
  if (!record) return not_found("dataset " + dataset.hex());
  return *std::move(record);
}

Result<std::uint64_t> Datasets::put(Batch& batch, const wire::DatasetRecord& dataset,
                                    const std::string& principal) const {
  wire::DatasetRecord record = dataset;
  record.principal = principal;
  record.created_us = batch.time_us();
  return bring(batch, record);
}

Status Datasets::check_same(const std::string& tenant, const Hash256& dataset, const Hash256& file,
                            std::uint64_t rows) const {
  ASSIGN_OR_RETURN(const auto known, find(tenant, dataset, std::numeric_limits<std::uint64_t>::max()));
  return !known || (known->rows == rows && known->file == file) ? Status() : other_rows(*known);
}

Result<std::uint64_t> Datasets::bring(Batch& batch, const wire::DatasetRecord& dataset) const {
  RETURN_IF_ERROR(check(dataset));
  const std::string prefix = keys::dataset(dataset.tenant, dataset.dataset);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, prefix, std::numeric_limits<std::uint64_t>::max()));
  wire::DatasetRecord record = dataset;
  record.columns.clear();
  record.epoch = batch.epoch();
  if (dated) {
    auto known = wire::decode<wire::DatasetRecord>(dated->value);
    if (!known.ok()) return bad_record(prefix, known.status());
    // The filter may be another: the fingerprint is that of the rows, whoever chose them how.
    if (known->rows != dataset.rows || known->file != dataset.file) return other_rows(*known);
    record = *std::move(known);
  }
  add_columns(record.columns, dataset.columns);
  if (record.columns.size() > kMaxDatasetColumns) {
    return invalid_argument("columns: the dataset would have " + std::to_string(record.columns.size()) +
                            " of them, at most " + std::to_string(kMaxDatasetColumns) + " are allowed");
  }
  const std::string bytes = wire::encode(record);
  if (bytes.size() > kMaxProfileBytes) {
    return invalid_argument("columns: a record of " + std::to_string(bytes.size()) + " bytes, at most " +
                            std::to_string(kMaxProfileBytes) + " are allowed");
  }
  if (dated && bytes == dated->value) return dated->epoch;
  std::string key = prefix;
  append_u64_be(key, ~batch.epoch());
  batch.put(key, bytes);
  if (!dated) {
    each_dataset_entry(record, [&](std::string_view entry, std::string_view value) { batch.put(entry, value); });
  }
  return batch.epoch();
}

void each_dataset_entry(const wire::DatasetRecord& dataset,
                        const std::function<void(std::string_view key, std::string_view value)>& take) {
  std::string since;
  append(since, dataset.epoch);
  const std::string attributes = keys::record_index(dataset.tenant, {}, keys::RecordIndex::attributes);
  const auto attribute = [&](std::string_view name, std::string_view text) {
    if (text.empty() || text.size() > search::kMaxIndexedTextBytes) return;
    take(keys::index_attribute(attributes, name, text).append(dataset.dataset.view()), since);
  };
  attribute("dataset", dataset.dataset.hex());
  attribute("source", dataset.source);
  if (!dataset.file.is_none()) attribute("file", dataset.file.hex());
  attribute("principal", dataset.principal);
  for (const auto& [key, value] : dataset.properties) attribute(search::property_name(key), value);
  std::string made = keys::record_index(dataset.tenant, {}, keys::RecordIndex::made);
  append_u64_be(made, ~dataset.epoch);
  take(made.append(dataset.dataset.view()), since);
}

}  // namespace espalier::registry
