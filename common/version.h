// The version of Espalier that this program was built from.
//
// Thread safety: a constant.
#pragma once

#include <string_view>

namespace espalier {

/// "0.1.0"
std::string_view version();

}  // namespace espalier
