#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"

namespace espalier::cli {
namespace {

using nlohmann::json;
using Cells = std::vector<std::string>;

/// How rows of a kind are shown.
struct Shape {
  Cells header;
  std::function<Result<Cells>(const wire::SearchRow&)> cells;
  std::function<Result<json>(const wire::SearchRow&)> document;
};

std::string model_text(const wire::SearchRow& row) { return row.tenant + "/" + row.model; }

/// A Shape from functions of the decoded record.
template <class Record, class ToCells, class ToJson>
Shape shape_of(Cells header, ToCells to_cells, ToJson to_json) {
  return {std::move(header),
          [to_cells](const wire::SearchRow& row) -> Result<Cells> {
            ASSIGN_OR_RETURN(const Record record, wire::decode<Record>(row.record));
            return to_cells(row, record);
          },
          [to_json](const wire::SearchRow& row) -> Result<json> {
            ASSIGN_OR_RETURN(const Record record, wire::decode<Record>(row.record));
            json document = to_json(record);
            document["tenant"] = row.tenant;
            document["model"] = row.model;
            return document;
          }};
}

Shape versions_shape() {
  return shape_of<wire::VersionRecord>(
      {"model", "node", "version", "made", "rows", "held-out metrics", "size"},
      [](const wire::SearchRow& row, const wire::VersionRecord& version) {
        return Cells{model_text(row),
                     partition_text(version.partition),
                     version.version.text(),
                     time_text(version.created_us),
                     count_text(version.rows),
                     metrics_text(version.metrics_json),
                     bytes_text(version.artefact_bytes)};
      },
      version_json);
}

Shape releases_shape() {
  return shape_of<wire::ReleaseRecord>(
      {"model", "release", "made", "tag", "nodes", "epoch", "by", "note"},
      [](const wire::SearchRow& row, const wire::ReleaseRecord& release) {
        return Cells{
            model_text(row),           release.release.text(),        time_text(release.time_us), release.tag,
            count_text(release.moved), std::to_string(release.epoch), release.principal,          release.note};
      },
      release_json);
}

Shape nodes_shape() {
  return shape_of<wire::NodeRecord>(
      {"model", "node", "level", "versions", "newest", "made"},
      [](const wire::SearchRow& row, const wire::NodeRecord& node) {
        return Cells{model_text(row),     partition_text(node.partition), node.level, count_text(node.versions),
                     node.version.text(), time_text(node.created_us)};
      },
      [](const wire::NodeRecord& node) {
        return json{{"partition", node.partition},        {"level", node.level},           {"versions", node.versions},
                    {"version", uuid_json(node.version)}, {"created_us", node.created_us}, {"epoch", node.epoch}};
      });
}

Shape models_shape() {
  return shape_of<wire::ModelRecord>(
      {"model", "task", "levels", "fields", "tags"},
      [](const wire::SearchRow& row, const wire::ModelRecord& model) {
        const auto joined = [](const Cells& names, const char* between) {
          std::string text;
          for (const auto& name : names) text.append(text.empty() ? "" : between).append(name);
          return text;
        };
        return Cells{model_text(row), std::string(model::task_name(model.task)), joined(model.levels, "/"),
                     count_text(model.fields.size()), joined(model.tags, ", ")};
      },
      [](const wire::ModelRecord& model) {
        return json{{"task", model::task_name(model.task)},
                    {"spec", model.spec.hex()},
                    {"levels", model.levels},
                    {"fields", model.fields.size()},
                    {"tags", model.tags}};
      });
}

Shape tenants_shape() {
  return {{"tenant", "models"},
          [](const wire::SearchRow& row) -> Result<Cells> {
            ASSIGN_OR_RETURN(const auto tenant, wire::decode<wire::TenantRecord>(row.record));
            return Cells{tenant.tenant, count_text(tenant.models)};
          },
          [](const wire::SearchRow& row) -> Result<json> {
            ASSIGN_OR_RETURN(const auto tenant, wire::decode<wire::TenantRecord>(row.record));
            return json{{"tenant", tenant.tenant}, {"models", tenant.models}};
          }};
}

Shape runs_shape() {
  return shape_of<wire::RunRecord>(
      {"model", "run", "name", "status", "started"},
      [](const wire::SearchRow& row, const wire::RunRecord& run) {
        return Cells{model_text(row), run.run.text(), run.name, std::string(wire::run_status_name(run.status)),
                     time_text(run.created_us)};
      },
      run_json);
}

/// Of no model; without columns, which `dataset show` has.
Shape datasets_shape() {
  return {{"tenant", "dataset", "source", "rows"},
          [](const wire::SearchRow& row) -> Result<Cells> {
            ASSIGN_OR_RETURN(const auto dataset, wire::decode<wire::DatasetRecord>(row.record));
            return Cells{dataset.tenant, dataset.dataset.hex(), dataset.source, count_text(dataset.rows)};
          },
          [](const wire::SearchRow& row) -> Result<json> {
            ASSIGN_OR_RETURN(const auto dataset, wire::decode<wire::DatasetRecord>(row.record));
            json document = dataset_json(dataset);
            document.erase("columns");
            return document;
          }};
}

Result<Shape> shape_of(const std::string& kind) {
  if (kind == "versions") return versions_shape();
  if (kind == "releases") return releases_shape();
  if (kind == "nodes") return nodes_shape();
  if (kind == "models") return models_shape();
  if (kind == "tenants") return tenants_shape();
  if (kind == "runs") return runs_shape();
  if (kind == "datasets") return datasets_shape();
  return invalid_argument("kind: no '" + kind +
                          "'; there are versions, releases, nodes, models, tenants, runs, datasets");
}

Result<wire::SearchRequest> request_of(const SearchOptions& options) {
  wire::SearchRequest request;
  request.kind = options.kind;
  request.where = options.where;
  request.order = options.order;
  request.tenant = options.tenant;
  request.model = options.model;
  if (options.model.find('/') != std::string::npos) {
    ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
    if (!node.partition.is_root()) return invalid_argument("--model: a partition makes no sense here");
    if (!options.tenant.empty() && options.tenant != node.tenant) {
      return invalid_argument("--model: names tenant " + node.tenant + ", --tenant names " + options.tenant);
    }
    request.tenant = node.tenant;
    request.model = node.model;
  }
  ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
  request.epoch = as_of.epoch;
  request.time_us = as_of.time_us;
  return request;
}

}  // namespace

// JSON is printed page by page: what is found may be larger than memory.
Status run_search(const SearchOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const Shape shape, shape_of(options.kind));
  ASSIGN_OR_RETURN(wire::SearchRequest request, request_of(options));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  constexpr std::uint32_t kPage = 1000;
  Table table(shape.header);
  std::uint64_t count = 0;
  bool more = true;
  while (more) {
    const std::uint64_t left = options.limit == 0 ? kPage : options.limit - count;
    request.limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, kPage));
    ASSIGN_OR_RETURN(const wire::SearchReply page, registry->call(request));
    for (const wire::SearchRow& row : page.rows) {
      if (shared.json) {
        ASSIGN_OR_RETURN(const json document, shape.document(row));
        print_line((count == 0 ? "[" : ",") + document.dump(-1, ' ', false, json::error_handler_t::replace));
      } else {
        ASSIGN_OR_RETURN(Cells cells, shape.cells(row));
        table.add(std::move(cells));
      }
      ++count;
    }
    request.cursor = page.cursor;
    more = !page.cursor.empty() && (options.limit == 0 || count < options.limit);
  }
  if (shared.json) {
    print_line(count == 0 ? "[]" : "]");
  } else {
    print_line(table.rows() > 0 ? table.text() : "no " + options.kind + " found");
    if (!request.cursor.empty()) print_line("(the first " + count_text(count) + "; there may be more)");
  }
  return Status();
}

}  // namespace espalier::cli
