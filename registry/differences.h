// How two states of tags differ, node by node, with the versions and their metrics on both sides: in pages.
//
// Thread safety: as the Store. Errors: the store's; those of QueryCursor.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "registry/records.h"
#include "wire/tag_messages.h"

namespace espalier::registry {

inline constexpr std::uint32_t kMaxDifferences = 1024;  ///< nodes in one reply, whatever was asked

/// One page under way.
class DifferencePage {
 public:
  /// `most_work`: about as many microseconds.
  DifferencePage(Records& records, const std::string& tenant, const std::string& model, std::uint32_t limit,
                 std::size_t most_work);
  /// At least one node is taken.
  bool is_full() const;
  std::size_t limit() const { return limit_; }
  /// Looks up the versions. REQUIRES: not full.
  Status add(std::string_view components, const wire::TagEntry& before, const wire::TagEntry& after);
  /// What lies between the states, from `after_node` on ("." and its components; empty: from the start) to the end or
  /// until the page is full. Gives where it goes on: empty at the end.
  Result<std::string> fill(const TagState& before, const TagState& after, std::string_view under,
                           const std::string& after_node);
  std::vector<wire::NodeDifference> take() { return std::move(nodes_); }

 private:
  Result<wire::NodeState> state_of(const wire::TagEntry& entry);

  Records& records_;
  const std::string &tenant_, &model_;
  const std::size_t limit_, most_work_;
  std::size_t work_ = 0;
  std::vector<wire::NodeDifference> nodes_;
};

/// {"rmse": after - before} of the numbers at the top of both; empty where there is none.
std::string metrics_delta(const std::string& before_json, const std::string& after_json);

/// One page between what two releases left. not_found: one isn't there.
Result<wire::DifferencesReply> release_diff(Records& records, const wire::ReleaseDiffRequest& request,
                                            std::size_t most_work);

}  // namespace espalier::registry
