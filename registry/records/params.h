// Parameters of a run: a JSON object, and what of it can be searched.
//
// Thread safety: pure functions. Errors: invalid_argument names the parameter.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>

#include "common/status.h"

namespace espalier::registry {

inline constexpr std::size_t kMaxParams = 1'000;
inline constexpr std::size_t kMaxParamsBytes = 64u << 10;
inline constexpr std::size_t kMaxParamNameBytes = 128;

/// Numbers and texts by name; `b` within `a` is `a.b`, as in searches. Of text that is no JSON object: none.
using FlatParams = std::map<std::string, std::variant<double, std::string>>;
FlatParams flat_params(std::string_view params_json);

/// `more` added to `params`, both JSON objects or empty. failed_precondition: it says something else of a parameter
/// that is set already.
Result<std::string> with_params(std::string_view params, std::string_view more);

}  // namespace espalier::registry
