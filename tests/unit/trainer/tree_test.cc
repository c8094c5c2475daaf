#include "trainer/tree.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace espalier::trainer {
namespace {

using Columns = std::vector<std::vector<std::string_view>>;

/// Each node as "partition<parent's partition:rows", between spaces.
std::string nodes(const Columns& levels, std::size_t rows, std::uint64_t min_rows) {
  std::size_t bad_row = 0;
  const auto tree = build_tree(rows, levels, min_rows, bad_row);
  if (!tree.ok()) return std::string(code_name(tree.status().code())) + " " + std::to_string(bad_row);
  std::string text;
  for (const TreeNode& node : tree->nodes) {
    text += node.partition.text() + "<" + tree->nodes[node.parent].partition.text() + ":";
    for (const std::uint32_t row : tree->rows_of(node)) text += std::to_string(row);
    text += " ";
  }
  return text;
}

TEST(Tree, HasANodeForEachValueOfEachLevel) {
  const Columns levels = {{"b", "a", "b", "a"}, {"x", "x", "y", "x"}};
  EXPECT_EQ(nodes(levels, 4, 1), "<:1302 a<:13 a/x<a:13 b<:02 b/x<b:0 b/y<b:2 ");
  EXPECT_EQ(nodes(levels, 4, 2), "<:1302 a<:13 a/x<a:13 b<:02 ");
  EXPECT_EQ(nodes(levels, 4, 9), "<:1302 ");
  EXPECT_EQ(nodes({}, 2, 9), "<:01 ");
}

TEST(Tree, PassesTransparentNodesOver) {
  const Columns levels = {{"ru", "ru", "ru", ""}, {"", "", "mo", ""}, {"iv", "", "iv", "iv"}};
  EXPECT_EQ(nodes(levels, 4, 1), "<:3102 //iv<:3 ru<:102 ru//iv<ru:0 ru/mo<ru:2 ru/mo/iv<ru/mo:2 ");
}

TEST(Tree, KeepsTheOrderOfRowsWithinANode) {
  const Columns levels = {{"a", "b", "a", "b", "a"}};
  EXPECT_EQ(nodes(levels, 5, 1), "<:02413 a<:024 b<:13 ");
}

TEST(Tree, NamesTheRowOfAValueThatIsNoPartOfAPartition) {
  const std::string long_value(257, 'x');
  EXPECT_EQ(nodes({{"a", "b\xFF", "c"}}, 3, 1), "invalid_argument 1");
  EXPECT_EQ(nodes({{"a", "b", long_value}}, 3, 1), "invalid_argument 2");
}

}  // namespace
}  // namespace espalier::trainer
