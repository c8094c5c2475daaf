#include "shard/registry_upstream.h"

#include <algorithm>
#include <utility>

namespace espalier::shard {

Result<client::Answer> RegistryUpstream::wait_for(client::Ticket ticket) {
  client::Answer answer;
  for (;;) {
    while (registry_.poll(answer, 0)) {
      if (answer.ticket == ticket) return answer;
      if (answer.ticket == renewing_) take(answer);
    }
    keep_lease();
    wire::Poller poller;
    poller.add(registry_.socket());
    const std::size_t stop = poller.add_fd(stop_fd_);
    const std::int64_t renewal = std::max<std::int64_t>(0, renew_us_ - clock_.monotonic_us());
    const std::int64_t event = registry_.next_event_us();
    if (poller.wait(!renewal_ || (event >= 0 && event < renewal) ? event : renewal) && poller.ready(stop)) {
      registry_.forget(ticket);
      return unavailable("stopping");
    }
  }
}

void RegistryUpstream::keep_lease() {
  if (!renewal_) return;
  const std::int64_t now = clock_.monotonic_us();
  if (now < renew_us_) return;
  if (renewing_) registry_.forget(*renewing_);  // its answer would say less than the next one's
  renew_us_ = now + lease_us_ / 4;
  renewing_ = registry_.post(renewal_(), {}, lease_us_);
}

void RegistryUpstream::take(const client::Answer& answer) {
  renewing_.reset();
  renewed_ = client::RegistryClient::reply_to<wire::RenewRequest>(answer);
  if (!renewed_->ok() || (*renewed_)->lease_us <= 0) return;
  lease_us_ = (*renewed_)->lease_us;
  renew_us_ = std::min(renew_us_, clock_.monotonic_us() + lease_us_ / 4);
}

Status RegistryUpstream::look(std::int64_t timeout_us) {
  const Result<client::Answer> answer = wait_for(registry_.post(wire::HelloRequest{"shard"}, {}, timeout_us));
  if (!answer.ok()) return answer.status();
  return client::RegistryClient::reply_to<wire::HelloRequest>(*answer).status();
}

Result<wire::FetchReply> RegistryUpstream::call(const wire::FetchRequest& request, std::vector<std::string>& bodies) {
  bodies.clear();
  keep_lease();
  Result<client::Answer> answer = wait_for(registry_.post(request, {}, kTimeoutUs));
  if (!answer.ok()) return answer.status();
  for (std::size_t i = 0; i < answer->body_count(); ++i) bodies.emplace_back(answer->body(i));
  return client::RegistryClient::reply_to<wire::FetchRequest>(*answer);
}

}  // namespace espalier::shard
