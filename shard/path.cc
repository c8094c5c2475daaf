#include "shard/path.h"

#include <algorithm>

namespace espalier::shard {

Status Path::assign(std::span<const std::string_view> values, std::size_t max_levels) {
  while (!values.empty() && values.back().empty()) values = values.first(values.size() - 1);
  const std::size_t limit = std::min(max_levels, model::kMaxLevels);
  if (values.size() > limit) {
    return invalid_argument("partition: " + std::to_string(values.size()) + " level values, the model has " +
                            std::to_string(limit) + (limit == 1 ? " level" : " levels"));
  }
  key_.clear();
  depth_ = values.size();
  ends_[0] = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].size() > model::kMaxLevelValueBytes) {
      return invalid_argument("partition[" + std::to_string(i) + "]: " + std::to_string(values[i].size()) +
                              " bytes, at most " + std::to_string(model::kMaxLevelValueBytes) + " are allowed");
    }
    model::append_component(key_, values[i]);
    ends_[i + 1] = key_.size();
    transparent_[i + 1] = values[i].empty();
  }
  return {};
}

}  // namespace espalier::shard
