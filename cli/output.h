// How the commands print: lines, tables for people, text for JSON.
//
// Thread safety: main thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace espalier::cli {

/// One line on stdout, flushed, so that a reader of a pipe sees it at once.
void print_line(std::string_view line);
/// strerror of errno.
std::string system_error_text();
/// A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_text(std::string_view text);

/// Columns as wide as their widest cell; two spaces between them. Cells that all look like numbers stand to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  /// REQUIRES: as many cells as the header has.
  void add(std::vector<std::string> cells);
  std::size_t rows() const { return rows_.size() - 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;  ///< the header first
};

/// "3.5", "0.0042", "97.83": six significant digits.
std::string number_text(double number);
/// "1,234,567"
std::string count_text(std::uint64_t count);
/// "412 ms", "3.20 s"
std::string seconds_text(double seconds);
/// "3 h", "12 min", "40 s": rounded down.
std::string age_text(std::int64_t us);
/// "912 B", "34 kB", "1.2 MB"
std::string bytes_text(std::uint64_t bytes);
/// "2026-11-20 22:15:03" in UTC, from microseconds since 1970.
std::string time_text(std::int64_t wall_us);
/// A partition for people: "usa/ca", and "(root)" for the root.
std::string partition_text(const std::vector<std::string>& values);
/// At most `width` characters, the last an ellipsis where some are left out.
std::string shortened(const std::string& text, std::size_t width);
/// As shortened(), but the first one is the ellipsis.
std::string ending(const std::string& text, std::size_t width);

}  // namespace espalier::cli
