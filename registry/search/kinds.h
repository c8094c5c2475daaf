// The kinds of things that can be searched.
//
// Thread safety: immutable; live for the whole process.
#pragma once

#include <string_view>

#include "common/status.h"
#include "registry/search/kind.h"

namespace espalier::registry::search {

const Kind& versions_kind();
const Kind& releases_kind();
const Kind& nodes_kind();
const Kind& models_kind();
const Kind& tenants_kind();
const Kind& runs_kind();
const Kind& datasets_kind();

/// invalid_argument names the kinds that there are.
Result<const Kind*> find_kind(std::string_view name);

}  // namespace espalier::registry::search
