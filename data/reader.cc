#include "data/reader.h"

#include <charconv>
#include <cstdlib>

#include "data/delimited.h"
#include "data/json_lines.h"
#include "data/line_source.h"

namespace espalier::data {

Result<Format> format_of(std::string_view path) {
  if (path.ends_with(".csv")) return Format::csv;
  if (path.ends_with(".tsv")) return Format::tsv;
  if (path.ends_with(".jsonl") || path.ends_with(".ndjson")) return Format::json_lines;
  return invalid_argument(std::string(path) + ": the name ends in none of .csv, .tsv, .jsonl, .ndjson");
}

Result<std::unique_ptr<Reader>> Reader::open(const std::string& path, const ReaderOptions& options) {
  Format format;
  if (options.format) {
    format = *options.format;
  } else {
    ASSIGN_OR_RETURN(format, format_of(path));
  }
  ASSIGN_OR_RETURN(auto source, LineSource::open(path, options.fingerprint));
  if (format == Format::json_lines) return JsonLinesReader::open(std::move(source));
  return DelimitedReader::open(std::move(source), format);
}

Result<ReadFile> read_file(const std::string& path, const std::vector<model::Field>& fields,
                           const ReaderOptions& options) {
  ASSIGN_OR_RETURN(auto reader, Reader::open(path, options));
  RETURN_IF_ERROR(reader->select(fields));
  ReadFile result{Frame(fields), {}};
  for (;;) {
    ASSIGN_OR_RETURN(const std::size_t rows, reader->read(result.frame, 1u << 20));
    if (rows == 0) break;
  }
  if (options.fingerprint) result.fingerprint = reader->fingerprint();
  return result;
}

std::optional<double> parse_number(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size()) return std::nullopt;
  // Too small for a double is zero or close to it, too large is infinite: strtod tells them apart.
  if (error == std::errc::result_out_of_range)
    number = std::strtod(std::string(text).c_str(), nullptr);
  else if (error != std::errc{})
    return std::nullopt;
  if (!std::isfinite(number)) return std::nullopt;
  return number;
}

}  // namespace espalier::data
