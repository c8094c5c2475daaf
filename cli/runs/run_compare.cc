// run compare: parameters and last metrics of many runs, a column a run, as many columns beside each other as a
// terminal of 80 has room for.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/runs/run_commands.h"
#include "cli/runs/run_reading.h"

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

/// The name where no other run's looks the same, else the end of the UUID.
Cells titles_of(const std::vector<wire::RunRecord>& runs) {
  std::map<std::string, int> counts;
  for (const auto& run : runs) ++counts[shortened(run.name, kMostCell)];
  Cells titles;
  for (const auto& run : runs) {
    const std::string uuid = run.run.text(), name = shortened(run.name, kMostCell);
    const bool is_own = !name.empty() && counts[name] == 1;
    titles.push_back(is_own ? name : uuid.substr(uuid.size() - kUuidTail));
  }
  return titles;
}

/// What each run has of one parameter; null where a run has it not.
using Values = std::vector<json>;

std::size_t count_different(auto values) {
  std::sort(values.begin(), values.end());
  return static_cast<std::size_t>(std::unique(values.begin(), values.end()) - values.begin());
}

/// What differs looks different, if it is long as well: then each cell has the value's end, and numbers have all their
/// digits.
Cells cells_of(const Values& values) {
  Cells short_ones, ends;
  for (const json& value : values) {
    const std::string exact = value.is_string() ? value.get<std::string>() : value.dump();
    short_ones.push_back(value.is_null() ? "-" : shortened(param_text(value), kMostCell));
    ends.push_back(value.is_null() ? "-" : ending(exact, kMostCell));
  }
  return count_different(short_ones) < count_different(values) ? ends : short_ones;
}

void add_param_lines(const std::vector<wire::RunRecord>& runs, bool all, std::vector<Line>& lines,
                     std::size_t& left_out) {
  std::map<std::string, Values> params;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (auto& [name, value] : params_of(runs[i])) {
      params.try_emplace(name, runs.size()).first->second[i] = std::move(value);
    }
  }
  for (const auto& [name, values] : params) {
    // As they are, and not as they are shown.
    if (!all && runs.size() > 1 && count_different(values) == 1) {
      ++left_out;
    } else {
      lines.push_back({"params." + name, cells_of(values)});
    }
  }
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
  add_param_lines(runs, all, lines, left_out);
  std::set<std::string> metrics;
  for (const auto& run : runs) {
    for (const auto& [name, metric] : run.metrics) metrics.insert(name);
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
  const std::size_t slash = options.what.find('/');
  ASSIGN_OR_RETURN(runs, runs_of(registry, options.what.substr(0, slash), uuids));
  if (slash == std::string::npos) return runs;
  std::string others;
  for (const auto& run : runs) {
    if (run.model == options.what.substr(slash + 1)) continue;
    others += (others.empty() ? "" : ", ") + run.run.text() + " is one of " + run.tenant + "/" + run.model;
  }
  if (!others.empty()) return invalid_argument("not runs of " + options.what + ": " + others);
  return runs;
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
