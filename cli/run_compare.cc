// run compare: parameters and last metrics of many runs, a column a run, as many columns beside each other as a
// terminal of 80 has room for.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/run_commands.h"
#include "cli/run_reading.h"

namespace espalier::cli {
namespace {

using nlohmann::json;
using Cells = std::vector<std::string>;

constexpr std::size_t kScreenColumns = 80;
constexpr std::size_t kMostCell = 16;  ///< a time without its seconds, too
constexpr std::size_t kUuidTail = 12;  ///< of a run without a name: the part that differs most

/// What a row shows of each run.
struct Line {
  std::string name;
  Cells cells;
};

/// The name where no other run has it, else the end of the UUID.
Cells titles_of(const std::vector<wire::RunRecord>& runs) {
  std::map<std::string, int> counts;
  for (const auto& run : runs) ++counts[run.name];
  Cells titles;
  for (const auto& run : runs) {
    const std::string uuid = run.run.text();
    const bool is_own = !run.name.empty() && counts[run.name] == 1;
    titles.push_back(is_own ? shortened(run.name, kMostCell) : uuid.substr(uuid.size() - kUuidTail));
  }
  return titles;
}

bool is_same(const Cells& cells) {
  return std::ranges::all_of(cells, [&](const std::string& cell) { return cell == cells.front(); });
}

std::vector<Line> lines_of(const std::vector<wire::RunRecord>& runs, bool all, std::size_t& left_out) {
  std::vector<Line> lines;
  const auto add = [&](const std::string& name, const auto& cell) {
    Line line{name, {}};
    for (const auto& run : runs) line.cells.push_back(shortened(cell(run), kMostCell));
    lines.push_back(std::move(line));
  };
  add("status", [](const wire::RunRecord& run) { return std::string(wire::run_status_name(run.status)); });
  add("started", [](const wire::RunRecord& run) { return time_text(run.created_us).substr(0, kMostCell); });
  std::vector<std::map<std::string, std::string>> params;
  std::set<std::string> names, metrics;
  for (const auto& run : runs) {
    const auto pairs = params_text(run);
    params.emplace_back(pairs.begin(), pairs.end());
    for (const auto& [name, value] : pairs) names.insert(name);
    for (const auto& [name, metric] : run.metrics) metrics.insert(name);
  }
  for (const std::string& name : names) {
    std::size_t i = 0;
    add("params." + name, [&](const wire::RunRecord&) {
      const auto found = params[i].find(name);
      return params[i++].end() == found ? std::string("-") : found->second;
    });
    if (all || runs.size() < 2 || !is_same(lines.back().cells)) continue;
    lines.pop_back();
    ++left_out;
  }
  for (const std::string& name : metrics) {
    add("metrics." + name, [&](const wire::RunRecord& run) {
      const auto found = run.metrics.find(name);
      return found == run.metrics.end() ? std::string("-") : number_text(found->second.value);
    });
  }
  return lines;
}

/// Bytes are enough: cells that are cut are the only ones with more of them than characters.
std::size_t width_of(const std::vector<Line>& lines, const Cells& titles, std::size_t column) {
  std::size_t width = titles[column].size();
  for (const Line& line : lines) width = std::max(width, line.cells[column].size());
  return width + 2;
}

void print_blocks(const std::vector<Line>& lines, const Cells& titles) {
  std::size_t names = 3;
  for (const Line& line : lines) names = std::max(names, line.name.size());
  for (std::size_t from = 0; from < titles.size();) {
    std::size_t until = from, used = names;
    do {
      used += width_of(lines, titles, until++);
    } while (until < titles.size() && used + width_of(lines, titles, until) <= kScreenColumns);
    Cells header = {"run"};
    for (std::size_t i = from; i < until; ++i) header.push_back(titles[i]);
    Table table(std::move(header));
    for (const Line& line : lines) {
      Cells cells = {line.name};
      for (std::size_t i = from; i < until; ++i) cells.push_back(line.cells[i]);
      table.add(std::move(cells));
    }
    if (from > 0) print_line("");
    print_line(table.text());
    from = until;
  }
}

Result<std::vector<wire::RunRecord>> asked_for(client::RegistryClient& registry, const RunCompareOptions& options) {
  std::vector<wire::RunRecord> runs;
  if (options.runs.empty()) {
    RETURN_IF_ERROR(
        each_run(registry, {options.what, options.where, options.order, 0, {}}, [&](const wire::RunRecord& run) {
          runs.push_back(run);
          return Status();
        }));
    return runs;
  }
  std::vector<Uuid> uuids;
  for (const std::string& run : options.runs) {
    ASSIGN_OR_RETURN(uuids.emplace_back(), Uuid::parse(run));
  }
  return runs_of(registry, options.what.substr(0, options.what.find('/')), uuids);
}

}  // namespace

Status run_run_compare(const RunCompareOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const auto runs, asked_for(*registry, options));
  if (shared.json) {
    json list = json::array();
    for (const auto& run : runs) list.push_back(run_json(run));
    print_json(list);
    return {};
  }
  if (runs.empty()) {
    print_line("no runs found");
    return {};
  }
  std::size_t left_out = 0;
  const std::vector<Line> lines = lines_of(runs, options.all, left_out);
  print_blocks(lines, titles_of(runs));
  if (left_out > 0) {
    print_line("(" + count_text(left_out) + (left_out == 1 ? " parameter is" : " parameters are") +
               " the same in all; --all shows them)");
  }
  return {};
}

}  // namespace espalier::cli
