// What people may write on a record: properties, each a key and a value of their own choice, and a description.
//
// Thread safety: pure functions. Errors: invalid_argument names the property and the limit.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::model {

using Properties = std::map<std::string, std::string>;

inline constexpr std::size_t kMaxProperties = 64;
inline constexpr std::size_t kMaxPropertyKeyBytes = 128;
inline constexpr std::size_t kMaxPropertyValueBytes = 1024;
inline constexpr std::size_t kMaxDescriptionBytes = 4096;

/// Keys: not empty, UTF-8 without control characters. Values: UTF-8 without NUL, may be empty.
Status check_properties(const Properties& properties);
/// UTF-8 without NUL; may be empty.
Status check_description(std::string_view description);
/// From words such as "owner=eta"; the value is what stands behind the first '='. A key that comes twice is refused.
Result<Properties> parse_properties(const std::vector<std::string>& words);

}  // namespace espalier::model
