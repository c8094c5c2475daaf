// JSON lines (see data/reader.h).
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

class JsonLinesReader final : public Reader {
 public:
  /// Reads the first line for its keys.
  static Result<std::unique_ptr<Reader>> open(std::unique_ptr<LineSource> source);
  ~JsonLinesReader() override;

  Status select(const std::vector<model::Field>& fields) override;
  Result<std::size_t> read(Frame& frame, std::size_t max_rows) override;
  Hash256 fingerprint() override { return source_->fingerprint(); }

 private:
  struct Object;  ///< a parsed line

  explicit JsonLinesReader(std::unique_ptr<LineSource> source);
  /// Fills object_ with the next line that is not blank; false at the end.
  Result<bool> next_object();
  Status append_row(Frame& frame);
  Status check_all_seen() const;
  std::string place() const;

  std::unique_ptr<LineSource> source_;
  std::unique_ptr<Object> object_;
  bool holds_first_ = false;  ///< object_ is the first line, read for its keys and not yet given out
  std::vector<model::Field> fields_;
  std::vector<bool> seen_;  ///< for each field, whether a line had it
  std::uint64_t line_ = 0;
};

}  // namespace espalier::data
