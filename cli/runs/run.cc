// run list, show, log and files.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/runs/run_commands.h"
#include "cli/runs/run_reading.h"
#include "common/files.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kRunNameWidth = 12;  ///< with it a row of a list takes 80 columns
constexpr std::size_t kMinutes = 16;       ///< of a time without its seconds

std::string duration_text(const wire::RunRecord& run) {
  return run.ended_us == 0 ? "-" : seconds_text(static_cast<double>(run.ended_us - run.created_us) * 1e-6);
}

/// Names and values one below the other, under their title where they have one.
void print_values(const std::string& title, const std::vector<std::pair<std::string, std::string>>& values) {
  if (values.empty()) return;
  Table table({title, ""});
  for (const auto& [name, value] : values) table.add({"  " + name, value});
  const std::string text = table.text();
  print_line(title.empty() ? text.substr(text.find('\n') + 1) : text);
}

void print_run(const wire::RunRecord& run) {
  print_line("run " + run.run.text() + " of " + run.tenant + "/" + run.model);
  std::vector<std::pair<std::string, std::string>> about = {
      {"name", run.name.empty() ? "-" : run.name},
      {"status", std::string(wire::run_status_name(run.status))},
      {"started", time_text(run.created_us)},
      {"took", duration_text(run)},
      {"by", run.principal},
  };
  if (!run.message.empty()) about.emplace_back("message", run.message);
  if (!run.description.empty()) about.emplace_back("description", run.description);
  if (!run.spec.is_none()) about.emplace_back("spec", run.spec.hex());
  if (!run.dataset.is_none()) about.emplace_back("dataset", run.dataset.hex());
  for (const auto& [key, value] : run.properties) about.emplace_back("properties." + key, value);
  print_values("", about);
  std::vector<std::pair<std::string, std::string>> params;
  for (const auto& [name, value] : params_of(run)) params.emplace_back(name, param_text(value));
  print_values("parameters", params);
  if (!run.metrics.empty()) {
    Table table({"metrics", "last", "step", "points"});
    for (const auto& [name, metric] : run.metrics) {
      table.add({"  " + name, number_text(metric.value), std::to_string(metric.step), count_text(metric.count)});
    }
    print_line(table.text());
  }
  if (!run.files.empty()) print_line(files_text(run));
}

Result<wire::RunRecord> run_of(client::RegistryClient& registry, const std::string& tenant, const std::string& run) {
  ASSIGN_OR_RETURN(const Uuid uuid, Uuid::parse(run));
  ASSIGN_OR_RETURN(auto runs, runs_of(registry, tenant, {uuid}));
  return std::move(runs.front());
}

Status print_file(client::RegistryClient& registry, const RunFilesOptions& options, const Shared& shared) {
  wire::RunFileRequest request;
  request.tenant = options.tenant;
  ASSIGN_OR_RETURN(request.run, Uuid::parse(options.run));
  request.name = options.get;
  ASSIGN_OR_RETURN(const wire::RunFileReply reply, registry.call(request));
  if (options.to.empty()) {
    std::fwrite(reply.content.data(), 1, reply.content.size(), stdout);
    std::fflush(stdout);
    return {};
  }
  RETURN_IF_ERROR(Files::system().replace(options.to, reply.content));
  if (shared.json) {
    print_json({{"name", reply.file.name}, {"path", options.to}, {"bytes", reply.file.bytes}});
  } else {
    print_line("wrote " + options.to + " (" + bytes_text(reply.file.bytes) + ")");
  }
  return {};
}

}  // namespace

Status run_run_list(const RunListOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
  Table table({"run", "name", "status", "started"});
  std::uint64_t count = 0;
  const RunQuery query{options.what, options.where, options.order, options.limit, as_of};
  RETURN_IF_ERROR(each_run(*registry, query, [&](const wire::RunRecord& run) {
    if (shared.json) {
      print_line((count == 0 ? "[" : ",") + run_json(run).dump(-1, ' ', false, json::error_handler_t::replace));
    } else {
      table.add({run.run.text(), shortened(run.name, kRunNameWidth), std::string(wire::run_status_name(run.status)),
                 time_text(run.created_us).substr(0, kMinutes)});
    }
    ++count;
    return Status();
  }));
  if (shared.json) {
    print_line(count == 0 ? "[]" : "]");
  } else {
    print_line(count > 0 ? table.text() : "no runs found");
  }
  return {};
}

Status run_run_show(const RunShowOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::RunRecord run, run_of(*registry, options.tenant, options.run));
  if (shared.json) {
    print_json(run_json(run));
  } else {
    print_run(run);
  }
  return {};
}

// Printed page by page: a run may have more points than memory.
Status run_run_log(const RunLogOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  wire::RunMetricsRequest request;
  request.tenant = options.tenant;
  request.name = options.metric;
  ASSIGN_OR_RETURN(request.run, Uuid::parse(options.run));
  std::uint64_t count = 0;
  do {
    ASSIGN_OR_RETURN(const wire::RunMetricsReply page, registry->call(request));
    Table table({"metric", "step", "value", "time"});
    for (const wire::RunPoint& point : page.points) {
      if (shared.json) {
        const json document = {
            {"name", point.name}, {"step", point.step}, {"value", point.value}, {"time_us", point.time_us}};
        print_line((count == 0 ? "[" : ",") + document.dump(-1, ' ', false, json::error_handler_t::replace));
      } else {
        table.add({point.name, std::to_string(point.step), number_text(point.value), time_text(point.time_us)});
      }
      ++count;
    }
    if (!shared.json && table.rows() > 0) print_line(table.text());
    request.cursor = page.cursor;
  } while (!request.cursor.empty());
  if (shared.json) {
    print_line(count == 0 ? "[]" : "]");
  } else if (count == 0) {
    print_line("nothing was logged");
  }
  return {};
}

Status run_run_files(const RunFilesOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  if (!options.get.empty()) return print_file(*registry, options, shared);
  ASSIGN_OR_RETURN(const wire::RunRecord run, run_of(*registry, options.tenant, options.run));
  if (shared.json) {
    print_json(run_json(run)["files"]);
  } else {
    print_line(run.files.empty() ? "no files" : files_text(run));
  }
  return {};
}

}  // namespace espalier::cli
