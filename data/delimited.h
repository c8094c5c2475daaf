// CSV and TSV (see data/reader.h).
//
// Thread safety, ownership, errors: as Reader.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/line_source.h"
#include "data/reader.h"

namespace espalier::data {

class DelimitedReader final : public Reader {
 public:
  /// Reads the header.
  static Result<std::unique_ptr<Reader>> open(std::unique_ptr<LineSource> source, Format format);

  Status select(const std::vector<model::Field>& fields) override;
  Result<std::size_t> read(Frame& frame, std::size_t max_rows) override;
  Hash256 fingerprint() override { return source_->fingerprint(); }

 private:
  struct Cell {
    std::string_view text;  ///< in the source's window
    bool doubled = false;   ///< holds doubled quotes
  };
  enum class Scan { complete, cut_off, unclosed_quote, text_after_quote };

  explicit DelimitedReader(std::unique_ptr<LineSource> source, Format format)
      : source_(std::move(source)), delimiter_(format == Format::csv ? ',' : '\t'), quotes_(format == Format::csv) {}

  /// Fills cells_ with the next record; false at the end.
  Result<bool> next_record();
  Scan scan(std::string_view bytes, bool is_last);
  Scan scan_cell(std::string_view bytes, bool is_last, std::size_t& at);
  std::string_view cell_text(const Cell& cell);
  Status append_row(Frame& frame);
  std::string place() const;

  std::unique_ptr<LineSource> source_;
  const char delimiter_;
  const bool quotes_;
  std::vector<std::size_t> selected_;  ///< for each column of the frame, the cell it takes
  // The record at hand.
  std::vector<Cell> cells_;
  std::size_t record_bytes_ = 0;  ///< consumed before the next record is read
  std::uint64_t line_ = 1;        ///< on which it begins
  std::uint64_t next_line_ = 1;
  std::string unescaped_;
};

}  // namespace espalier::data
