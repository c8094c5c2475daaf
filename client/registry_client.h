// The registry as its clients see it (shards, routers, trainers, the command line): any of its operations as one call,
// or posted, so that a long wait for the change feed and several fetches are under way at once.
//
//   ASSIGN_OR_RETURN(auto registry, client::RegistryClient::connect({"ipc://…"}));
//   ASSIGN_OR_RETURN(wire::ViewReply reply, registry->call(wire::ViewRequest{}));
//
//   const Ticket feed = registry->post(wire::FeedRequest{…, .wait_us = 5'000'000});
//   Answer answer;
//   while (registry->poll(answer, 100'000)) {
//     if (answer.ticket == feed) { Result<wire::FeedReply> reply = registry->reply_to<wire::FeedRequest>(answer); … }
//   }
//
// A request without answer is sent again, the same bytes: reading twice does no harm, and a change is recognised by its
// idem. So a registry that restarts meanwhile, or a connection that breaks, only costs time.
//
// Thread safety: belongs to one thread. Errors: the registry's own; unavailable when it does not answer in time;
// corrupt: an unreadable reply.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/exchange.h"
#include "common/status.h"
#include "wire/dataset_messages.h"
#include "wire/key_messages.h"
#include "wire/membership_messages.h"
#include "wire/messages.h"
#include "wire/moving_messages.h"
#include "wire/run_messages.h"
#include "wire/search_messages.h"
#include "wire/socket.h"
#include "wire/space_messages.h"
#include "wire/tag_messages.h"
#include "wire/upkeep_messages.h"

namespace espalier::client {

/// The reply that belongs to each request.
template <class Request>
struct ReplyTo;
template <>
struct ReplyTo<wire::RetentionRequest> {
  using type = wire::RetentionReply;
};
template <>
struct ReplyTo<wire::SetRetentionRequest> {
  using type = wire::RetentionReply;
};
template <>
struct ReplyTo<wire::CollectRequest> {
  using type = wire::StartedReply;
};
template <>
struct ReplyTo<wire::EraseRequest> {
  using type = wire::StartedReply;
};
template <>
struct ReplyTo<wire::ReceiptRequest> {
  using type = wire::ReceiptReply;
};
template <>
struct ReplyTo<wire::ReceiptItemsRequest> {
  using type = wire::ReceiptItemsReply;
};
template <>
struct ReplyTo<wire::VerifyErasureRequest> {
  using type = wire::VerifyErasureReply;
};
template <>
struct ReplyTo<wire::HelloRequest> {
  using type = wire::HelloReply;
};
template <>
struct ReplyTo<wire::JoinRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::LeaveRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::RenewRequest> {
  using type = wire::RenewReply;
};
template <>
struct ReplyTo<wire::DrainRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::SetTenantRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::ViewRequest> {
  using type = wire::ViewReply;
};
template <>
struct ReplyTo<wire::FeedRequest> {
  using type = wire::FeedReply;
};
template <>
struct ReplyTo<wire::ChangedEntriesRequest> {
  using type = wire::EntriesReply;
};
template <>
struct ReplyTo<wire::TagEntriesRequest> {
  using type = wire::EntriesReply;
};
template <>
struct ReplyTo<wire::ModelsRequest> {
  using type = wire::ModelsReply;
};
template <>
struct ReplyTo<wire::AckRequest> {
  using type = wire::AckReply;
};
template <>
struct ReplyTo<wire::WaitRequest> {
  using type = wire::WaitReply;
};
template <>
struct ReplyTo<wire::FetchRequest> {
  using type = wire::FetchReply;
};
template <>
struct ReplyTo<wire::UploadRequest> {
  using type = wire::UploadReply;
};
template <>
struct ReplyTo<wire::PublishRequest> {
  using type = wire::ReleaseReply;
};
template <>
struct ReplyTo<wire::MoveRequest> {
  using type = wire::ReleaseReply;
};
template <>
struct ReplyTo<wire::ReleasesRequest> {
  using type = wire::ReleasesReply;
};
template <>
struct ReplyTo<wire::VersionsRequest> {
  using type = wire::VersionsReply;
};
template <>
struct ReplyTo<wire::SearchRequest> {
  using type = wire::SearchReply;
};
template <>
struct ReplyTo<wire::RollbackRequest> {
  using type = wire::ReleaseReply;
};
template <>
struct ReplyTo<wire::RollbackPreviewRequest> {
  using type = wire::DifferencesReply;
};
template <>
struct ReplyTo<wire::ReleaseDiffRequest> {
  using type = wire::DifferencesReply;
};
template <>
struct ReplyTo<wire::TagHistoryRequest> {
  using type = wire::TagHistoryReply;
};
template <>
struct ReplyTo<wire::OverlayRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::PromoteRequest> {
  using type = wire::ReleaseReply;
};
template <>
struct ReplyTo<wire::CheckRequest> {
  using type = wire::CheckReply;
};
template <>
struct ReplyTo<wire::ArchiveRequest> {
  using type = wire::ArchiveReply;
};
template <>
struct ReplyTo<wire::RunStartRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::RunLogRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::RunEndRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::RunAttachRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::RunsRequest> {
  using type = wire::RunsReply;
};
template <>
struct ReplyTo<wire::RunMetricsRequest> {
  using type = wire::RunMetricsReply;
};
template <>
struct ReplyTo<wire::RunFileRequest> {
  using type = wire::RunFileReply;
};
template <>
struct ReplyTo<wire::DatasetPutRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::DatasetsRequest> {
  using type = wire::DatasetsReply;
};

template <>
struct ReplyTo<wire::ImportRequest> {
  using type = wire::ImportReply;
};

template <>
struct ReplyTo<wire::KeyCreateRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::KeyLimitRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::KeyRotateRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::KeyRevokeRequest> {
  using type = wire::EpochReply;
};
template <>
struct ReplyTo<wire::KeysRequest> {
  using type = wire::KeysReply;
};

class RegistryClient {
 public:
  /// How long a request may take, beyond its own wait_us.
  static constexpr std::int64_t kDefaultTimeoutUs = 30'000'000;
  /// After so long without reply (beyond its own wait_us) a request is sent again.
  static constexpr std::int64_t kResendUs = 3'000'000;

