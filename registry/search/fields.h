// The fields that a kind of thing has for filters and orders: the table in which each area registers its own.
//
// Thread safety: immutable once made. Ownership: filters and orders borrow the table.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "registry/search/value.h"

namespace espalier::registry::search {

/// One thing that a search looks at, as of the search's epoch. Each kind has its own.
class Item {
 public:
  virtual ~Item() = default;

  /// What telling its fields, and comparing them, has cost so far, in steps of a search.
  mutable std::size_t steps = 0;
};

/// What an index knows of a field. Everything else is answered by looking at all.
enum class Access : std::uint8_t {
  none,
  own_uuid,   ///< the thing's own UUID
  commit,     ///< number of the commit that made the thing
  time,       ///< its time
  number,     ///< table X, `n`
  attribute,  ///< table X, `a`
  release,    ///< the release that the thing was made in
  partition,  ///< its place in its table
  tag,        ///< table T
};

struct Field {
  std::string name;
  Type type = Type::text;
  Access access = Access::none;
  /// NAME.anything; `read` gets what stands behind the dot.
  bool family = false;
  /// The value of an item. Of a tag: asked with the tag's name as `member`, anything but missing is yes. Errors: the
  /// store's.
  std::function<Result<Value>(const Item& item, std::string_view member)> read;
};
using Fields = std::vector<Field>;

/// A field as a filter or an order names it.
struct FieldRef {
  const Field* field = nullptr;
  std::string member;  ///< of a family

  Result<Value> read(const Item& item) const { return field->read(item, member); }
  bool operator==(const FieldRef&) const = default;
};

/// The field of that name, or nothing.
FieldRef find_field(const Fields& fields, std::string_view name);
/// The name that was probably meant; empty where none is near.
std::string nearest_field(const Fields& fields, std::string_view name);

}  // namespace espalier::registry::search
