// Retention rules: which versions of a model a collection leaves alone (docs/space.md). Records with a history, table
// K.
//
// Thread safety: as the Store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "registry/store.h"
#include "wire/space_messages.h"

namespace espalier::registry {

inline constexpr std::uint32_t kMaxKeepDays = 36'500;
inline constexpr std::size_t kMaxTaggedNames = 64;

/// invalid_argument: a number or a name that makes no sense, or keep_all together with another member.
Status check_rule(const wire::RetentionRule& rule);

/// What is known of a version when it is decided about.
struct Candidate {
  std::uint32_t newer = 0;  ///< versions of its node that are newer and have not been collected
  std::int64_t created_us = 0;
  bool is_named = false;  ///< by a tag that keeps it: names_keep()
};
/// Whether the rule keeps the version, at the moment `now_us`.
bool keeps(const wire::RetentionRule& rule, std::int64_t now_us, const Candidate& candidate);
/// Whether it keeps what an entry of `tag` names or named. `replaced_us`: when another entry took its place; 0: none
/// has.
bool keeps_entry(const wire::RetentionRule& rule, std::int64_t now_us, std::string_view tag, std::int64_t replaced_us);

class Retention {
 public:
  explicit Retention(Store& store) : store_(store) {}

  /// The rule as of now; keep_all where nobody set one.
  Result<wire::RetentionRule> rule(const std::string& tenant, const std::string& model);
  /// Newest first, at most 1,024.
  Result<std::vector<wire::RetentionRule>> history(const std::string& tenant, const std::string& model);
  /// Fills in who, when and epoch.
  static wire::RetentionRule put(Batch& batch, const std::string& tenant, const std::string& model,
                                 wire::RetentionRule rule, const std::string& principal);

 private:
  Store& store_;
};

}  // namespace espalier::registry
