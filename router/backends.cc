#include "router/backends.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "wire/messages.h"

namespace espalier::router {
namespace {

constexpr std::int64_t kFirstProbeUs = 50'000;
constexpr std::int64_t kLongestProbeUs = 1'000'000;

}  // namespace

wire::SocketOptions request_queues() {
  wire::SocketOptions options;
  options.send_queue = 100'000;
  options.receive_queue = 100'000;
  return options;
}

void Backends::take_view(const cluster::View& view, std::int64_t now_us) {
  for (auto& backend : backends_) backend->is_wanted = false;
  for (auto& numbers : of_shard_) numbers.clear();
  shard_at_.clear();
  for (std::size_t shard = 0; shard < view.shards.size(); ++shard) {
    const auto number =
        shards_.try_emplace(view.shards[shard].name, static_cast<std::uint32_t>(shards_.size())).first->second;
    shard_at_.push_back(number);
    if (of_shard_.size() <= number) of_shard_.resize(number + 1);
    for (const std::string& endpoint : view.shards[shard].endpoints) {
      auto it = by_endpoint_.find(endpoint);
      if (it == by_endpoint_.end()) {
        auto socket = wire::Socket::make(context_, wire::SocketKind::dealer, request_queues());
        const Status connected = socket.ok() ? (*socket)->connect(endpoint) : socket.status();
        if (!connected.ok()) {
          log::error("router", "shard left out",
                     {{"shard", view.shards[shard].name}, {"endpoint", endpoint}, {"why", connected}});
          continue;
        }
        auto backend = std::make_unique<Backend>();
        backend->endpoint = endpoint;
        backend->socket = *std::move(socket);
        backend->heard_us = now_us;
        it = by_endpoint_.emplace(endpoint, static_cast<std::uint32_t>(backends_.size())).first;
        backends_.push_back(std::move(backend));
      }
      backends_[it->second]->is_wanted = true;
      of_shard_[number].push_back(it->second);
    }
  }
  has_unwanted_ = true;
  sweep();
}

Backend* Backends::choose(std::uint32_t shard, std::uint32_t& number) {
  if (shard >= of_shard_.size() || of_shard_[shard].empty()) return nullptr;
  const std::vector<std::uint32_t>& numbers = of_shard_[shard];
  Backend* best = nullptr;
  const std::size_t first = numbers.size() == 1 ? 0 : ++turn_ % numbers.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::uint32_t place = numbers[(first + i) % numbers.size()];
    Backend& backend = *backends_[place];
    const bool is_better =
        best == nullptr ||
        (backend.is_suspect != best->is_suspect ? best->is_suspect : backend.in_flight < best->in_flight);
    if (!is_better) continue;
    best = &backend;
    number = place;
  }
  return best;
}

Candidate Backends::candidate(std::uint32_t shard) {
  std::uint32_t number = 0;
  const Backend* backend = choose(shard, number);
  if (backend == nullptr) return {shard, true, false, 0};
  return {shard, backend->is_suspect, false, backend->in_flight};
}

void Backends::heard(Backend& backend, std::int64_t now_us) {
  backend.heard_us = now_us;
  if (!backend.is_suspect) return;
  backend.is_suspect = false;
  log::info("router", "shard answers again", {{"endpoint", backend.endpoint}});
}

void Backends::missed(Backend& backend, std::int64_t sent_us, std::int64_t now_us) {
  if (backend.is_suspect || backend.heard_us > sent_us) return;
  backend.is_suspect = true;
  backend.probe_wait_us = kFirstProbeUs;
  backend.next_probe_us = now_us;
  log::warn("router", "shard is silent", {{"endpoint", backend.endpoint}, {"us", now_us - sent_us}});
}

std::int64_t Backends::probe(std::int64_t now_us) {
  std::int64_t next = -1;
  for (auto& backend : backends_) {
    if (!backend->is_suspect || backend->socket == nullptr) continue;
    if (backend->next_probe_us <= now_us) {
      if (hello_.empty()) hello_ = wire::encode(wire::HelloRequest{"router"});
      wire::Message message;
      message.emplace_back(kProbeId);
      message.emplace_back(std::string_view(hello_));
      const Result<bool> sent = backend->socket->send(message);
      if (!sent.ok()) log::warn("router", "hello not sent", {{"endpoint", backend->endpoint}, {"why", sent.status()}});
      backend->next_probe_us = now_us + backend->probe_wait_us;
      backend->probe_wait_us = std::min(backend->probe_wait_us * 2, kLongestProbeUs);
    }
    const std::int64_t wait = backend->next_probe_us - now_us;
    next = next < 0 ? wait : std::min(next, wait);
  }
  return next;
}

void Backends::sweep() {
  if (!has_unwanted_) return;
  has_unwanted_ = false;
  for (auto& backend : backends_) {
    if (backend->is_wanted || backend->socket == nullptr) continue;
    if (backend->in_flight > 0) {
      has_unwanted_ = true;
      continue;
    }
    by_endpoint_.erase(backend->endpoint);
    backend->socket.reset();
    backend->is_suspect = false;
  }
}

}  // namespace espalier::router
