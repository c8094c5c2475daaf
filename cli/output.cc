#include "cli/output.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "model/ids.h"

namespace espalier::cli {
namespace {

bool looks_like_number(const std::string& cell) {
  return cell.empty() || cell == "-" || cell.find_first_not_of("0123456789.,-+e%") == std::string::npos;
}

// Columns on a terminal, taking each code point for one.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

}  // namespace

void print_line(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

std::string system_error_text() { return std::strerror(errno); }

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::text() const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> right(columns, rows_.size() > 1);
  for (const auto& row : rows_) {
    for (std::size_t c = 0; c < columns; ++c) {
      widths[c] = std::max(widths[c], width(row[c]));
      if (&row != &rows_.front() && !looks_like_number(row[c])) right[c] = false;
    }
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string padding(widths[c] - width(row[c]), ' ');
      if (c > 0) line += "  ";
      line += right[c] ? padding + row[c] : row[c] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  if (!out.empty()) out.pop_back();
  return out;
}

std::string number_text(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", number);
  return text;
}

std::string count_text(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string seconds_text(double seconds) {
  char text[32];
  if (seconds < 1)
    std::snprintf(text, sizeof text, "%.0f ms", seconds * 1e3);
  else
    std::snprintf(text, sizeof text, "%.2f s", seconds);
  return text;
}

std::string age_text(std::int64_t us) {
  const std::int64_t seconds = us / 1'000'000;
  if (seconds >= 172'800) return std::to_string(seconds / 86'400) + " days";
  if (seconds >= 7'200) return std::to_string(seconds / 3'600) + " h";
  return seconds >= 120 ? std::to_string(seconds / 60) + " min" : std::to_string(seconds) + " s";
}

std::string bytes_text(std::uint64_t bytes) {
  char text[32];
  if (bytes < 1000)
    std::snprintf(text, sizeof text, "%llu B", static_cast<unsigned long long>(bytes));
  else if (bytes < 1000000)
    std::snprintf(text, sizeof text, "%.3g kB", static_cast<double>(bytes) / 1e3);
  else
    std::snprintf(text, sizeof text, "%.3g MB", static_cast<double>(bytes) / 1e6);
  return text;
}

std::string time_text(std::int64_t wall_us) {
  const std::time_t seconds = static_cast<std::time_t>(wall_us / 1000000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::string partition_text(const std::vector<std::string>& values) {
  auto partition = model::Partition::from_values(values);
  if (!partition.ok()) return "?";
  return partition->is_root() ? "(root)" : partition->text();
}

std::string shortened(const std::string& text, std::size_t width) {
  std::size_t characters = 0, at = 0, cut = 0;
  while (at < text.size()) {
    if (characters + 1 == width) cut = at;
    ++characters;
    ++at;
    while (at < text.size() && !begins_character(text[at])) ++at;
  }
  return characters <= width ? text : text.substr(0, cut) + "…";
}

std::string ending(const std::string& text, std::size_t width) {
  std::size_t characters = 0, cut = 0;
  for (std::size_t at = text.size(); at-- > 0;) {
    if (begins_character(text[at]) && ++characters == width - 1) cut = at;
  }
  return characters <= width ? text : "…" + text.substr(cut);
}

}  // namespace espalier::cli
