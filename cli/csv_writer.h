// Writing CSV (RFC 4180).
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace espalier::cli {

/// Appends a cell, in quotes where it holds a comma, a quote or a line break.
void append_csv_cell(std::string& line, std::string_view cell);

}  // namespace espalier::cli
