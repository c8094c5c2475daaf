#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/serving/rows.h"
#include "client/client.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

void print_for_people(const wire::PartPrediction& prediction, const wire::Provenance& from, std::size_t rows) {
  print_predictions(prediction, rows);
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
