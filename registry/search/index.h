// Table X: what searches find things by. docs/search.md says which index serves what, docs/registry-keys.md has the
// bytes.
//
// All entries of a commit are a pure function of the records that it made: a CommitIndex takes these and gives the
// entries, when a commit is made, checked, or repaired. What all versions of a commit share is indexed once a commit;
// only numbers have an entry for each version.
//
// Thread safety: one thread. Ownership: CommitIndex borrows components. Errors: none; JSON that can't be read has no
// numbers and no names.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/uuid.h"
#include "registry/search/plain_numbers.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry::search {

inline constexpr std::size_t kMaxIndexedMetrics = 8;      ///< of one version
inline constexpr std::size_t kMaxIndexedNameBytes = 128;  ///< a longer name has no index
inline constexpr std::size_t kMaxIndexedTextBytes = 256;  ///< a longer text has no entry
inline constexpr std::uint32_t kVersionsInBlock = 256;

/// Whether metrics of that name can have entries. One with a dot can't: it may be a value within an object. Nor does
/// `rows`, how many were held out: every version has it, and nobody orders by it.
bool is_indexed_name(std::string_view name);
/// The attribute of a property.
std::string property_name(std::string_view key);
/// The numbers at the top of a JSON object, by name; the last where a name comes twice.
std::map<std::string, double> top_numbers(std::string_view json);
/// The text of member `name` at the top of a JSON object; empty where there is none.
std::string top_text(std::string_view json, std::string_view name);

class CommitIndex {
 public:
  using Take = std::function<void(std::string_view key, std::string_view value)>;

  /// Of the records that the commit `epoch` made for that model.
  /// `first_block`: how many blocks of its versions there are already.
  CommitIndex(std::string_view tenant, std::string_view model, std::uint64_t epoch, std::uint32_t first_block = 0);
  void add(const wire::ReleaseRecord& release);
  /// `components` of its partition outlive this.
  void add(std::string_view components, const wire::VersionRecord& version);
  /// Each entry once, each index in the order of its keys.
  void each_entry(const Take& take) const;
  void write(Batch& batch) const;
  /// How many blocks its versions take.
  std::size_t blocks() const { return (versions_.size() + kVersionsInBlock - 1) / kVersionsInBlock; }

 private:
  struct Listed {
    std::string_view components;
    Uuid version;
  };
  struct Number {
    std::uint64_t bits;   ///< sortable
    std::uint32_t place;  ///< in versions_
  };
  void add_attribute(std::string_view name, std::string_view text);
  void each_block(const Take& take) const;
  void each_number(const Take& take) const;

  const std::string tenant_, model_;
  const std::uint64_t epoch_;
  const std::uint32_t first_block_;
  std::vector<Listed> versions_;
  std::set<std::pair<std::string, std::string>, std::less<>> attributes_;
  std::map<std::string, std::vector<Number>, std::less<>> numbers_;
  std::set<std::string> left_out_;
  // What most versions of a commit share with the one before.
  std::string last_lineage_, last_principal_;
  Hash256 last_spec_;
  std::map<std::string, std::string> last_properties_;
  std::vector<NamedNumber> plain_;
};

/// The keys of a version's own entries: what goes when it goes. Its commit's are shared.
void each_key_of_version(std::string_view tenant, std::string_view model, const wire::VersionRecord& version,
                         const std::function<void(std::string_view key)>& take);

/// The versions that a block of index `e` lists. corrupt: it is cut short.
struct ListedVersion {
  std::string_view components;  ///< borrowed from the block
  Uuid version;
};
Result<std::vector<ListedVersion>> versions_of_block(std::string_view block);

}  // namespace espalier::registry::search
