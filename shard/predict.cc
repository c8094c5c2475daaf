#include "shard/predict.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "cluster/placement.h"

namespace espalier::shard {
namespace {

/// All bodies of a reply; more would not pass through the cluster's sockets together with their header.
constexpr std::size_t kMaxReplyBytes = wire::kMaxInternalMessageBytes / 2;
/// Rows scored between two looks at the clock.
constexpr std::uint32_t kRowsPerLook = 256;
/// And so many bytes of text, of which a row may have many.
constexpr std::size_t kTextPerLook = 65536;

/// A shard that is starting tells callers to come again after this.
constexpr std::int64_t kStartingRetryUs = 100'000;

Status deadline_exceeded(std::string message) { return {Code::deadline_exceeded, std::move(message)}; }

}  // namespace

void Reply::set_error(const Status& status, std::int64_t retry_after_us) {
  header = wire::encode_error(status, retry_after_us);
  body_count = 0;
}

Predictor::Predictor(std::string shard, const Clock& clock, Damage& damage, Verify verify)
    : shard_(std::move(shard)), clock_(clock), damage_(damage), verify_(verify) {}

void Predictor::answer(const Principal& principal, const ModelTable& table, std::string_view header,
                       std::span<const std::string_view> bodies, const Arrival& arrival, Reply& reply) {
  counted_ = &counts_.rest();
  seen_ = {};
  waited_us_ = -1;
  walks_.clear();
  const Status status = try_answer(principal, table, header, bodies, arrival, reply);
  counts_.requests[static_cast<std::size_t>(status.code())].add();
  if (!status.ok()) counted_->failed.add();
  seen_.has_failed = seen_.has_failed || !status.ok();
  if (!status.ok()) reply.set_error(status, table.is_starting ? kStartingRetryUs : 0);
}

void Predictor::append_times(std::int64_t took_us, Reply& reply) {
  if (!request_.trace && request_.shard.empty()) return;  // whoever asks a shard itself gets what they asked for
  wire::append_times(reply.header, {static_cast<std::uint64_t>(waited_us_), static_cast<std::uint64_t>(took_us),
                                    std::exchange(walks_, {})});
}

Status Predictor::try_answer(const Principal& principal, const ModelTable& table, std::string_view header,
                             std::span<const std::string_view> bodies, const Arrival& arrival, Reply& reply) {
  is_accepted_ = false;
  RETURN_IF_ERROR(wire::decode_predict(header, request_));
  if (!principal.may_route()) {
    return Status(Code::permission_denied, "principal " + principal.name() + " may not ask shards: ask a router");
  }
  RETURN_IF_ERROR(begin_budget(arrival));
  if (!request_.shard.empty() && request_.shard != shard_) {
    return unavailable("this is shard " + shard_ + ", the request is for " + std::string(request_.shard));
  }
  if (table.is_starting) return unavailable("shard " + shard_ + " is starting");
  if (bodies.size() != request_.parts.size()) {
    return invalid_argument("parts: " + std::to_string(request_.parts.size()) + " in the header, but " +
                            std::to_string(bodies.size()) + " body frames");
  }
  is_accepted_ = true;
  model_key_.clear();
  model::append_component(model_key_, request_.tenant);
  model::append_component(model_key_, request_.model);
  model_hash_ = SnapshotMap<Model>::hash_of(model_key_);
  const Model* model = table.models.find(model_key_, model_hash_);
  if (model == nullptr) return not_found("model " + std::string(request_.tenant) + "/" + std::string(request_.model));
  counted_ = &counts_.of(*model, model_hash_);
  seen_.tenant = &model->tenant;
  seen_.model = &model->model;
  if (!model->is_held) return unavailable("shard " + shard_ + " does not hold tenant " + model->tenant);
  if (request_.min_epoch > table.epoch) {
    return unavailable("shard " + shard_ + " knows epoch " + std::to_string(table.epoch) + ", asked for at least " +
                       std::to_string(request_.min_epoch));
  }
  ASSIGN_OR_RETURN(const Ref ref, Ref::parse(request_.ref()));
  const Tag* tag = nullptr;
  if (ref.kind != Ref::Kind::version) {
    ASSIGN_OR_RETURN(tag, resolve_tag(*model, ref));
  }
  epoch_ = model->epoch;
  reply_bytes_ = 0;
  reply.body_count = bodies.size();
  if (reply.bodies.size() < bodies.size()) reply.bodies.resize(bodies.size());
  wire::begin_reply(reply.header, static_cast<std::uint32_t>(bodies.size()));
  is_unready_ = false;
  bool has_failed = false;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const Status status = answer_part(table, *model, tag, ref, i, bodies[i], reply);
    if (status.ok()) continue;
    has_failed = true;
    counts_.parts_failed[static_cast<std::size_t>(status.code())].add();
    reply.bodies[i].clear();
    wire::append_failed(reply.header, request_.parts[i].rows, status.code(), status.message());
  }
  if (has_failed) counted_->failed.add();
  seen_.has_failed = has_failed;
  if (is_unready_) wire::mark_unready(reply.header);
  return {};
}

/// The budget counts from when the router sent the request, as far as that can be told.
Status Predictor::begin_budget(const Arrival& arrival) {
  const auto is_over = [] { return deadline_exceeded("the time budget was over before the shard began"); };
  waited_us_ = 0;
  if (request_.budget_us <= 0) return is_over();
  std::int64_t now_us = arrival.now_us;
  std::int64_t waited_us = 0;
  if (!arrival.peer.empty()) {
    if (queue_.sets_least(arrival.peer, request_.sent_us, now_us)) now_us = clock_.monotonic_us();
    waited_us = queue_.waited_us(arrival.peer, request_.sent_us, now_us);
    counts_.waited.record(waited_us);
  }
  now_us_ = now_us;
  waited_us_ = waited_us;
  const std::int64_t remaining_us = std::min(request_.budget_us, wire::kLongestBudgetUs) - waited_us;
  if (remaining_us <= 0) return is_over();
  deadline_us_ = now_us + remaining_us;
  return {};
}

