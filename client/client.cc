#include "client/client.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "wire/predict_codec.h"

namespace espalier::client {
namespace {

/// The router answers at the end of the budget itself; its answer still has to arrive.
constexpr std::int64_t kGraceUs = 100'000;
/// From a refusal to the next try, where the reply advises nothing or less.
constexpr std::int64_t kLeastWaitUs = 1'000;
constexpr std::int64_t kUsualWaitUs = 20'000;

/// The header of a request that is sent again, with what remains of its budget; empty: nothing does.
std::string with_budget(std::string_view header, std::int64_t remaining_us) {
  std::string renewed;
  wire::PredictHeader request;
  if (remaining_us <= kGraceUs || !wire::decode_predict(header, request).ok()) return renewed;
  request.budget_us = remaining_us - kGraceUs;
  request.sent_us = Clock::system().monotonic_us();
  wire::encode_predict(request, renewed);
  return renewed;
}

/// The places of the parts that may be asked again; all where the request as a whole was refused.
std::vector<std::size_t> refused_parts(const Prediction& prediction, std::size_t parts) {
  std::vector<std::size_t> refused;
  for (std::size_t i = 0; i < parts; ++i) {
    const Status& status = prediction.status.ok() ? prediction.parts[i].status : prediction.status;
    if (is_temporary(status.code())) refused.push_back(i);
  }
  return refused;
}

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
  exchange_options.socket.key = options.key;
  exchange_options.most_requests = options.most_requests;
  exchange_options.most_bytes = options.most_bytes;
  exchange_options.socket.insecure = options.insecure;
  exchange_options.refuses_what_waits = true;
  exchange_options.renew = with_budget;
  ASSIGN_OR_RETURN(auto exchange, Exchange::open(std::move(routers), std::move(exchange_options)));
  return std::unique_ptr<Client>(new Client(std::move(exchange), options));
}

Result<Ticket> Client::submit(const wire::PredictRequest& request, std::vector<std::string> bodies) {
  if (bodies.size() != request.parts.size()) {
    return invalid_argument("parts: " + std::to_string(request.parts.size()) + " parts with " +
                            std::to_string(bodies.size()) + " bodies");
  }
  wire::PredictRequest stamped = request;
  if (request.budget_us == wire::kDefaultBudgetUs) stamped.budget_us = options_.budget_us;
  if (stamped.budget_us <= 0) return invalid_argument("budget_us: must be positive");
  stamped.sent_us = Clock::system().monotonic_us();
  std::string header = wire::encode(stamped);
  std::size_t bytes = header.size();
  for (const std::string& body : bodies) bytes += body.size();
  if (bytes > wire::kMaxClientMessageBytes) {
    return invalid_argument("request: " + std::to_string(bytes) + " bytes, at most " +
                            std::to_string(wire::kMaxClientMessageBytes));
  }
  RETURN_IF_ERROR(exchange_->check_room(bytes, stamped.budget_us));
  return exchange_->send(std::move(header), std::move(bodies), stamped.budget_us + kGraceUs, 0);
}

bool is_temporary(Code code) { return code == Code::overloaded || code == Code::unavailable; }

Prediction Client::predict(const wire::PredictRequest& request, std::vector<std::string> bodies) {
  if (!options_.asks_again) return predict_once(request, std::move(bodies));
  const Clock& clock = Clock::system();
  const std::int64_t budget_us = request.budget_us != wire::kDefaultBudgetUs ? request.budget_us : options_.budget_us;
  const std::int64_t until_us = clock.monotonic_us() + budget_us;
  Prediction prediction = predict_once(request, bodies);
  Prediction last = prediction;
  std::vector<std::size_t> asked = refused_parts(prediction, request.parts.size());
  while (!asked.empty()) {
    const std::int64_t advised_us = last.retry_after_us > 0 ? last.retry_after_us : kUsualWaitUs;
    const std::int64_t wait_us = std::max(kLeastWaitUs, advised_us);
    if (clock.monotonic_us() + wait_us >= until_us) break;
    std::this_thread::sleep_for(std::chrono::microseconds(wait_us));
    wire::PredictRequest again = request;
    again.budget_us = std::max<std::int64_t>(1, until_us - clock.monotonic_us());
    again.parts.clear();
    std::vector<std::string> again_bodies;
    for (const std::size_t place : asked) {
      again.parts.push_back(request.parts[place]);
      again_bodies.push_back(bodies[place]);
    }
    last = predict_once(again, std::move(again_bodies));
    if (asked.size() == request.parts.size()) {
      prediction = last;
    } else {
      for (std::size_t i = 0; i < asked.size(); ++i) {
        if (last.status.ok()) {
          prediction.parts[asked[i]] = last.parts[i];
        } else {
          prediction.parts[asked[i]].status = last.status;
        }
      }
    }
    std::vector<std::size_t> left;
    for (const std::size_t i : refused_parts(last, asked.size())) left.push_back(asked[i]);
    asked = std::move(left);
  }
  return prediction;
}

Prediction Client::predict_once(const wire::PredictRequest& request, std::vector<std::string> bodies) {
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
