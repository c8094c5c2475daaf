#include "cli/runs/run_reading.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

void add_params(const json& object, const std::string& prefix, std::vector<std::pair<std::string, json>>& params) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      add_params(value, prefix + name + ".", params);
    } else {
      params.emplace_back(prefix + name, value);
    }
  }
}

}  // namespace

Status each_run(client::RegistryClient& registry, const RunQuery& query,
                const std::function<Status(const wire::RunRecord& run)>& take) {
  constexpr std::uint64_t kPage = 1000;
  wire::SearchRequest request;
  request.kind = "runs";
  const std::size_t slash = query.what.find('/');
  request.tenant = query.what.substr(0, slash);
  if (slash != std::string::npos) request.model = query.what.substr(slash + 1);
  request.where = query.where;
  request.order = query.order;
  request.epoch = query.as_of.epoch;
  request.time_us = query.as_of.time_us;
  std::uint64_t count = 0;
  do {
    const std::uint64_t left = query.limit == 0 ? kPage : query.limit - count;
    request.limit = static_cast<std::uint32_t>(std::min(left, kPage));
    ASSIGN_OR_RETURN(const wire::SearchReply page, registry.call(request));
    for (const wire::SearchRow& row : page.rows) {
      ASSIGN_OR_RETURN(const wire::RunRecord run, wire::decode<wire::RunRecord>(row.record));
      RETURN_IF_ERROR(take(run));
      ++count;
    }
    request.cursor = page.cursor;
  } while (!request.cursor.empty() && (query.limit == 0 || count < query.limit));
  return {};
}

Result<std::vector<wire::RunRecord>> runs_of(client::RegistryClient& registry, const std::string& tenant,
                                             const std::vector<Uuid>& runs) {
  constexpr std::size_t kAtOnce = 256;
  std::vector<wire::RunRecord> records;
  for (std::size_t from = 0; from < runs.size(); from += kAtOnce) {
    wire::RunsRequest request;
    request.tenant = tenant;
    const std::size_t until = std::min(runs.size(), from + kAtOnce);
    for (std::size_t i = from; i < until; ++i) request.runs.push_back(runs[i]);
    ASSIGN_OR_RETURN(wire::RunsReply reply, registry.call(request));
    std::ranges::move(reply.runs, std::back_inserter(records));
  }
  return records;
}

std::vector<std::pair<std::string, json>> params_of(const wire::RunRecord& run) {
  std::vector<std::pair<std::string, json>> params;
  const json document = embedded_json(run.params_json);
  if (document.is_object()) add_params(document, "", params);
  return params;
}

std::string param_text(const json& value) {
  return value.is_string()         ? value.get<std::string>()
         : value.is_number_float() ? number_text(value.get<double>())
                                   : value.dump();
}

std::string files_text(const wire::RunRecord& run) {
  Table table({"files", "size", "attached"});
  for (const wire::RunFile& file : run.files) {
    table.add({"  " + file.name, bytes_text(file.bytes), time_text(file.time_us)});
  }
  return table.text();
}

}  // namespace espalier::cli
