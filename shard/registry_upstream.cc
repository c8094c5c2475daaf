#include "shard/registry_upstream.h"

#include <utility>

namespace espalier::shard {

Result<client::Answer> RegistryUpstream::wait_for(client::Ticket ticket) {
  client::Answer answer;
  for (;;) {
    while (registry_.poll(answer, 0)) {
      if (answer.ticket == ticket) return answer;
    }
    wire::Poller poller;
    poller.add(registry_.socket());
    const std::size_t stop = poller.add_fd(stop_fd_);
    if (poller.wait(registry_.next_event_us()) && poller.ready(stop)) {
      registry_.forget(ticket);
      return unavailable("stopping");
    }
  }
}

Status RegistryUpstream::look(std::int64_t timeout_us) {
  const Result<client::Answer> answer = wait_for(registry_.post(wire::HelloRequest{"shard"}, {}, timeout_us));
  if (!answer.ok()) return answer.status();
  return client::RegistryClient::reply_to<wire::HelloRequest>(*answer).status();
}

Result<wire::FetchReply> RegistryUpstream::call(const wire::FetchRequest& request, std::vector<std::string>& bodies) {
  bodies.clear();
  Result<client::Answer> answer = wait_for(registry_.post(request, {}, kTimeoutUs));
  if (!answer.ok()) return answer.status();
  for (std::size_t i = 0; i < answer->body_count(); ++i) bodies.emplace_back(answer->body(i));
  return client::RegistryClient::reply_to<wire::FetchRequest>(*answer);
}

}  // namespace espalier::shard
