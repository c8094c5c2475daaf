// What a tenant's rows hold, column by column: the profile of a dataset (docs/datasets.md).
//
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainer/source.h"
#include "wire/dataset_messages.h"

namespace espalier::trainer {

inline constexpr std::size_t kTopValues = 10;
inline constexpr std::size_t kLongestTopValue = 64;  ///< bytes; longer text is a document, and stays where it is

/// First and last of the rows of a column of ISO dates with a month at least, as they are written; nothing where
/// anything in it is no date.
std::optional<std::pair<std::string_view, std::string_view>> date_range(const data::Column& column,
                                                                        const std::vector<std::uint32_t>& rows);

wire::ColumnProfile profile_of(const data::Column& column, const std::vector<std::uint32_t>& rows);

/// Of the rows that a tree is trained on. Their fingerprint is the file's where they are all of its rows, else a hash
/// of that and the numbers of the rows.
wire::DatasetRecord dataset_of(const SourceOptions& options, const Source& source, const TenantRows& tenant);

/// The file's name, not its folder: records are read on other machines.
std::string file_name(const std::string& path);

}  // namespace espalier::trainer
