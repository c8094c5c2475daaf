#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/metrics.h"
#include "cli/output.h"
#include "cli/serving/file_scorer.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

/// The scores of some of the rows; of the two, the one of the model's task is in use.
struct Score {
  RegressionScore regression;
  ClassScore classes;

  std::uint64_t rows() const { return regression.rows() + classes.rows(); }
  Metrics metrics() const { return regression.rows() > 0 ? regression.metrics() : classes.metrics(); }
};

struct Evaluation {
  Score all;
  std::vector<std::pair<std::string, Score>> by_level;  ///< of the node that answered; the root first
  std::map<std::string, std::uint64_t> by_reason;

  Score& level(const std::string& name) {
    for (auto& [level, score] : by_level)
      if (level == name) return score;
    return by_level.emplace_back(name, Score{}).second;
  }
};

/// The truth on the scale of the predictions.
double on_scale(double truth, const model::TargetSpec& target) {
  if (target.original_scale) return truth;
  switch (target.transform) {
    case model::TargetTransform::identity: return truth;
    case model::TargetTransform::log: return std::log(truth);
    case model::TargetTransform::log1p: return std::log1p(truth);
    case model::TargetTransform::sqrt: return std::sqrt(truth);
  }
  return truth;
}

Status add_row(Evaluation& to, const FileScorer& scorer, const model::Field& target, const EvaluateOptions& options,
               const data::Frame& frame, std::size_t row, const RowAnswer& answer) {
  const std::string place = options.data + ":" + std::to_string(frame.line(row));
  RETURN_IF_ERROR(answer.part->status.at(place));
  const model::Value truth = frame.value(row, *frame.find(target));
  if (truth.kind == model::Value::Kind::missing) return invalid_argument(place + ": " + target.name + " is empty");
  Score& level = to.level(answer.part->provenance.level);
  ++to.by_reason[std::string(wire::reason_name(answer.part->provenance.reason))];
  for (Score* score : {&to.all, &level}) {
    if (target.type == model::FieldType::number)
      score->regression.add(on_scale(truth.number, scorer.spec().target), answer.value());
    else
      score->classes.add(truth.text, answer.label(), answer.probability_of(truth.text));
  }
  return Status();
}

json metrics_json(const Metrics& metrics) {
  json object = json::object();
  for (const auto& [name, value] : metrics) object[name] = value;
  return object;
}

void print_as_json(const Evaluation& evaluation) {
  json levels = json::object();
  for (const auto& [level, score] : evaluation.by_level)
    levels[level] = {{"rows", score.rows()}, {"metrics", metrics_json(score.metrics())}};
  print_json({{"rows", evaluation.all.rows()},
              {"metrics", metrics_json(evaluation.all.metrics())},
              {"by_level", levels},
              {"by_reason", evaluation.by_reason}});
}

void print_for_people(const Evaluation& evaluation) {
  std::vector<std::string> header = {"answered by", "rows"};
  for (const auto& [name, value] : evaluation.all.metrics()) header.push_back(name);
  const std::size_t columns = header.size();
  Table table(std::move(header));
  const auto add = [&](const std::string& name, const Score& score) {
    std::vector<std::string> cells = {name, count_text(score.rows())};
    for (const auto& [metric, value] : score.metrics()) cells.push_back(number_text(value));
    cells.resize(columns, "-");
    table.add(std::move(cells));
  };
  add("all", evaluation.all);
  for (const auto& [level, score] : evaluation.by_level) add(level, score);
  print_line(table.text());
  std::string reasons = "reasons:";
  for (const auto& [reason, rows] : evaluation.by_reason) reasons += "  " + reason + " " + count_text(rows);
  print_line(reasons);
}

}  // namespace

Status run_evaluate(const EvaluateOptions& options, const Shared& shared) {
  FileScorer::Options scoring;
  scoring.model = options.model;
  scoring.path = options.data;
  scoring.where = options.where;
  scoring.tenant_column = options.tenant_column;
  scoring.ref = options.ref;
  scoring.all_scores = true;
  ASSIGN_OR_RETURN(auto scorer, FileScorer::open(scoring, shared));
  const bool regression = scorer->spec().task == model::Task::regression;
  const model::Field target{scorer->spec().target.column,
                            regression ? model::FieldType::number : model::FieldType::text};
  scorer->also_read(target);

  Evaluation evaluation;
  evaluation.level("global");
  for (const std::string& level : scorer->model().levels) evaluation.level(level);
  RETURN_IF_ERROR(scorer->run([&](const data::Frame& frame, std::size_t row, const RowAnswer& answer) {
    return add_row(evaluation, *scorer, target, options, frame, row, answer);
  }));
  if (evaluation.all.rows() == 0)
    return invalid_argument(options.data + (options.where.empty() ? ": no rows" : ": no row passes the filter"));
  std::erase_if(evaluation.by_level, [](const auto& level) { return level.second.rows() == 0; });
  if (shared.json)
    print_as_json(evaluation);
  else
    print_for_people(evaluation);
  return Status();
}

}  // namespace espalier::cli
