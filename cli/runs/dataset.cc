// dataset list and show.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/runs/run_commands.h"
#include "cli/runs/run_reading.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kFewestDigits = 8;
constexpr std::size_t kShownDigits = 16;
constexpr std::size_t kSourceWidth = 20;
constexpr std::size_t kNameWidth = 20;
constexpr std::size_t kValuesWidth = 32;

Status each_dataset(client::RegistryClient& registry, wire::SearchRequest request,
                    const std::function<void(const wire::DatasetRecord& dataset)>& take) {
  request.kind = "datasets";
  request.limit = 1000;
  do {
    ASSIGN_OR_RETURN(const wire::SearchReply page, registry.call(request));
    for (const wire::SearchRow& row : page.rows) {
      ASSIGN_OR_RETURN(const auto dataset, wire::decode<wire::DatasetRecord>(row.record));
      take(dataset);
    }
    request.cursor = page.cursor;
  } while (!request.cursor.empty());
  return {};
}

/// The one that begins with these digits.
Result<Hash256> fingerprint_of(client::RegistryClient& registry, const std::string& tenant, const std::string& digits) {
  if (digits.size() == 2 * sizeof(Hash256)) return Hash256::parse(digits);
  if (digits.size() < kFewestDigits) {
    return invalid_argument("dataset: a fingerprint, or at least its first " + std::to_string(kFewestDigits) +
                            " digits");
  }
  std::vector<Hash256> found;
  wire::SearchRequest request;
  request.tenant = tenant;
  RETURN_IF_ERROR(each_dataset(registry, request, [&](const wire::DatasetRecord& dataset) {
    if (dataset.dataset.hex().starts_with(digits)) found.push_back(dataset.dataset);
  }));
  if (found.empty()) return not_found("dataset " + digits);
  if (found.size() > 1) return invalid_argument("dataset: " + digits + " begins more than one fingerprint");
  return found.front();
}

std::string values_text(const wire::ColumnProfile& column) {
  if (column.count == 0) return "-";
  if (column.type == model::FieldType::number) {
    return number_text(column.min) + " to " + number_text(column.max) + ", mean " + number_text(column.mean);
  }
  if (!column.first.empty()) return column.first + " to " + column.last;
  std::string text = count_text(column.distinct) + " different";
  for (const auto& value : column.top) text += (&value == &column.top.front() ? ": " : ", ") + value.value;
  return shortened(text, kValuesWidth);
}

void print_dataset(const wire::DatasetRecord& dataset) {
  print_line("dataset " + dataset.dataset.hex());
  Table about({"of", dataset.tenant});
  about.add({"source", dataset.source});
  if (!dataset.where.empty()) about.add({"where", dataset.where});
  about.add({"rows", count_text(dataset.rows)});
  if (!dataset.first.empty()) about.add({"time", dataset.first + " to " + dataset.last});
  about.add({"put", time_text(dataset.created_us) + " by " + dataset.principal});
  for (const auto& [key, value] : dataset.properties) about.add({"properties." + key, value});
  print_line(about.text());
  Table columns({"column", "values", "missing", "hold"});
  for (const auto& column : dataset.columns) {
    columns.add({shortened(column.name, kNameWidth), count_text(column.count), count_text(column.missing),
                 values_text(column)});
  }
  print_line(columns.text());
}

}  // namespace

Status run_dataset_list(const DatasetListOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
  wire::SearchRequest request;
  request.tenant = options.tenant;
  request.where = options.where;
  request.order = options.order;
  request.epoch = as_of.epoch;
  request.time_us = as_of.time_us;
  Table table({"dataset", "source", "rows", "put"});
  json list = json::array();
  RETURN_IF_ERROR(each_dataset(*registry, request, [&](const wire::DatasetRecord& dataset) {
    table.add({dataset.dataset.hex().substr(0, kShownDigits), shortened(dataset.source, kSourceWidth),
               count_text(dataset.rows), time_text(dataset.created_us)});
    json document = dataset_json(dataset);
    document.erase("columns");
    list.push_back(std::move(document));
  }));
  if (shared.json) {
    print_json(list);
  } else {
    print_line(table.rows() > 0 ? table.text() : "no datasets found");
  }
  return {};
}

Status run_dataset_show(const DatasetShowOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const Hash256 fingerprint, fingerprint_of(*registry, options.tenant, options.dataset));
  ASSIGN_OR_RETURN(const auto reply, registry->call(wire::DatasetsRequest{options.tenant, {fingerprint}}));
  if (shared.json) {
    print_json(dataset_json(reply.datasets.front()));
  } else {
    print_dataset(reply.datasets.front());
  }
  return {};
}

}  // namespace espalier::cli
