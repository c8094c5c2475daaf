// Upstream over a connection to the registry. A wait ends at once when the process is asked to stop.
//
// Thread safety: belongs to one thread. Ownership: borrows the client.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/registry_client.h"
#include "common/clock.h"
#include "shard/upstream.h"

namespace espalier::shard {

class RegistryUpstream final : public Upstream {
 public:
  /// `stop_fd` becomes readable when the process is to stop: calls then fail with unavailable.
  RegistryUpstream(client::RegistryClient& registry, int stop_fd, const Clock& clock)
      : registry_(registry), stop_fd_(stop_fd), clock_(clock) {}

  /// From now on the lease is renewed, saying what `renewal` gives.
  void renew_with(std::function<wire::RenewRequest()> renewal) { renewal_ = std::move(renewal); }
  void keep_lease() override;
  std::optional<Result<wire::RenewReply>> take_renewal() override { return std::exchange(renewed_, std::nullopt); }

  /// ok when the registry answers within `timeout_us`.
  Status look(std::int64_t timeout_us);

  Result<wire::HelloReply> call(const wire::HelloRequest& request) override { return ask(request); }
  Result<wire::EpochReply> call(const wire::JoinRequest& request) override { return ask(request); }
  Result<wire::RenewReply> call(const wire::RenewRequest& request) override { return ask(request); }
  Result<wire::ViewReply> call(const wire::ViewRequest& request) override { return ask(request); }
  Result<wire::FeedReply> call(const wire::FeedRequest& request) override { return ask(request); }
  Result<wire::ModelsReply> call(const wire::ModelsRequest& request) override { return ask(request); }
  Result<wire::EntriesReply> call(const wire::ChangedEntriesRequest& request) override { return ask(request); }
  Result<wire::EntriesReply> call(const wire::TagEntriesRequest& request) override { return ask(request); }
  Result<wire::AckReply> call(const wire::AckRequest& request) override { return ask(request); }
  Result<wire::FetchReply> call(const wire::FetchRequest& request, std::vector<std::string>& bodies) override;

 private:
  static constexpr std::int64_t kTimeoutUs = 5'000'000;
  static constexpr std::int64_t kFirstLeaseUs = 1'000'000;  ///< until the registry has said how long one is

  template <class Request>
  auto ask(const Request& request) -> Result<typename client::ReplyTo<Request>::type> {
    keep_lease();
    const Result<client::Answer> answer = wait_for(registry_.post(request, {}, kTimeoutUs));
    if (!answer.ok()) return answer.status();
    return client::RegistryClient::reply_to<Request>(*answer);
  }
  Result<client::Answer> wait_for(client::Ticket ticket);
  void take(const client::Answer& answer);

  client::RegistryClient& registry_;
  const int stop_fd_;
  const Clock& clock_;
  std::function<wire::RenewRequest()> renewal_;
  std::optional<client::Ticket> renewing_;  ///< sent, not answered
  std::optional<Result<wire::RenewReply>> renewed_;
  std::int64_t renew_us_ = 0;  ///< monotonic: when the next one is due
  std::int64_t lease_us_ = kFirstLeaseUs;
};

}  // namespace espalier::shard
