// How deeply a JSON text is nested, told before it is parsed: many things that are done with a parsed document (copies,
// output) go down a level a call, and text from outside must not decide how deep.
//
// Thread safety: pure function.
#pragma once

#include <cstddef>
#include <string_view>

namespace espalier {

/// Of all JSON that is taken in.
inline constexpr std::size_t kMaxJsonDepth = 64;

/// The most objects and arrays around a place of `text`. Of what isn't JSON: no less than a parser would open.
std::size_t json_depth(std::string_view text);

}  // namespace espalier
