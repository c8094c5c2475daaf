// Rows as the command line has them, and predictions as people and programs get them.
//
// Thread safety: values and pure functions. Errors: invalid_argument naming the row.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"
#include "wire/messages.h"
#include "wire/row_codec.h"

namespace espalier::cli {

/// The rows of the command line; `texts` owns what they borrow.
struct Rows {
  std::deque<std::string> texts;
  std::vector<wire::NamedRow> rows;

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

/// Adds a JSON object of features.
Status add_row(Rows& rows, const std::string& text);

nlohmann::json prediction_json(const wire::PartPrediction& prediction, std::size_t row);
void print_predictions(const wire::PartPrediction& prediction, std::size_t rows);

}  // namespace espalier::cli
