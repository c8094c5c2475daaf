#include "data/frame.h"

#include <algorithm>
#include <cstring>

namespace espalier::data {

std::string_view Arena::keep(std::string_view text) {
  if (text.empty()) return {};
  if (text.size() > left_) {
    const std::size_t bytes = std::max(kBlockBytes, text.size());
    blocks_.push_back(std::make_unique<char[]>(bytes));
    next_ = blocks_.back().get();
    left_ = bytes;
  }
  std::memcpy(next_, text.data(), text.size());
  const std::string_view kept(next_, text.size());
  next_ += text.size();
  left_ -= text.size();
  return kept;
}

void Arena::clear() {
  if (blocks_.empty()) return;
  blocks_.resize(1);
  // The first block may be larger, when its first text was; at least this much it has.
  next_ = blocks_.front().get();
  left_ = kBlockBytes;
}

Frame::Frame(const std::vector<model::Field>& fields) {
  for (const model::Field& field : fields) columns_.push_back({field, {}, {}});
}

std::optional<std::size_t> Frame::find(const model::Field& field) const {
  const auto found = std::ranges::find(columns_, field, &Column::field);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

void Frame::clear() {
  for (Column& column : columns_) {
    column.numbers.clear();
    column.texts.clear();
  }
  lines_.clear();
  arena_.clear();
}

}  // namespace espalier::data
