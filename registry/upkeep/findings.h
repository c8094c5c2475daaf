// What a check found: a finding a damaged or missing record, in words, and what would mend it.
//
// Thread safety: one thread owns a Findings.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/status.h"

namespace espalier::registry::upkeep {

struct Finding {
  std::string table;  ///< its letter; "pack" for an artefact's bytes, "store" for what LevelDB can't read
  std::string key;    ///< for people
  std::string what;
  bool is_mendable = false;  ///< from other records
};

/// How a finding is mended from other records.
struct Mend {
  std::string key;
  std::optional<std::string> value;  ///< nothing: the record is removed
};

/// A key of the store for people, without the table's letter: "acme/total@usa/ca epoch 12 0190…". Bytes that are no key
/// come in hexadecimal.
std::string readable(std::string_view key);

class Findings {
 public:
  static constexpr std::size_t kKept = 10'000;  ///< findings whose words are kept; more are counted

  /// `with_mends`: keep what would mend them.
  explicit Findings(bool with_mends) : with_mends_(with_mends) {}

  /// One finding a key: false, and nothing is added, when it has one already.
  bool add(std::string_view key, std::string what);
  bool add(std::string_view key, std::string what, std::optional<std::string> mended);
  /// Mends a finding that was just added.
  void mend(std::string_view key, std::optional<std::string> value);
  /// The same for what isn't a record.
  bool add_other(std::string_view table, std::string_view key, std::string what);
  bool has(std::string_view key) const;
  /// Table X of that model has to be made anew.
  void index_is_wrong(const std::string& tenant, const std::string& model);

  std::uint64_t count() const { return seen_.size(); }
  /// Those since the last call.
  std::vector<Finding> take() { return std::exchange(findings_, {}); }
  const std::vector<Mend>& mends() const { return mends_; }
  const std::set<std::pair<std::string, std::string>>& wrong_indexes() const { return indexes_; }

 private:
  bool note(std::string_view table, std::string_view key, std::string readable, std::string what);

  const bool with_mends_;
  std::unordered_set<std::uint64_t> seen_;
  std::vector<Finding> findings_;
  std::size_t kept_ = 0;
  bool last_is_kept_ = false;
  std::vector<Mend> mends_;
  std::set<std::pair<std::string, std::string>> indexes_;
};

}  // namespace espalier::registry::upkeep