/// Finds who answers for the part, scores its rows, and says what answered and why.
Status Predictor::answer_part(const ModelTable& table, const Model& model, const Tag* tag, const Ref& ref,
                              std::size_t place, std::string_view body, Reply& reply) {
  const wire::PredictHeader::Part& part = request_.parts[place];
  if (place > 0 && is_late()) return deadline_exceeded("the time budget was over before this part");
  const std::span<const std::string_view> asked = request_.partition(part);
  const Status path = path_.assign(asked, model.levels.size());
  if (!path.ok()) return path;
  // Of a leaf that it doesn't hold: who does is away, and may have a version of it.
  const bool may_lack =
      request_.stand_in && path_.depth() > cluster::replicated_until(static_cast<std::uint32_t>(model.levels.size()));
  if (request_.trace && tag != nullptr && place < wire::kMostWalks) {
    walks_.push_back({static_cast<std::uint32_t>(place), walk(model, *tag, path_)});
  }
  std::optional<Choice> choice;
  Status scored;
  // Again with what answers instead, as long as what was chosen turns out to be damaged.
  for (;;) {
    Unanswered unanswered;
    Result<Choice> chosen =
        tag != nullptr ? choose(model, *tag, path_, &unanswered) : choose_version(model, ref.id, path_);
    const Code code = chosen.status().code();
    if (may_lack && (code == Code::no_model || code == Code::not_found)) {
      return unavailable("the shards that hold this node are away, and nothing above it answers");
    }
    const bool is_unknown = tag == nullptr && code == Code::not_found;  // a version: not here yet?
    is_unready_ = is_unready_ || unanswered.is_here_only || is_unknown;
    if (unanswered.missed != nullptr) unanswered.missed->used.note(now_us_);
    ASSIGN_OR_RETURN(choice, std::move(chosen));
    const Servable& servable = *choice->answer->servable;
    const std::size_t reply_bytes = reply_bytes_;
    bool is_sound = verify_ == Verify::admission || servable.is_intact();
    if (is_sound) {
      scored = score(servable, *model.inputs, body, part.rows, reply.bodies[place]);
      is_sound = servable.has_lost_nothing();
    }
    if (is_sound) break;
    damage_.report(servable);
    reply_bytes_ = reply_bytes;
  }
  RETURN_IF_ERROR(scored);
  const Answer& answer = *choice->answer;
  if (may_lack && choice->reason == wire::Reason::no_version) choice->reason = wire::Reason::cold;
  // Of many parts all would be computed once more for the sake of one.
  const bool may_be_warm_elsewhere = table.is_filling && !request_.stand_in && request_.parts.size() == 1;
  is_unready_ = is_unready_ || (may_be_warm_elsewhere && choice->reason == wire::Reason::cold);
  choice->node->used.note(now_us_);
  if (choice->missed != nullptr) choice->missed->used.note(now_us_);

  wire::ProvenanceView provenance;
  provenance.asked = asked.first(path_.depth());
  provenance.served_levels = choice->depth;
  provenance.level = model.level_name(choice->depth);
  provenance.reason = choice->reason;
  provenance.version = answer.version;
  if (choice->tag != nullptr) provenance.tag = choice->tag->name;
  provenance.release = answer.release;
  provenance.release_epoch = answer.release_epoch;
  provenance.epoch = epoch_;
  provenance.shard = shard_;
  provenance.prediction = request_.prediction;
  provenance.attempt = request_.attempt;
  wire::append_answered(reply.header, part.rows, provenance);
  counted_->add(choice->reason);
  seen_.version = answer.version;
  seen_.is_unexpected = seen_.is_unexpected || is_unexpected(choice->reason);
  counts_.parts[path_.depth() - choice->depth][static_cast<std::size_t>(choice->reason)].add();
  return {};
}

/// Predicts row by row straight from the body's bytes.
Status Predictor::score(const Servable& servable, const wire::FieldIndex& inputs, std::string_view body,
                        std::uint32_t rows, std::string& to) {
  const model::Artefact& artefact = servable.artefact;
  RETURN_IF_ERROR(reader_.open(body, rows, inputs));
  writer_.begin(artefact.task(), artefact.classes(), request_.all_scores);
  inputs_.resize(servable.fields.size());
  std::size_t text = 0;
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (row % kRowsPerLook == kRowsPerLook - 1 || text >= kTextPerLook) {
      if (is_late()) return deadline_exceeded("the time budget was over within this part");
      text = 0;
    }
    std::span<const model::Value> values;
    RETURN_IF_ERROR(reader_.next(values));
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      inputs_[i] = values[servable.fields[i]];
      text += inputs_[i].text.size();
    }
    artefact.predict(inputs_, scratch_, output_);
    writer_.add(output_);
    if (reply_bytes_ + writer_.most_bytes() > kMaxReplyBytes) {
      return Status(Code::resource_exhausted, "the predictions are too large for a message; ask for fewer rows");
    }
  }
  RETURN_IF_ERROR(reader_.finish());
  reply_bytes_ += writer_.most_bytes();
  writer_.finish(to);
  return {};
}

}  // namespace espalier::shard
