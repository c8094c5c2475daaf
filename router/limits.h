// How much a router lets be under way: at one endpoint, and of what is asked again (docs/life-of-a-prediction.md,
// "Limits"). The numbers' reasons are in docs/decisions.md.
//
// Thread safety: values and pure functions; a RetryBudget belongs to one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace espalier::router {

struct Limits {
  /// Sent to one endpoint and not yet answered: then it is full, and nothing more is sent to it. A message that is sent
  /// just below the limit may take it past the bytes, by at most a client's largest message.
  std::uint32_t requests_at_endpoint = 4096;
  std::uint64_t bytes_at_endpoint = 64ull << 20;
  /// Sent again after silence, of each hundred that are sent the first time, and beyond that once (the reserve, which
  /// fills up anew), for each endpoint of the shard that has the most. What was refused is sent again at no cost: at
  /// most once to each shard that holds it.
  std::uint32_t retry_percent = 10;
  std::uint32_t retry_reserve = 4096;
  /// So long an endpoint with something in flight may be silent, beyond what its next answer may take and twice the
  /// least that an answer has taken lately (the way there and back): then it is suspect.
  std::int64_t silence_us = 80'000;
  /// Waiting for so long at some endpoint, or half of what may be in flight there, is a crowd: then a tenant may hold
  /// no more than its share of what is in flight at this router.
  std::int64_t crowd_us = 20'000;
  /// Replies that clients haven't read: of one connection, and of all. One that has read everything gets any reply.
  std::uint64_t unread_of_connection = 64ull << 20;
  std::uint64_t unread_in_all = 1ull << 30;
  /// A second replica is asked once the first has taken longer than 95 % of its answers lately, as a retry.
  bool hedges = false;
  /// A request that takes so much longer than its rows may is slow: the log says so. 0: none is. Answers take a
  /// millisecond or so, one that has to wait out a silent shard about 80.
  std::int64_t slow_us = 50'000;
};

/// Replies below this aren't counted in bytes: how many of them a client may leave unread is bounded.
inline constexpr std::size_t kSmallReplyBytes = 4096;
inline constexpr int kUnreadReplies = 16'384;
/// Of one connection, until the router takes them up: what a router can't keep up with waits where it is refused for
/// less, at clients.
inline constexpr int kUntakenRequests = 1024;

/// What a shard may take for a message, at the slowest: some five times what tabular rows take on a busy core.
constexpr std::int64_t most_work_us(std::uint64_t rows, std::uint64_t bytes) {
  return static_cast<std::int64_t>(rows * 25 + bytes / 8);
}

/// What has been sent over one connection and what has come back. A shard's thread answers one message after the other
/// and connections keep their order, so that an answer says of everything sent before it: answered, or lost. Messages
/// are numbered; the number goes along and comes back.
class Flow {
 public:
  /// The first message gets the number after `from`.
  explicit Flow(const Limits& limits, std::uint64_t from = 0)
      : sent_(from), answered_(from), sent_messages_(limits.requests_at_endpoint) {}

  /// Messages and bytes that are neither answered nor lost.
  std::uint64_t in_flight() const { return sent_ - answered_; }
  std::uint64_t bytes_in_flight() const { return bytes_; }
  /// Gives its memory back and is full from then on: for an endpoint that nothing is sent to any more.
  void release() {
    answered_ = sent_;
    bytes_ = 0;
    work_us_ = 0;
    std::vector<Sent>().swap(sent_messages_);
  }
  std::size_t memory_bytes() const { return sent_messages_.capacity() * sizeof(Sent); }
  bool is_full(const Limits& limits) const {
    return in_flight() >= sent_messages_.size() || bytes_ >= limits.bytes_at_endpoint;
  }

  /// False: this message and all before it are answered or lost.
  bool has_in_flight(std::uint32_t number) const {
    const std::uint32_t count = number - static_cast<std::uint32_t>(answered_);
    return count > 0 && count <= in_flight();
  }

  /// Of the last message that was sent, and of the next.
  std::uint32_t last() const { return static_cast<std::uint32_t>(sent_); }
  std::uint32_t next() const { return last() + 1; }
  /// REQUIRES: fewer messages are in flight than the limit.
  void send(std::uint32_t bytes, std::int64_t work_us = 0) {
    const auto work = static_cast<std::uint32_t>(std::min<std::int64_t>(work_us, UINT32_MAX));
    sent_messages_[sent_++ % sent_messages_.size()] = {bytes, work};
    bytes_ += bytes;
    work_us_ += work;
  }
  /// What everything in flight was said to take, and what has been answered, ever.
  std::uint64_t work_in_flight_us() const { return work_us_; }
  std::uint64_t worked_us() const { return worked_us_; }
  /// What the message that is to be answered next was said to take. REQUIRES: one is in flight.
  std::int64_t next_work_us() const { return sent_messages_[answered_ % sent_messages_.size()].work_us; }
  /// The answer to this message. A number that can't be is ignored.
  void hear(std::uint32_t number) {
    const std::uint32_t count = number - static_cast<std::uint32_t>(answered_);
    if (count > in_flight()) return;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Sent& sent = sent_messages_[answered_++ % sent_messages_.size()];
      bytes_ -= sent.bytes;
      work_us_ -= sent.work_us;
      worked_us_ += sent.work_us;
    }
  }

 private:
  struct Sent {
    std::uint32_t bytes;
    std::uint32_t work_us;
  };

  std::uint64_t sent_;
  std::uint64_t answered_;  ///< of these; what was lost counts, too
  std::uint64_t bytes_ = 0;
  std::uint64_t work_us_ = 0;
  std::uint64_t worked_us_ = 0;
  std::vector<Sent> sent_messages_;  ///< those in flight, by their numbers
};

/// Token bucket: each first sending earns a share of a token, each retry after silence costs one; it begins full and
/// never holds more than the reserve. So retries are at most the reserve and the share of what was sent since, whatever
/// fails.
class RetryBudget {
 public:
  explicit RetryBudget(const Limits& limits)
      : share_(limits.retry_percent),
        reserve_(std::uint64_t{limits.retry_reserve} * kToken),
        most_(reserve_),
        held_(most_) {}

  /// The reserve is that of so many endpoints: what can be in flight at one shard when it dies.
  void cover(std::size_t endpoints) {
    const std::uint64_t most = reserve_ * std::max<std::size_t>(1, endpoints);
    if (most > most_) held_ += most - most_;
    most_ = most;
    held_ = std::min(held_, most_);
  }

  void sent_first() { held_ = std::min(most_, held_ + share_); }
  bool may_retry() const { return held_ >= kToken; }
  /// REQUIRES: may_retry()
  void sent_again() { held_ -= kToken; }

 private:
  static constexpr std::uint64_t kToken = 100;
  const std::uint64_t share_;
  const std::uint64_t reserve_;
  std::uint64_t most_;
  std::uint64_t held_;
};

}  // namespace espalier::router
