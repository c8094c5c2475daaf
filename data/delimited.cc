#include "data/delimited.h"

#include <algorithm>
#include <cstring>

#include "common/bytes.h"

namespace espalier::data {
namespace {

/// Far more than a text may count for, and far less than a file in memory.
constexpr std::size_t kMaxRecordBytes = 16u << 20;

std::string counted(std::size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 40;
  return "'" + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "…'" : "'");
}

}  // namespace

Result<std::unique_ptr<Reader>> DelimitedReader::open(std::unique_ptr<LineSource> source, Format format) {
  std::unique_ptr<DelimitedReader> reader(new DelimitedReader(std::move(source), format));
  ASSIGN_OR_RETURN(const bool has_header, reader->next_record());
  if (!has_header) return invalid_argument(reader->source_->path() + ": no header: the file is empty");
  for (const Cell& cell : reader->cells_) {
    std::string name(reader->cell_text(cell));
    if (std::ranges::find(reader->columns_, name) != reader->columns_.end()) {
      return invalid_argument(reader->place() + "the header has the column " + quoted(name) + " twice");
    }
    reader->columns_.push_back(std::move(name));
  }
  return std::unique_ptr<Reader>(std::move(reader));
}

Status DelimitedReader::select(const std::vector<model::Field>& fields) {
  selected_.clear();
  for (const model::Field& field : fields) {
    const auto found = std::ranges::find(columns_, field.name);
    if (found == columns_.end()) {
      std::string names;
      for (const std::string& name : columns_) names += (names.empty() ? "" : ", ") + name;
      return invalid_argument(source_->path() + ":1: no column " + quoted(field.name) + "; the header has " + names);
    }
    selected_.push_back(static_cast<std::size_t>(found - columns_.begin()));
  }
  return {};
}

Result<std::size_t> DelimitedReader::read(Frame& frame, std::size_t max_rows) {
  std::size_t rows = 0;
  while (rows < max_rows) {
    ASSIGN_OR_RETURN(const bool is_there, next_record());
    if (!is_there) break;
    if (cells_.size() != columns_.size()) {
      return invalid_argument(place() + counted(cells_.size(), "field") + ", the header has " +
                              std::to_string(columns_.size()));
    }
    RETURN_IF_ERROR(append_row(frame));
    ++rows;
  }
  return rows;
}

Status DelimitedReader::append_row(Frame& frame) {
  std::vector<Column>& columns = frame.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string_view text = cell_text(cells_[selected_[i]]);
    if (columns[i].field.type == model::FieldType::text) {
      if (!is_utf8(text)) {
        return invalid_argument(place() + "column " + columns[i].field.name + ": the text is not UTF-8");
      }
      columns[i].texts.push_back(frame.arena().keep(text));
      continue;
    }
    double number = std::numeric_limits<double>::quiet_NaN();
    if (!text.empty()) {
      const std::optional<double> parsed = parse_number(text);
      if (!parsed) {
        return invalid_argument(place() + "column " + columns[i].field.name + ": " + quoted(text) +
                                " is not a finite number");
      }
      number = *parsed;
    }
    columns[i].numbers.push_back(number);
  }
  frame.end_row(line_);
  return {};
}

std::string DelimitedReader::place() const { return source_->path() + ":" + std::to_string(line_) + ": "; }

std::string_view DelimitedReader::cell_text(const Cell& cell) {
  if (!cell.doubled) return cell.text;
  unescaped_.clear();
  for (std::size_t i = 0; i < cell.text.size(); ++i) {
    unescaped_.push_back(cell.text[i]);
    if (cell.text[i] == '"') ++i;
  }
  return unescaped_;
}

Result<bool> DelimitedReader::next_record() {
  for (;;) {
    source_->consume(record_bytes_);
    record_bytes_ = 0;
    line_ = next_line_;
    bool is_last = false;
    Scan result = Scan::cut_off;
    while (result == Scan::cut_off) {
      result = scan(source_->window(), is_last);
      if (result != Scan::cut_off) break;
      if (source_->window().size() > kMaxRecordBytes) {
        return invalid_argument(place() + "field " + std::to_string(cells_.size() + 1) +
                                ": the record is longer than " + std::to_string(kMaxRecordBytes >> 20) +
                                " MiB; is a quote never closed?");
      }
      ASSIGN_OR_RETURN(const bool is_more, source_->more());
      is_last = !is_more;
      if (is_last && source_->window().empty()) return false;
    }
    if (result == Scan::unclosed_quote) {
      return invalid_argument(place() + "field " + std::to_string(cells_.size() + 1) +
                              " opens a quote that the file never closes");
    }
    if (result == Scan::text_after_quote) {
      return invalid_argument(place() + "field " + std::to_string(cells_.size() + 1) +
                              " has text behind its closing quote");
    }
    const bool is_blank = cells_.size() == 1 && cells_[0].text.empty();
    if (!is_blank || columns_.size() == 1) return true;
  }
}

DelimitedReader::Scan DelimitedReader::scan(std::string_view bytes, bool is_last) {
  cells_.clear();
  next_line_ = line_;
  std::size_t at = 0;
  for (;;) {
    const Scan result = scan_cell(bytes, is_last, at);
    if (result != Scan::complete) return result;
    if (at == bytes.size()) break;  // only at the file's end
    const char end = bytes[at++];
    if (end == delimiter_) continue;
    ++next_line_;
    break;
  }
  record_bytes_ = at;
  return Scan::complete;
}

/// Leaves `at` on the delimiter or line break behind the cell, or at the file's end.
DelimitedReader::Scan DelimitedReader::scan_cell(std::string_view bytes, bool is_last, std::size_t& at) {
  const std::size_t size = bytes.size();
  const std::size_t begin = at;
  if (quotes_ && at < size && bytes[at] == '"') {
    bool doubled = false;
    for (++at;; ++at) {
      if (at == size) return is_last ? Scan::unclosed_quote : Scan::cut_off;
      if (bytes[at] == '\n') ++next_line_;
      if (bytes[at] != '"') continue;
      if (at + 1 == size && !is_last) return Scan::cut_off;
      if (at + 1 == size || bytes[at + 1] != '"') break;
      doubled = true;
      ++at;
    }
    cells_.push_back({bytes.substr(begin + 1, at - begin - 1), doubled});
    ++at;
    if (at < size && bytes[at] == '\r') {
      if (at + 1 == size && !is_last) return Scan::cut_off;
      if (at + 1 == size || bytes[at + 1] == '\n') ++at;
    }
    if (at == size) return is_last ? Scan::complete : Scan::cut_off;
    if (bytes[at] == delimiter_ || bytes[at] == '\n') return Scan::complete;
    cells_.pop_back();
    return Scan::text_after_quote;
  }
  const char* const data = bytes.data();
  while (at < size && data[at] != delimiter_ && data[at] != '\n') ++at;
  if (at == size && !is_last) return Scan::cut_off;
  std::string_view text = bytes.substr(begin, at - begin);
  if (text.ends_with('\r') && (at == size || bytes[at] == '\n')) text.remove_suffix(1);
  cells_.push_back({text, false});
  return Scan::complete;
}

}  // namespace espalier::data
