// A version as a search looks at it: what the fields of versions read, those of other areas too. A field is added to
// the table in versions_kind.cc; its `read` takes a VersionItem.
//
// Thread safety: one thread. Ownership: borrows context and model, which live as long as the search.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "registry/search/kind.h"

namespace espalier::registry::search {

struct VersionItem final : Item {
  VersionItem(const Context& in, const ModelName& of, std::string_view components, wire::VersionRecord is);
  ~VersionItem() override;

  const Context& context;  ///< the records, and as of when
  const ModelName& model;
  const std::string components;  ///< of its partition, as in keys
  const wire::VersionRecord record;
  std::string_view tag;                                      ///< one that is known to point at it
  mutable std::unique_ptr<nlohmann::json> metrics, lineage;  ///< once somebody has asked
};

}  // namespace espalier::registry::search
