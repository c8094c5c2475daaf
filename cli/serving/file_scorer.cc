#include "cli/serving/file_scorer.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <thread>

#include "cli/registry_access.h"
#include "common/clock.h"

namespace espalier::cli {
namespace {

constexpr std::size_t kChunkRows = 1024;
constexpr std::size_t kChunksUnderWay = 4;
constexpr std::int64_t kBudgetUs = 30'000'000;
constexpr std::int64_t kRetryUs = 10'000;  ///< the least time before asking again

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

}  // namespace

double RowAnswer::probability_of(std::string_view label) const {
  const auto& classes = part->prediction.classes;
  const auto found = std::find(classes.begin(), classes.end(), label);
  if (found == classes.end()) return 0;
  return part->prediction.scores[row * classes.size() + static_cast<std::size_t>(found - classes.begin())];
}

Result<std::unique_ptr<FileScorer>> FileScorer::open(const Options& options, const Shared& shared) {
  std::unique_ptr<FileScorer> scorer(new FileScorer(options));
  if (options.tenant_column.empty()) {
    ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
    if (!node.partition.is_root()) return invalid_argument(options.model + ": the partitions are those of the rows");
    scorer->tenant_ = node.tenant;
    scorer->model_name_ = node.model;
  } else {
    RETURN_IF_ERROR(
        model::check_name("model", options.model).at("with --tenant-column the model is named without a tenant"));
    scorer->model_name_ = options.model;
  }
  if (!options.where.empty()) {
    ASSIGN_OR_RETURN(scorer->where_, data::Where::parse(options.where));
  }
  ASSIGN_OR_RETURN(scorer->reader_, data::Reader::open(options.path));
  RETURN_IF_ERROR(scorer->where_.check_columns(scorer->reader_->columns()));
  RETURN_IF_ERROR(scorer->load_models(shared));
  ASSIGN_OR_RETURN(scorer->router_, connect_router(shared));
  return scorer;
}

Status FileScorer::load_models(const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  wire::ModelsRequest request;
  request.tenant = tenant_;
  if (!tenant_.empty()) request.model = model_name_;
  do {
    ASSIGN_OR_RETURN(wire::ModelsReply reply, registry->call(request));
    for (wire::ModelRecord& record : reply.models) {
      if (record.model != model_name_) continue;
      auto model = std::make_unique<Model>();
      model->record = std::move(record);
      models_[model->record.tenant] = std::move(model);
    }
    request.cursor = std::move(reply.cursor);
  } while (!request.cursor.empty());
  if (models_.empty()) return not_found("no model " + (tenant_.empty() ? "" : tenant_ + "/") + model_name_);
  ASSIGN_OR_RETURN(spec_, model::Spec::parse_json(model().spec_json));
  return Status();
}

// The columns of the frame: what the filter, the models, the levels and the caller read, each once.
Status FileScorer::bind_columns() {
  std::vector<model::Field> wanted = where_.fields();
  wanted.insert(wanted.end(), fields_.begin(), fields_.end());
  for (const auto& [tenant, model] : models_) {
    wanted.insert(wanted.end(), model->record.fields.begin(), model->record.fields.end());
    for (const std::string& level : model->record.levels) wanted.push_back({level, model::FieldType::text});
  }
  if (!options_.tenant_column.empty()) wanted.push_back({options_.tenant_column, model::FieldType::text});
  if (options_.all_columns)
    for (const std::string& column : reader_->columns()) wanted.push_back({column, model::FieldType::text});
  fields_.clear();
  for (model::Field& field : wanted)
    if (std::find(fields_.begin(), fields_.end(), field) == fields_.end()) fields_.push_back(std::move(field));
  RETURN_IF_ERROR(reader_->select(fields_));

  const auto column = [&](const model::Field& field) {
    return static_cast<std::size_t>(std::find(fields_.begin(), fields_.end(), field) - fields_.begin());
  };
  for (const auto& [tenant, model] : models_)
    for (const model::Field& field : model->record.fields) model->columns.push_back(column(field));
  if (!options_.tenant_column.empty()) tenant_field_ = column({options_.tenant_column, model::FieldType::text});
  return Status();
}

Status FileScorer::run(const Take& take) {
  RETURN_IF_ERROR(bind_columns());
  bool more = true;
  while (more || !chunks_.empty()) {
    while (more && chunks_.size() < kChunksUnderWay) {
      ASSIGN_OR_RETURN(more, send_chunk());
    }
    if (!sent_.empty() || !refused_.empty()) RETURN_IF_ERROR(receive());
    RETURN_IF_ERROR(hand_over(take));
  }
  return Status();
}

// False at the file's end.
Result<bool> FileScorer::send_chunk() {
  auto chunk = std::make_unique<Chunk>();
  chunk->frame = data::Frame(fields_);
  ASSIGN_OR_RETURN(const std::size_t read, reader_->read(chunk->frame, kChunkRows));
  if (read == 0) return false;
  std::map<std::string, Asked> asked;
  for (const std::uint32_t row : data::BoundWhere(where_, chunk->frame).rows())
    RETURN_IF_ERROR(add_row(*chunk, asked, row));
  for (auto& [tenant, request] : asked) RETURN_IF_ERROR(send(*chunk, request));
  chunks_.push_back(std::move(chunk));
  return true;
}

Result<const FileScorer::Model*> FileScorer::model_of(const data::Frame& frame, std::size_t row,
                                                      std::string& tenant) const {
  tenant = options_.tenant_column.empty() ? tenant_ : lower_case(frame.columns()[tenant_field_].texts[row]);
  const auto found = models_.find(tenant);
  if (found != models_.end()) return found->second.get();
  return not_found(options_.path + ":" + std::to_string(frame.line(row)) + ": no model " + tenant + "/" + model_name_);
}

std::vector<std::string> FileScorer::partition_of(const Model& model, const data::Frame& frame, std::size_t row) const {
  std::vector<std::string> partition;
  for (const std::string& level : model.record.levels) {
    const auto column = frame.find({level, model::FieldType::text});
    partition.emplace_back(frame.columns()[*column].texts[row]);
  }
  while (!partition.empty() && partition.back().empty()) partition.pop_back();
  return partition;
}

Status FileScorer::add_row(Chunk& chunk, std::map<std::string, Asked>& asked, std::size_t row) {
  std::string tenant;
  ASSIGN_OR_RETURN(const Model* model, model_of(chunk.frame, row, tenant));
  Asked& to = asked[tenant];
  to.model = model;
  auto partition = partition_of(*model, chunk.frame, row);
  RETURN_IF_ERROR(model::Partition::from_values(partition).status().at(options_.path + ":" +
                                                                       std::to_string(chunk.frame.line(row))));
  const auto [at, is_new] = to.by_partition.try_emplace(partition, to.request.parts.size());
  if (is_new) {
    to.request.parts.push_back({std::move(partition), "", 0});
    to.values.emplace_back();
    to.parts.push_back(static_cast<std::uint32_t>(chunk.parts.size()));
    chunk.parts.emplace_back();
  }
  wire::PartAsked& part = to.request.parts[at->second];
  for (const std::size_t column : model->columns) to.values[at->second].push_back(chunk.frame.value(row, column));
  chunk.places.push_back({static_cast<std::uint32_t>(row), to.parts[at->second], part.rows});
  ++part.rows;
  return Status();
}

Status FileScorer::send(Chunk& chunk, Asked& asked) {
  wire::PredictRequest& request = asked.request;
  request.tenant = asked.model->record.tenant;
  request.model = model_name_;
  if (!options_.ref.empty()) request.refs = {options_.ref};
  request.budget_us = kBudgetUs;
  request.all_scores = options_.all_scores;
  std::vector<std::string> bodies;
  const auto schema = static_cast<std::uint32_t>(asked.model->record.fields.size());
  for (const auto& values : asked.values) bodies.push_back(wire::encode_vectors(schema, values));
  ++chunk.unanswered;
  const std::int64_t give_up_us = Clock::system().monotonic_us() + kBudgetUs;
  return submit({&chunk, std::move(asked.parts), std::move(request), std::move(bodies), give_up_us});
}

Status FileScorer::submit(Sent sent) {
  ASSIGN_OR_RETURN(const client::Ticket ticket, router_->submit(sent.request, sent.bodies));
  sent_[ticket] = std::move(sent);
  return Status();
}

/// Asks again what was refused for a while.
Status FileScorer::ask_again() {
  const std::int64_t now = Clock::system().monotonic_us();
  while (!refused_.empty() && refused_.begin()->first <= now) {
    Sent sent = std::move(refused_.begin()->second);
    refused_.erase(refused_.begin());
    RETURN_IF_ERROR(submit(std::move(sent)));
  }
  return Status();
}

Status FileScorer::receive() {
  RETURN_IF_ERROR(ask_again());
  if (sent_.empty()) std::this_thread::sleep_for(std::chrono::microseconds(kRetryUs));
  client::Prediction answer;
  if (!router_->receive(answer, refused_.empty() ? 1'000'000 : kRetryUs)) return Status();
  const auto found = sent_.find(answer.ticket);
  if (found == sent_.end()) return Status();
  Sent sent = std::move(found->second);
  sent_.erase(found);
  const std::int64_t again_us = Clock::system().monotonic_us() + std::max(answer.retry_after_us, kRetryUs);
  const bool may_wait = again_us < sent.give_up_us;
  if (may_wait && client::is_temporary(answer.status.code())) {
    refused_.emplace(again_us, std::move(sent));
    return Status();
  }
  --sent.chunk->unanswered;
  RETURN_IF_ERROR(answer.status);
  for (std::size_t i = 0; i < sent.parts.size(); ++i) sent.chunk->parts[sent.parts[i]] = std::move(answer.parts[i]);
  if (may_wait) keep_refused_parts(std::move(sent), again_us);
  return Status();
}

/// Of an answered request, the parts that were refused for a while are a request of their own.
void FileScorer::keep_refused_parts(Sent sent, std::int64_t again_us) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < sent.parts.size(); ++i) {
    if (!client::is_temporary(sent.chunk->parts[sent.parts[i]].status.code())) continue;
    if (kept < i) {
      sent.parts[kept] = sent.parts[i];
      sent.request.parts[kept] = std::move(sent.request.parts[i]);
      sent.bodies[kept] = std::move(sent.bodies[i]);
    }
    ++kept;
  }
  if (kept == 0) return;
  sent.parts.resize(kept);
  sent.request.parts.resize(kept);
  sent.bodies.resize(kept);
  ++sent.chunk->unanswered;
  refused_.emplace(again_us, std::move(sent));
}

Status FileScorer::hand_over(const Take& take) {
  while (!chunks_.empty() && chunks_.front()->unanswered == 0) {
    const Chunk& chunk = *chunks_.front();
    for (const Place& place : chunk.places)
      RETURN_IF_ERROR(take(chunk.frame, place.row, {&chunk.parts[place.part], place.row_in_part}));
    chunks_.pop_front();
  }
  return Status();
}

}  // namespace espalier::cli
