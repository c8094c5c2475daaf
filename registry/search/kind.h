// A kind of thing that can be searched: its fields, where its candidates come from, and how one is read. The seam for
// areas that add kinds or fields: make a Kind, or add a Field to a kind's table, and list it in kinds.h.
//
// Thread safety: kinds are immutable; a Source belongs to one thread. Ownership: sources and items borrow the Context.
// Errors: the store's; corrupt where a record doesn't decode.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/principal.h"
#include "common/uuid.h"
#include "registry/records.h"
#include "registry/search/fields.h"
#include "wire/search_messages.h"

namespace espalier::registry::search {

struct ModelName {
  std::string tenant, model;
  auto operator<=>(const ModelName&) const = default;
};

/// Steps that a look into the store is worth.
inline constexpr std::size_t kReadCost = 20;
/// Bytes of a record, or of the JSON in it, that are worth a step where they are read or decoded.
inline constexpr std::size_t kBytesInStep = 64;

/// Where and as of when.
struct Context {
  explicit Context(Records& of) : records(of) {}

  Records& records;
  std::uint64_t epoch = 0;
  std::vector<ModelName> scope;  ///< models as of the epoch, in the order of their names
  /// Levels of the models whose nodes were asked for their level.
  mutable std::map<ModelName, std::vector<std::string>> levels;
  /// Steps that reading fields, records and models has made so far: whoever goes to the store for them counts them.
  mutable std::size_t steps = 0;

  /// The name of a node's level: "global" for the root, empty where the model has none.
  Result<std::string> level(const ModelName& model, std::size_t depth) const;
};

/// One thing to be looked at.
struct Candidate {
  std::size_t scope = 0;              ///< index of its model
  std::string place;                  ///< its key behind its table, tenant and model
  std::string order_key;              ///< 8 bytes, when its source is in an order: that of these
  std::string tail;                   ///< where its source goes on behind it; starts with the order key
  std::optional<std::string> record;  ///< its bytes, where the source has seen them
  bool is_later = false;              ///< made after the context's epoch: only a step on the way
  /// A tag that points at it, where the source has seen that; borrowed from the path.
  std::string_view tag = {};
};

/// Which records of a model a source gives.
struct Path {
  Access access = Access::none;  ///< none: the whole table
  std::string name;              ///< number: the metric; attribute: its name
  std::string text;              ///< attribute: its text; tag: its name; number: its family, where that isn't `metrics`
  std::vector<Uuid> uuids;       ///< own_uuid, ascending; release: one
  /// number: the least and the most, sortable; commit: epochs as 8 bytes. Inclusive.
  std::string low = std::string(8, '\0'), high = std::string(8, '\xFF');
  bool descending = false;             ///< backwards through the index
  std::vector<std::string> partition;  ///< partition: the node
  bool with_subtree = true;            ///< partition: and what lies below it
  std::string inside;                  ///< only what has these components in front; a source may give others too
};

/// Where a source begins.
struct Start {
  enum class At : std::uint8_t {
    beginning,
    behind_tail,       ///< behind the candidate with that tail
    at_order_key,      ///< with the candidates of that order key
    behind_order_key,  ///< behind all of them
  } at = At::beginning;
  std::string bytes;
};

class Source {
 public:
  virtual ~Source() = default;
  /// The next candidate; false: there is none. Sets all but `scope`; of one that is later, its tail and order key only.
  virtual Result<bool> next(Candidate& to) = 0;
  /// Steps made.
  std::size_t steps() const { return steps_; }

 protected:
  std::size_t steps_ = 0;
};

class Kind {
 public:
  virtual ~Kind() = default;
  virtual std::string_view name() const = 0;
  virtual const Fields& fields() const = 0;
  /// Candidates of one model, each once. REQUIRES: a path whose access the kind's fields name, or none.
  virtual Result<std::unique_ptr<Source>> open(const Context& context, std::size_t scope, const Path& path,
                                               const Start& start) const = 0;
  /// Nothing: it isn't there, though an index named it.
  virtual Result<std::unique_ptr<Item>> load(const Context& context, const Candidate& candidate) const = 0;
  /// The record that a reply carries. REQUIRES: an item of this kind.
  virtual Result<std::string> record_of(const Context& context, const Item& item) const = 0;
  /// Whether the index of that path has all things of that model that it should have.
  virtual Result<bool> is_whole(const Context& context, std::size_t scope, const Path& path) const;
  /// Whether the kind's things are told as of any commit, not only as of changes that the feed has.
  virtual bool is_of_commits() const { return false; }
  /// Adds what is looked through, as of the context's epoch, in the order of the names; an empty tenant or model: all.
  virtual Status find_scope(Context& context, const Principal& principal, const std::string& tenant,
                            const std::string& model) const;
  /// Whether a path of that access gives candidates in the order of the field; `backwards`: ascending is through the
  /// index backwards.
  virtual bool gives_order(Access access, bool& backwards) const = 0;
};

}  // namespace espalier::registry::search
