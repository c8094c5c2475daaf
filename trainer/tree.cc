#include "trainer/tree.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <unordered_map>

namespace espalier::trainer {
namespace {

/// Level values as numbers that sort as the values do; 0 is the empty value.
struct Dictionary {
  std::vector<std::string_view> values;
  std::vector<std::uint32_t> of_row;
};

Dictionary number_values(std::span<const std::string_view> column) {
  std::unordered_map<std::string_view, std::uint32_t> seen;
  Dictionary result;
  result.of_row.reserve(column.size());
  result.values.push_back("");
  seen.emplace("", 0);
  for (const std::string_view value : column) {
    const auto [at, is_new] = seen.emplace(value, static_cast<std::uint32_t>(result.values.size()));
    if (is_new) result.values.push_back(value);
    result.of_row.push_back(at->second);
  }
  std::vector<std::uint32_t> by_value(result.values.size());
  std::iota(by_value.begin(), by_value.end(), 0u);
  std::ranges::sort(by_value, {}, [&](std::uint32_t i) { return result.values[i]; });
  std::vector<std::uint32_t> rank(by_value.size());
  for (std::uint32_t i = 0; i < by_value.size(); ++i) rank[by_value[i]] = i;
  for (std::uint32_t& number : result.of_row) number = rank[number];
  std::ranges::sort(result.values);
  return result;
}

class Builder {
 public:
  Builder(std::span<const std::vector<std::string_view>> columns, std::uint64_t min_rows, std::size_t& bad_row)
      : min_rows_(min_rows), bad_row_(bad_row) {
    for (const auto& column : columns) levels_.push_back(number_values(column));
  }

  Result<Tree> build(std::size_t rows) {
    tree_.order.resize(rows);
    std::iota(tree_.order.begin(), tree_.order.end(), 0u);
    std::ranges::stable_sort(tree_.order, [this](std::uint32_t a, std::uint32_t b) {
      for (const Dictionary& level : levels_) {
        if (level.of_row[a] != level.of_row[b]) return level.of_row[a] < level.of_row[b];
      }
      return false;
    });
    tree_.nodes.push_back({model::Partition(), 0, 0, rows});
    RETURN_IF_ERROR(split(0, rows, 0, 0));
    return std::move(tree_);
  }

 private:
  /// The nodes within rows [begin, end), which agree in their first `depth` values, under `parent`.
  Status split(std::size_t begin, std::size_t end, std::size_t depth, std::uint32_t parent) {
    if (depth == levels_.size()) return {};
    const Dictionary& level = levels_[depth];
    while (begin < end) {
      const std::uint32_t value = level.of_row[tree_.order[begin]];
      std::size_t next = begin + 1;
      while (next < end && level.of_row[tree_.order[next]] == value) ++next;
      if (next - begin >= min_rows_) {
        path_.push_back(level.values[value]);
        std::uint32_t node = parent;
        if (value != 0) {
          auto partition = model::Partition::from_values(path_);
          if (!partition.ok()) {
            bad_row_ = tree_.order[begin];
            return partition.status();
          }
          node = static_cast<std::uint32_t>(tree_.nodes.size());
          tree_.nodes.push_back({*std::move(partition), parent, begin, next});
        }
        RETURN_IF_ERROR(split(begin, next, depth + 1, node));
        path_.pop_back();
      }
      begin = next;
    }
    return {};
  }

  const std::uint64_t min_rows_;
  std::size_t& bad_row_;
  std::vector<Dictionary> levels_;
  std::vector<std::string_view> path_;
  Tree tree_;
};

}  // namespace

Result<Tree> build_tree(std::size_t rows, std::span<const std::vector<std::string_view>> levels, std::uint64_t min_rows,
                        std::size_t& bad_row) {
  return Builder(levels, std::max<std::uint64_t>(min_rows, 1), bad_row).build(rows);
}

}  // namespace espalier::trainer
