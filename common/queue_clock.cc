#include "common/queue_clock.h"

#include <algorithm>

namespace espalier {
namespace {

constexpr std::int64_t kWindowUs = 1'000'000;
/// Two machines' clocks may run apart by one part in so many: 122 microseconds a second.
constexpr std::int64_t kApart = 8192;
/// Names come from outside: all are forgotten when there are more.
constexpr std::size_t kMostPeers = 10'000;

/// Stamps come from outside; differences of these and of a clock don't overflow.
constexpr std::int64_t kLatestStampUs = std::int64_t{1} << 62;

bool is_stamp(std::int64_t sent_us) { return sent_us >= 1 && sent_us <= kLatestStampUs; }

}  // namespace

std::int64_t QueueClock::Least::as_of(std::int64_t now_us) const { return difference_us + (now_us - at_us) / kApart; }

/// Null: it is new.
QueueClock::Peer* QueueClock::find(std::string_view name) {
  if (last_ != nullptr && last_name_ == name) return last_;
  const auto it = peers_.find(name);
  if (it == peers_.end()) return nullptr;
  last_name_ = it->first;
  last_ = &it->second;
  return last_;
}

QueueClock::Peer& QueueClock::peer_of(std::string_view name, const Least& first) {
  if (Peer* known = find(name)) return *known;
  if (peers_.size() >= kMostPeers) peers_.clear();
  const auto it = peers_.emplace(name, Peer{first, first, first.at_us, 0, empties_}).first;
  last_name_ = it->first;
  last_ = &it->second;
  return *last_;
}

bool QueueClock::begins_window(const Peer& peer, std::int64_t now_us) const {
  return now_us - peer.since_us >= kWindowUs && peer.empties != empties_;
}

bool QueueClock::sets_least(std::string_view name, std::int64_t sent_us, std::int64_t now_us) {
  if (!is_stamp(sent_us)) return false;
  const Peer* peer = find(name);
  return peer == nullptr || sent_us < peer->sent_us || begins_window(*peer, now_us) ||
         now_us - sent_us <= peer->current.as_of(now_us);
}

std::int64_t QueueClock::waited_us(std::string_view name, std::int64_t sent_us, std::int64_t now_us) {
  if (!is_stamp(sent_us)) return 0;
  const Least seen{now_us - sent_us, now_us};
  Peer& peer = peer_of(name, seen);
  // Stamps of one clock ascend: this is another one, of a sender that began anew under the same name.
  if (sent_us < peer.sent_us) peer = {seen, seen, now_us, 0, empties_};
  peer.sent_us = sent_us;
  if (begins_window(peer, now_us)) {
    peer.before = peer.current;
    peer.current = seen;
    peer.since_us = now_us;
    peer.empties = empties_;
  } else if (seen.difference_us <= peer.current.as_of(now_us)) {
    peer.current = seen;
  }
  const std::int64_t least = std::min(peer.current.as_of(now_us), peer.before.as_of(now_us));
  return std::max<std::int64_t>(0, seen.difference_us - least);
}

}  // namespace espalier
