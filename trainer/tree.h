// The nodes of a tree, found in the level columns of training rows.
//
// Thread safety: values and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/ids.h"

namespace espalier::trainer {

struct TreeNode {
  model::Partition partition;
  std::uint32_t parent = 0;  ///< index of the nearest ancestor that is a node; the root's is 0
  std::size_t begin = 0;     ///< its rows are order[begin] to order[end - 1]
  std::size_t end = 0;

  std::size_t rows() const { return end - begin; }
};

struct Tree {
  std::vector<std::uint32_t> order;  ///< all rows, those of a node side by side, else in the order they came
  std::vector<TreeNode> nodes;       ///< the root first, parents before their children

  std::span<const std::uint32_t> rows_of(const TreeNode& node) const {
    return std::span(order).subspan(node.begin, node.rows());
  }
};

/// Nodes with at least `min_rows` rows, and the root whatever it has. `levels[d][row]` is the value at depth d. A row
/// belongs to the node of each of its prefixes that ends in a value; an empty value in the middle makes a transparent
/// node, which is passed over.
/// invalid_argument: a value that is too long or not UTF-8, with the row in `bad_row`.
Result<Tree> build_tree(std::size_t rows, std::span<const std::vector<std::string_view>> levels, std::uint64_t min_rows,
                        std::size_t& bad_row);

}  // namespace espalier::trainer
