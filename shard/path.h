// A partition on its way from the asked node to the root: the keys of the node and its ancestors, as prefixes of one
// buffer.
//
// Thread safety: belongs to one thread. Ownership: copies what it is given; keeps its memory from request to request.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "common/status.h"
#include "model/ids.h"

namespace espalier::shard {

class Path {
 public:
  /// Trailing empty values are dropped. invalid_argument: more values than `max_levels`, or one that is too long.
  Status assign(std::span<const std::string_view> values, std::size_t max_levels);

  /// Level values of the asked node.
  std::size_t depth() const { return depth_; }
  /// Of the node `depth` levels below the root. REQUIRES: depth <= depth().
  std::string_view key(std::size_t depth) const { return std::string_view(key_).substr(0, ends_[depth]); }
  /// True for a node with an empty value at its level: it is passed over. REQUIRES: depth <= depth().
  bool is_transparent(std::size_t depth) const { return transparent_[depth]; }

 private:
  std::string key_;
  std::size_t depth_ = 0;
  std::array<std::size_t, model::kMaxLevels + 1> ends_{};
  std::array<bool, model::kMaxLevels + 1> transparent_{};
};

}  // namespace espalier::shard
