#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "client/client.h"
#include "wire/row_codec.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

/// The rows of the command line; `texts` owns what they borrow.
struct Rows {
  std::deque<std::string> texts;
  std::vector<wire::NamedRow> rows;

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

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

void print_for_people(const wire::PartPrediction& prediction, const wire::Provenance& from, std::size_t rows) {
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
  print_line("  asked for    " + partition_text(from.asked));
  print_line("  answered by  " + partition_text(from.served) + ", level " + from.level + ", reason " +
             std::string(wire::reason_name(from.reason)));
  print_line("  version      " + from.version.text());
  if (!from.tag.empty())
    print_line("  tag          " + from.tag + ", release " + from.release.text() + " of epoch " +
               std::to_string(from.release_epoch));
  print_line("  shard        " + from.shard + ", at epoch " + std::to_string(from.epoch));
  print_line("  prediction   " + from.prediction.text() + ", attempt " + std::to_string(from.attempt));
}

}  // namespace

Status run_predict(const PredictOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  Rows rows;
  for (const std::string& text : options.rows) RETURN_IF_ERROR(add_row(rows, text));
  wire::PredictRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  if (!options.ref.empty()) request.refs = {options.ref};
  request.all_scores = options.scores;
  request.parts.push_back({node.partition.values(), options.unit, static_cast<std::uint32_t>(rows.rows.size())});
  ASSIGN_OR_RETURN(auto router, connect_router(shared));
  const client::Prediction answer = router->predict(request, {wire::encode_rows(rows.rows)});
  RETURN_IF_ERROR(answer.status);
  const client::PredictedPart& part = answer.parts.front();
  RETURN_IF_ERROR(part.status);
  if (!shared.json) {
    print_for_people(part.prediction, part.provenance, rows.rows.size());
    return Status();
  }
  json predictions = json::array();
  for (std::size_t row = 0; row < rows.rows.size(); ++row) predictions.push_back(prediction_json(part.prediction, row));
  print_json({{"predictions", predictions}, {"provenance", provenance_json(part.provenance)}});
  return Status();
}

}  // namespace espalier::cli