  /// `endpoints` are ways to the one registry; the next is tried where one stays silent. invalid_argument: none, or a
  /// malformed one. `key`: who asks; null: nobody in particular, which is enough
  /// where connections aren't secured. failed_precondition: one that is neither secured nor private, without
  /// `insecure`.
  static Result<std::unique_ptr<RegistryClient>> connect(std::vector<std::string> endpoints,
                                                         std::shared_ptr<const KeyPair> key = nullptr,
                                                         bool insecure = false);

  /// Asks and waits. `bodies` are sent after the header; the reply's bodies are moved to `reply_bodies` where it is
  /// given. Answers to posted requests that arrive meanwhile are kept for poll().
  template <class Request, class Reply = typename ReplyTo<Request>::type>
  Result<Reply> call(const Request& request, std::vector<std::string> bodies = {},
                     std::int64_t timeout_us = kDefaultTimeoutUs, wire::Message* reply_bodies = nullptr) {
    Answer answer = exchange_->wait_for(post(request, std::move(bodies), timeout_us));
    Result<Reply> reply = reply_to<Request, Reply>(answer);
    if (reply.ok() && reply_bodies != nullptr) take_bodies(answer, *reply_bodies);
    return reply;
  }

  /// Asks without waiting; poll() gives the answer.
  template <class Request>
  Ticket post(const Request& request, std::vector<std::string> bodies = {},
              std::int64_t timeout_us = kDefaultTimeoutUs) {
    std::int64_t wait_us = 0;
    if constexpr (requires { request.wait_us; }) wait_us = request.wait_us;
    return exchange_->send(wire::encode(request), std::move(bodies), timeout_us + wait_us, kResendUs + wait_us);
  }

  /// The next answer to a posted request, waiting up to `timeout_us`; false: none now. Call it from time to time while
  /// anything is posted: sending again happens here.
  bool poll(Answer& answer, std::int64_t timeout_us) { return exchange_->receive(answer, timeout_us); }

  /// What the answer to a posted Request says.
  template <class Request, class Reply = typename ReplyTo<Request>::type>
  static Result<Reply> reply_to(const Answer& answer) {
    if (!answer.status.ok()) return answer.status;
    return wire::decode_reply<Reply>(answer.header());
  }
  /// Moves the bodies out of an answer, in order.
  static void take_bodies(Answer& answer, wire::Message& bodies);

  /// No answer to `ticket` will be given.
  void forget(Ticket ticket) { exchange_->forget(ticket); }
  std::size_t in_flight() const { return exchange_->in_flight(); }
  /// For a poller of one's own: readable when poll() has work, see Exchange::socket() and next_event_us().
  wire::Socket& socket() { return exchange_->socket(); }
  std::int64_t next_event_us() const { return exchange_->next_event_us(); }

 private:
  explicit RegistryClient(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace espalier::client
