// Where tests find what is outside of them: the built programs, the source tree, the data sets.
//
// Thread safety: pure functions of the environment.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace espalier::testing {

/// The path of a built program such as "espalier-shard": in $ESPALIER_BIN, else beside the running test.
std::string program(std::string_view name);

/// The root of the source tree.
std::string source_folder();

/// The data sets: $ESPALIER_DATA, else ../shared/data beside the source tree; nothing where neither exists. Tests then
/// skip:
///   const auto data = data_folder();
///   if (!data) GTEST_SKIP() << kNoData;
std::optional<std::string> data_folder();
inline constexpr std::string_view kNoData = "no data sets here: set ESPALIER_DATA to their folder";

}  // namespace espalier::testing
