// Predictions as an application asks for them.
//
//   ASSIGN_OR_RETURN(auto client, client::Client::connect({"ipc:///run/espalier/router.sock"}));
//   wire::PredictRequest request;
//   request.tenant = "acme";
//   request.model = "total";
//   request.parts = {{{"usa", "ca"}, "user 7", 1}};
//   const std::vector<wire::NamedRow> rows = {{{"sex", model::Value::of("M")}, {"bodyweight_kg",
//   model::Value::of(81.5)}}}; client::Prediction answer = client->predict(request, {wire::encode_rows(rows)});
//
// One at a time with predict(), or many in flight with submit() and receive().
//
// Thread safety: belongs to one thread. Ownership: answers own what they hold.
// Errors: of the request as a whole in Prediction::status, of a part in its own; deadline_exceeded when the budget is
// over without answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/exchange.h"
#include "common/status.h"
#include "wire/messages.h"
#include "wire/row_codec.h"

namespace espalier::client {

struct PredictedPart {
  Status status;
  std::uint32_t rows = 0;
  wire::Provenance provenance;      ///< when status is ok: what answered, and why
  wire::PartPrediction prediction;  ///< when status is ok: one prediction a row
};

struct Prediction {
  Ticket ticket = 0;
  Status status;                     ///< of the request as a whole
  std::int64_t retry_after_us = 0;   ///< with overloaded and unavailable: when asking again makes sense
  std::vector<PredictedPart> parts;  ///< in the order asked; when status is ok
};

class Client {
 public:
  struct Options {
    std::int64_t budget_us = wire::kDefaultBudgetUs;  ///< for requests that leave theirs at the default
    int queue = 1000;  ///< messages handed over to the connection that it hasn't sent yet, or received
    std::size_t most_requests = 65'536;     ///< submitted and not received yet
    std::uint64_t most_bytes = 1ull << 30;  ///< of requests under way
    /// predict() asks again what was `overloaded` or `unavailable`, after the wait that the reply advises and within
    /// the budget: of a request with many parts those that were.
    bool asks_again = false;
    /// Who asks; null: nobody in particular, which is enough where connections aren't secured (docs/keys.md).
    std::shared_ptr<const KeyPair> key;
    /// May use endpoints, too, where anybody could answer or listen in: neither private nor with a public key.
    bool insecure = false;
  };

  /// `routers` are used one at a time, best one endpoint for each: the next when the connection is lost, or the one in
  /// use answers nothing for 60 ms and then no hello for 100 ms. What is under way is sent again there with what
  /// remains of its budget. invalid_argument: none, or a malformed endpoint; failed_precondition: one that is neither
  /// secured nor private.
  static Result<std::unique_ptr<Client>> connect(std::vector<std::string> routers, const Options& options);
  static Result<std::unique_ptr<Client>> connect(std::vector<std::string> routers) {
    return connect(std::move(routers), Options());
  }

  /// Asks and waits; answers to submitted requests that arrive meanwhile are kept for receive(). `bodies`: one a part,
  /// see wire/row_codec.h.
  Prediction predict(const wire::PredictRequest& request, std::vector<std::string> bodies);

  /// Asks without waiting. invalid_argument: not one body a part, or more bytes than a request may have;
  /// overloaded: too much is under way, or was answered and not received, or it would wait for half of its budget until
  /// it is sent.
  Result<Ticket> submit(const wire::PredictRequest& request, std::vector<std::string> bodies);
  /// The next answer to what was submitted, in the order of arrival, waiting up to `timeout_us` (0: not at all). false:
  /// none now.
  bool receive(Prediction& prediction, std::int64_t timeout_us);
  /// For a poller of one's own: readable when an answer may be there. Becomes another one after a router was given up,
  /// so add it anew for each wait, and call receive() every few milliseconds, which sees to lost and silent routers.
  wire::Socket& socket() { return exchange_->socket(); }
  /// Submitted and not received yet, those with an answer waiting left out.
  std::size_t in_flight() const { return exchange_->in_flight(); }

 private:
  Prediction predict_once(const wire::PredictRequest& request, std::vector<std::string> bodies);

  Client(std::unique_ptr<Exchange> exchange, const Options& options)
      : exchange_(std::move(exchange)), options_(options) {}

  std::unique_ptr<Exchange> exchange_;
  const Options options_;
};

/// Asking again later may help: overloaded or unavailable.
bool is_temporary(Code code);

/// What a reply's frames say; used by Client, and by whoever moves the frames by other means.
Prediction read_prediction(const Answer& answer);

}  // namespace espalier::client
