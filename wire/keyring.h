// The keys that a process lets in, and whom each connection speaks for (docs/keys.md).
//
// libzmq asks the Keyring at each handshake whether it knows the other side's public key (ZAP, ZeroMQ RFC 27), and
// notes on every message of that connection the number that the Keyring gave the key. A Door turns the number into a
// principal, for each message anew: a key that was revoked or has ended is shut out with its open connections.
//
// Thread safety: take() from one control thread; a Door belongs to one thread; handshakes are answered on a thread of
// the Keyring's own. Ownership: the context outlives the Keyring, the Keyring its Doors and the sockets that bind with
// keys. Errors: an unknown key gets no answer at all, and may try again: it may become known.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/curve_key.h"
#include "common/principal.h"
#include "common/status.h"
#include "wire/key_messages.h"
#include "wire/socket.h"

namespace espalier::wire {

/// What the key allows, whether it counts or not. Roles that this build doesn't know allow nothing.
Principal principal_of(const KeyRecord& key);
/// Whether the key as a whole counts at that moment, and one of its halves.
bool is_valid(const KeyRecord& key, std::int64_t wall_us);
bool is_valid(const KeyRecord& key, const KeyHalf& half, std::int64_t wall_us);
/// When, after that moment, the first of what counts ends by itself; 0: nothing does.
std::int64_t next_end_us(std::span<const KeyRecord> keys, std::int64_t wall_us);

class Keyring {
 public:
  /// One a context, before its sockets bind. unavailable: libzmq has no more sockets.
  static Result<std::unique_ptr<Keyring>> make(Context& context);
  ~Keyring();
  Keyring(const Keyring&) = delete;
  Keyring& operator=(const Keyring&) = delete;

  /// These keys count from now on, as of `wall_us`, and no others.
  void take(std::span<const KeyRecord> keys, std::int64_t wall_us);

  /// Whether whoever has that key may be talked to. Any thread.
  bool counts(const PublicKey& key);
  /// Whether whoever has that key is this shard. Any thread.
  bool counts_as_shard(const PublicKey& key, std::string_view shard);
  /// Grows whenever other keys count. Any thread.
  std::uint64_t changes() const { return changes_.load(std::memory_order_acquire); }

 private:
  friend class Door;
  /// By a key's number; null: it doesn't count.
  using Principals = std::vector<std::shared_ptr<const Principal>>;
  Keyring() = default;
  void answer_handshakes();
  void answer(Message& request);
  std::shared_ptr<const Principals> principals();
  bool find(const PublicKey& key, std::uint32_t& number);

  std::unique_ptr<Socket> handshakes_;  ///< its thread's
  int stop_fd_ = -1;
  std::thread thread_;
  std::atomic<std::uint64_t> changes_{0};
  std::mutex mutex_;
  // Guarded by mutex_.
  std::unordered_map<PublicKey, std::uint32_t> numbers_;  ///< never used again for another key
  std::shared_ptr<const Principals> principals_ = std::make_shared<const Principals>();
};

class Door {
 public:
  /// Null: the process has no keys, and everybody who reaches it is local.
  explicit Door(Keyring* keyring) : keyring_(keyring) {}

  /// Who sent the message, as a ROUTER socket has received it, with all up to its request id; null: its key doesn't
  /// count any more. Local where the connection is private. libzmq lets everybody in while it finds no Keyring: who has
  /// no number is local only if the connection is known to be one of this machine. Stays valid until the next call.
  const Principal* who(const Message& message) {
    if (keyring_ == nullptr) return &local_;
    if (keyring_->changes_.load(std::memory_order_acquire) != seen_) look();
    if (message.size() < 2) return nullptr;
    // Not of the first one, which libzmq adds, and sometimes knows nothing of.
    const Frame& frame = message[1];
    const std::string_view user = frame.user();
    if (!user.empty()) return of(user);
    return frame.came_over_network() ? nullptr : &local_;
  }

  /// What a message is answered with whose key doesn't count any more.
  static Status refusal() { return {Code::permission_denied, "the key of this connection is not valid any more"}; }

 private:
  void look();
  const Principal* of(std::string_view user) const;

  Keyring* const keyring_;
  const Principal local_ = Principal::local();
  std::uint64_t seen_ = ~std::uint64_t{0};
  std::shared_ptr<const Keyring::Principals> principals_;
};

}  // namespace espalier::wire
