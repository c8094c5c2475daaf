#include "client/client.h"

#include <utility>

namespace espalier::client {
namespace {

/// The router answers at the end of the budget itself; its answer still has to arrive.
constexpr std::int64_t kGraceUs = 100'000;

PredictedPart read_part(wire::PartAnswered& from, std::string_view body) {
  PredictedPart part;
  part.rows = from.rows;
  if (from.status != Code::ok) {
    part.status = Status(from.status, std::move(from.message));
    return part;
  }
  part.provenance = std::move(from.provenance);
  Result<wire::PartPrediction> prediction = wire::decode_prediction(body, part.rows);
  if (prediction.ok()) {
    part.prediction = *std::move(prediction);
  } else {
    part.status = prediction.status();
  }
  return part;
}

}  // namespace

Result<std::unique_ptr<Client>> Client::connect(std::vector<std::string> routers, const Options& options) {
  Exchange::Options exchange_options;
  exchange_options.peer = "the router";
  exchange_options.late = Code::deadline_exceeded;
  exchange_options.socket.send_queue = options.queue;
  exchange_options.socket.receive_queue = options.queue;
  exchange_options.socket.heartbeat_ms = 1000;
  ASSIGN_OR_RETURN(auto exchange, Exchange::open(std::move(routers), std::move(exchange_options)));
  return std::unique_ptr<Client>(new Client(std::move(exchange), options));
}

Result<Ticket> Client::submit(const wire::PredictRequest& request, std::vector<std::string> bodies) {
  if (bodies.size() != request.parts.size()) {
    return invalid_argument("parts: " + std::to_string(request.parts.size()) + " parts with " +
                            std::to_string(bodies.size()) + " bodies");
  }
  const bool own_budget = request.budget_us != wire::kDefaultBudgetUs;
  const std::int64_t budget_us = own_budget ? request.budget_us : options_.budget_us;
  if (budget_us <= 0) return invalid_argument("budget_us: must be positive");
  std::string header;
  if (own_budget) {
    header = wire::encode(request);
  } else {
    wire::PredictRequest with_budget = request;
    with_budget.budget_us = budget_us;
    header = wire::encode(with_budget);
  }
  std::size_t bytes = header.size();
  for (const std::string& body : bodies) bytes += body.size();
  if (bytes > wire::kMaxClientMessageBytes) {
    return invalid_argument("request: " + std::to_string(bytes) + " bytes, at most " +
                            std::to_string(wire::kMaxClientMessageBytes));
  }
  return exchange_->send(std::move(header), std::move(bodies), budget_us + kGraceUs, 0);
}

Prediction Client::predict(const wire::PredictRequest& request, std::vector<std::string> bodies) {
  const Result<Ticket> ticket = submit(request, std::move(bodies));
  if (ticket.ok()) return read_prediction(exchange_->wait_for(*ticket));
  Prediction refused;
  refused.status = ticket.status();
  return refused;
}

bool Client::receive(Prediction& prediction, std::int64_t timeout_us) {
  Answer answer;
  if (!exchange_->receive(answer, timeout_us)) return false;
  prediction = read_prediction(answer);
  return true;
}

Prediction read_prediction(const Answer& answer) {
  Prediction prediction;
  prediction.ticket = answer.ticket;
  prediction.status = answer.status;
  if (answer.header().empty()) return prediction;
  Result<wire::PredictReply> reply = wire::decode<wire::PredictReply>(answer.header());
  if (!reply.ok()) {
    prediction.status = corrupt("unreadable reply: " + reply.status().message());
    return prediction;
  }
  prediction.retry_after_us = reply->retry_after_us;
  if (!prediction.status.ok()) return prediction;
  if (answer.body_count() != reply->parts.size()) {
    prediction.status = corrupt("reply: " + std::to_string(reply->parts.size()) + " parts with " +
                                std::to_string(answer.body_count()) + " bodies");
    return prediction;
  }
  prediction.parts.reserve(reply->parts.size());
  for (std::size_t i = 0; i < reply->parts.size(); ++i) {
    prediction.parts.push_back(read_part(reply->parts[i], answer.body(i)));
  }
  return prediction;
}

}  // namespace espalier::client
