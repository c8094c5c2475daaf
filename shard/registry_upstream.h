// Upstream over a connection to the registry. A wait ends at once when the process is asked to stop.
//
// Thread safety: belongs to one thread. Ownership: borrows the client.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/registry_client.h"
#include "shard/upstream.h"

namespace espalier::shard {

class RegistryUpstream final : public Upstream {
 public:
  /// `stop_fd` becomes readable when the process is to stop: calls then fail with unavailable.
  RegistryUpstream(client::RegistryClient& registry, int stop_fd) : registry_(registry), stop_fd_(stop_fd) {}

  /// ok when the registry answers within `timeout_us`.
  Status look(std::int64_t timeout_us);

  Result<wire::HelloReply> call(const wire::HelloRequest& request) override { return ask(request); }
  Result<wire::EpochReply> call(const wire::JoinRequest& request) override { return ask(request); }
  Result<wire::ViewReply> call(const wire::ViewRequest& request) override { return ask(request); }
  Result<wire::FeedReply> call(const wire::FeedRequest& request) override { return ask(request); }
  Result<wire::ModelsReply> call(const wire::ModelsRequest& request) override { return ask(request); }
  Result<wire::EntriesReply> call(const wire::ChangedEntriesRequest& request) override { return ask(request); }
  Result<wire::EntriesReply> call(const wire::TagEntriesRequest& request) override { return ask(request); }
  Result<wire::AckReply> call(const wire::AckRequest& request) override { return ask(request); }
  Result<wire::FetchReply> call(const wire::FetchRequest& request, std::vector<std::string>& bodies) override;

 private:
  static constexpr std::int64_t kTimeoutUs = 5'000'000;

  template <class Request>
  auto ask(const Request& request) -> Result<typename client::ReplyTo<Request>::type> {
    const Result<client::Answer> answer = wait_for(registry_.post(request, {}, kTimeoutUs));
    if (!answer.ok()) return answer.status();
    return client::RegistryClient::reply_to<Request>(*answer);
  }
  Result<client::Answer> wait_for(client::Ticket ticket);

  client::RegistryClient& registry_;
  const int stop_fd_;
};

}  // namespace espalier::shard
