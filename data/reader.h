// Reads labelled files row by row: CSV, TSV and JSON lines.
//
//   CSV         RFC 4180: commas; a field in double quotes may hold commas, line breaks and doubled quotes; CRLF or LF
//   TSV         tabs, no quoting
//   JSON lines  one object a line; a key that a line lacks, or null, is missing; a number or boolean taken as text is
//               its JSON spelling
//
// All: UTF-8, a byte order mark is passed over. An empty cell is missing. A line with nothing on it is passed over,
// unless the header has one column only. A cell of a number column is empty or a finite number.
//
// Memory is that of the frame and one line, whatever the size of the file.
// Thread safety: a Reader belongs to one thread. Ownership: a Reader owns its file; rows belong to the frame.
// Errors: invalid_argument naming file, line and column ("rides.csv:17: 4 fields, the header has 11"); not_found and
// unavailable for the file itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "data/frame.h"
#include "model/value.h"

namespace espalier::data {

enum class Format { csv, tsv, json_lines };

/// By the extension: .csv, .tsv, .jsonl, .ndjson; invalid_argument for another.
Result<Format> format_of(std::string_view path);

struct ReaderOptions {
  std::optional<Format> format;  ///< nothing: format_of(path)
  bool fingerprint = false;      ///< hash the bytes on the way
};

class Reader {
 public:
  /// Reads up to the first row.
  static Result<std::unique_ptr<Reader>> open(const std::string& path, const ReaderOptions& options = {});
  virtual ~Reader() = default;

  /// The header's names in their order; JSON lines: the keys of the first line.
  const std::vector<std::string>& columns() const { return columns_; }

  /// Says which columns the rows have. invalid_argument names one that the header lacks, and those that it has. JSON
  /// lines: a column that no line has is an error of the read() that meets the end. REQUIRES: before the first read().
  virtual Status select(const std::vector<model::Field>& fields) = 0;

  /// Appends up to `max_rows` rows to `frame`, which has the selected columns: Frame(fields). Returns how many; 0: the
  /// end. After an error the reader is of no more use.
  virtual Result<std::size_t> read(Frame& frame, std::size_t max_rows) = 0;

  /// BLAKE2b-256 of the file's bytes. REQUIRES: `fingerprint` was asked for and read() met the end; called once.
  virtual Hash256 fingerprint() = 0;

 protected:
  std::vector<std::string> columns_;
};

struct ReadFile {
  Frame frame;
  Hash256 fingerprint;  ///< when the options ask for it
};

/// The whole file.
Result<ReadFile> read_file(const std::string& path, const std::vector<model::Field>& fields,
                           const ReaderOptions& options = {});

/// The number that `text` spells (blanks around it and a plus sign are taken); nothing when it spells none or one that
/// is not finite.
std::optional<double> parse_number(std::string_view text);

}  // namespace espalier::data
