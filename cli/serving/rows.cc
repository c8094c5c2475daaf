#include "cli/serving/rows.h"

#include <optional>
#include <set>

#include "cli/output.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

}  // namespace

Status add_row(Rows& rows, const std::string& text) {
  const std::string place = "row " + std::to_string(rows.rows.size());
  json object;
  std::set<std::string> names;
  std::optional<std::string> twice;
  try {
    object = json::parse(text, [&](int depth, json::parse_event_t event, json& key) {
      if (event == json::parse_event_t::key && depth == 1 && !names.insert(key.get<std::string>()).second) {
        twice = key.get<std::string>();
      }
      return true;
    });
  } catch (const json::exception& error) {
    return invalid_argument(place + " is no JSON: " + error.what());
  }
  if (twice) return invalid_argument(place + "." + *twice + ": comes twice");
  if (!object.is_object())
    return invalid_argument(place + ": expected an object such as {\"age\": 31, \"sex\": \"F\"}");
  wire::NamedRow row;
  for (const auto& [name, value] : object.items()) {
    const std::string_view field = rows.keep(name);
    if (value.is_null())
      continue;  // missing
    else if (value.is_number())
      row.emplace_back(field, model::Value::of(value.get<double>()));
    else if (value.is_string())
      row.emplace_back(field, model::Value::of(rows.keep(value.get<std::string>())));
    else
      return invalid_argument(place + "." + name + ": expected a number, text or null");
  }
  rows.rows.push_back(std::move(row));
  return Status();
}

json prediction_json(const wire::PartPrediction& prediction, std::size_t row) {
  if (!prediction.value.empty()) return {{"value", prediction.value[row]}};
  json answer = {{"label", prediction.label[row]}, {"probability", prediction.probability[row]}};
  if (!prediction.classes.empty()) {
    json scores = json::object();
    for (std::size_t c = 0; c < prediction.classes.size(); ++c)
      scores[prediction.classes[c]] = prediction.scores[row * prediction.classes.size() + c];
    answer["scores"] = scores;
  }
  return answer;
}

void print_predictions(const wire::PartPrediction& prediction, std::size_t rows) {
  for (std::size_t row = 0; row < rows; ++row) {
    if (!prediction.value.empty()) {
      print_line(number_text(prediction.value[row]));
      continue;
    }
    print_line(prediction.label[row] + "  (probability " + number_text(prediction.probability[row]) + ")");
    for (std::size_t c = 0; c < prediction.classes.size(); ++c)
      print_line("  " + prediction.classes[c] + "  " +
                 number_text(prediction.scores[row * prediction.classes.size() + c]));
  }
}

}  // namespace espalier::cli
