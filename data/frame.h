// Rows of a file in columns: numbers as doubles, text in memory that the frame owns.
//
// Thread safety: a frame that nobody changes may be read from any thread.
// Ownership: text is borrowed from the frame and stays valid until clear() or its end, also when the frame is moved.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/value.h"

namespace espalier::data {

/// Bytes that stay where they are until all of them go.
class Arena {
 public:
  std::string_view keep(std::string_view text);
  /// Forgets everything and keeps one block for what comes next.
  void clear();

 private:
  static constexpr std::size_t kBlockBytes = 1u << 20;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t left_ = 0;
  char* next_ = nullptr;
};

/// One column. Of `numbers` and `texts`, the one of its type has an entry for each row.
struct Column {
  model::Field field;
  std::vector<double> numbers;          ///< NaN: missing. Numbers of a file are finite.
  std::vector<std::string_view> texts;  ///< empty: missing
};

class Frame {
 public:
  Frame() = default;
  /// Columns in the order of `fields`; the same name may come twice with different types.
  explicit Frame(const std::vector<model::Field>& fields);

  std::size_t rows() const { return lines_.size(); }
  const std::vector<Column>& columns() const { return columns_; }
  std::vector<Column>& columns() { return columns_; }
  /// Index of the column of that name and type; nothing where there is none.
  std::optional<std::size_t> find(const model::Field& field) const;
  /// The line of the file on which the row begins, counted from 1.
  std::uint64_t line(std::size_t row) const { return lines_[row]; }

  model::Value value(std::size_t row, std::size_t column) const {
    const Column& from = columns_[column];
    if (from.field.type == model::FieldType::number) {
      const double number = from.numbers[row];
      return std::isnan(number) ? model::Value{} : model::Value::of(number);
    }
    return from.texts[row].empty() ? model::Value{} : model::Value::of(from.texts[row]);
  }

  Arena& arena() { return arena_; }
  /// Ends a row whose cell has been appended to every column.
  void end_row(std::uint64_t line) { lines_.push_back(line); }
  /// Takes away all rows and keeps the columns.
  void clear();

 private:
  std::vector<Column> columns_;
  std::vector<std::uint64_t> lines_;
  Arena arena_;
};

}  // namespace espalier::data
