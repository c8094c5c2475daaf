#include "wire/keyring.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "common/clock.h"
#include "common/log.h"

namespace espalier::wire {
namespace {

constexpr const char* kZapEndpoint = "inproc://zeromq.zap.01";
constexpr std::size_t kFirst = 2;      ///< of a question's fields
constexpr std::size_t kZapFrames = 7;  ///< version, request id, domain, address, identity, mechanism, public key

/// What the thread of the handshakes is told through its eventfd.
constexpr eventfd_t kKeysChanged = 1, kStop = eventfd_t{1} << 32;
/// A handshake waits so long for its key, shorter than libzmq does; so many at once.
constexpr std::int64_t kWaitsUs = 1'000'000;
constexpr std::size_t kMostWaiting = 256;

/// The public half of whoever connects; nothing where the question is none of ours.
std::optional<PublicKey> key_of(const Message& request) {
  const auto field = [&](std::size_t i) { return request[kFirst + i].view(); };
  if (request.size() != kFirst + kZapFrames || field(0) != "1.0" || !field(2).empty() || field(5) != "CURVE") return {};
  const auto key = PublicKey::from_bytes(field(6));
  return key.ok() ? std::optional(*key) : std::nullopt;
}

TenantRights operator|(const TenantRights& a, const TenantRights& b) {
  return {a.read || b.read, a.publish || b.publish, a.predict || b.predict, a.manage || b.manage};
}

TenantRights rights_of(std::string_view role) {
  if (role == "admin") return {.read = true, .publish = true, .predict = true, .manage = true};
  if (role == "publisher") return {.read = true, .publish = true};
  if (role == "predictor") return {.predict = true};
  if (role == "reader") return {.read = true};
  return {};
}

}  // namespace

Principal principal_of(const KeyRecord& key) {
  Principal principal(key.name);
  TenantRights rights;
  for (const std::string& role : key.roles) {
    rights = rights | rights_of(role);
    if (role == "router") principal.grant_routing();
    if (role == "shard") principal.grant_serving();
    if (role == "admin" && key.all_tenants) principal.grant_everything();
  }
  if (key.all_tenants) principal.grant_all(rights);
  for (const std::string& tenant : key.tenants) principal.grant(tenant, rights);
  return principal;
}

bool is_valid(const KeyRecord& key, std::int64_t wall_us) {
  return key.revoked_us == 0 && (key.expires_us == 0 || wall_us < key.expires_us);
}

bool is_valid(const KeyRecord& key, const KeyHalf& half, std::int64_t wall_us) {
  return is_valid(key, wall_us) && (half.until_us == 0 || wall_us < half.until_us);
}

std::int64_t next_end_us(std::span<const KeyRecord> keys, std::int64_t wall_us) {
  std::int64_t next = 0;
  const auto note = [&](std::int64_t end_us) {
    if (end_us > wall_us && (next == 0 || end_us < next)) next = end_us;
  };
  for (const KeyRecord& key : keys) {
    if (!is_valid(key, wall_us)) continue;
    note(key.expires_us);
    for (const KeyHalf& half : key.halves) note(half.until_us);
  }
  return next;
}

Result<std::unique_ptr<Keyring>> Keyring::make(Context& context) {
  std::unique_ptr<Keyring> keyring(new Keyring());
  SocketOptions options;
  options.router_mandatory = false;
  ASSIGN_OR_RETURN(keyring->handshakes_, Socket::make(context, SocketKind::router, options));
  RETURN_IF_ERROR(keyring->handshakes_->bind(kZapEndpoint).status());
  keyring->stop_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (keyring->stop_fd_ < 0) return Status(Code::resource_exhausted, "no file descriptor is free");
  keyring->thread_ = std::thread([ring = keyring.get()] { ring->answer_handshakes(); });
  return keyring;
}

Keyring::~Keyring() {
  if (thread_.joinable()) {
    ::eventfd_write(stop_fd_, kStop);
    thread_.join();
  }
  if (stop_fd_ >= 0) ::close(stop_fd_);
}

void Keyring::take(std::span<const KeyRecord> keys, std::int64_t wall_us) {
  auto next = std::make_shared<Principals>();
  {
    const std::lock_guard lock(mutex_);
    next->resize(numbers_.size());
    for (const KeyRecord& key : keys) {
      std::shared_ptr<const Principal> principal;
      for (const KeyHalf& half : key.halves) {
        if (!is_valid(key, half, wall_us)) continue;
        if (principal == nullptr) principal = std::make_shared<const Principal>(principal_of(key));
        const std::uint32_t number =
            numbers_.try_emplace(half.key, static_cast<std::uint32_t>(numbers_.size())).first->second;
        if (number >= next->size()) next->resize(number + 1);
        (*next)[number] = principal;
      }
    }
    principals_ = std::move(next);
  }
  changes_.fetch_add(1, std::memory_order_release);
  ::eventfd_write(stop_fd_, kKeysChanged);
}

std::shared_ptr<const Keyring::Principals> Keyring::principals() {
  const std::lock_guard lock(mutex_);
  return principals_;
}

bool Keyring::counts(const PublicKey& key) {
  std::uint32_t number = 0;
  return find(key, number);
}

bool Keyring::counts_as_shard(const PublicKey& key, std::string_view shard) {
  const std::lock_guard lock(mutex_);
  const auto found = numbers_.find(key);
  if (found == numbers_.end()) return false;
  const auto& principal = (*principals_)[found->second];
  return principal != nullptr && principal->may_serve_as(shard);
}

bool Keyring::find(const PublicKey& key, std::uint32_t& number) {
  const std::lock_guard lock(mutex_);
  const auto found = numbers_.find(key);
  if (found == numbers_.end() || (*principals_)[found->second] == nullptr) return false;
  number = found->second;
  return true;
}

/// A key that was made a moment ago may be on its way here: its handshake waits for it.
void Keyring::answer_handshakes() {
  Poller poller;
  poller.add(*handshakes_);
  const std::size_t news = poller.add_fd(stop_fd_);
  struct Waiting {
    Message request;
    PublicKey key;
    std::int64_t until_us;
  };
  std::vector<Waiting> waiting;
  Message message;
  for (;;) {
    const std::int64_t first_us = waiting.empty() ? -1 : waiting.front().until_us - Clock::system().monotonic_us();
    const bool is_ready = poller.wait(waiting.empty() ? -1 : std::max<std::int64_t>(first_us, 0));
    if (is_ready && poller.ready(news)) {
      eventfd_t said = 0;
      ::eventfd_read(stop_fd_, &said);
      if (said >= kStop) break;
    }
    const std::int64_t now_us = Clock::system().monotonic_us();
    std::erase_if(waiting, [&](Waiting& each) {
      if (each.until_us > now_us && !counts(each.key)) return false;
      answer(each.request);
      return true;
    });
    for (;;) {
      const Result<bool> received = handshakes_->receive(message);
      if (!received.ok()) log::error("keys", "no handshake could be read", {{"why", received.status()}});
      if (!received.ok() || !*received) break;
      const auto key = key_of(message);
      if (key && !counts(*key) && waiting.size() < kMostWaiting) {
        waiting.push_back({std::move(message), *key, now_us + kWaitsUs});
        message = Message();
      } else {
        answer(message);
      }
    }
  }
  handshakes_.reset();
}

/// [who asks] [empty] [version] [request id] [domain] [address] [identity] [mechanism] [public key]
void Keyring::answer(Message& request) {
  if (request.size() < kFirst + 2) return;
  const auto field = [&](std::size_t i) { return request[kFirst + i].view(); };
  std::uint32_t number = 0;
  const auto key = key_of(request);
  const bool is_known = key && find(*key, number);
  if (!is_known) {
    log::debug("keys", "a connection with an unknown key", {{"address", std::string(field(3)).substr(0, 64)}});
  }
  Message reply;
  for (std::size_t i = 0; i < kFirst + 2; ++i) reply.push_back(std::move(request[i]));
  // 300 ends the connection without a word, and lets the other side try again.
  for (const std::string_view part : {is_known ? "200" : "300", ""}) reply.emplace_back(part);
  reply.emplace_back(is_known ? std::string_view(std::to_string(number)) : std::string_view());
  reply.emplace_back(std::string_view());
  const Result<bool> sent = handshakes_->send(reply);
  if (!sent.ok() || !*sent) log::warn("keys", "a handshake could not be answered");
}

void Door::look() {
  seen_ = keyring_->changes_.load(std::memory_order_acquire);
  principals_ = keyring_->principals();
}

const Principal* Door::of(std::string_view user) const {
  std::uint32_t number = 0;
  const auto [end, failure] = std::from_chars(user.data(), user.data() + user.size(), number);
  if (failure != std::errc() || end != user.data() + user.size() || number >= principals_->size()) return nullptr;
  return (*principals_)[number].get();
}

}  // namespace espalier::wire
