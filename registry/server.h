// The registry on a socket: one thread answers requests one after the other; readers of the feed and those who wait for
// a release are kept until there is something to say, or their time is over. Between them goes a slice of the
// registry's background work.
//
//   [identity][empty, from a REQ socket][request id][header][body]…   and the reply likewise
//
// What has arrived is dealt with in groups. From a group's first change on, replies are kept until one sync has brought
// all its changes to the disk (group commit): many publishers share what a sync costs.
//
// Whatever can't be read is answered with an error under its request id, and the connection stays.
// With a key of its own each message is answered as its connection's key allows (docs/keys.md); without one everybody
// is local.
//
// Thread safety: one thread makes, binds and runs a Server. Ownership: registry, clock and context outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/clock.h"
#include "common/principal.h"
#include "common/signals.h"
#include "common/status.h"
#include "registry/operations.h"
#include "registry/registry.h"
#include "registry/registry_metrics.h"
#include "wire/keyring.h"
#include "wire/messages.h"
#include "wire/socket.h"

namespace espalier::registry {

class Server {
 public:
  /// More that wait are answered with `overloaded`: all together; of one key; of all keys that aren't the cluster's.
  static constexpr std::size_t kMaxWaiting = 10'000, kMaxWaitingOfOne = 500, kMaxWaitingOfTenants = 5'000;
  static constexpr std::int64_t kMaxWaitUs = 600'000'000;

  static Result<std::unique_ptr<Server>> make(Registry& registry, const Clock& clock, wire::Context& context,
                                              std::shared_ptr<const KeyPair> key = nullptr);

  /// Returns the endpoint that others connect to; any number may be bound.
  Result<std::string> bind(const std::string& endpoint);
  /// Answers until a stop is asked for; then what has arrived is answered, those who wait included.
  void run(const StopSignals& stop);
  RegistryMetrics& metrics() { return metrics_; }

  struct Operation;
  /// All that is answered: registry/operations.h, in its order.
  static std::span<const Operation> operations();

 private:
  /// What goes back in front of a reply: identity, the REQ socket's frames, request id.
  using Envelope = wire::Message;
  struct Waiting {
    Envelope envelope;
    std::int64_t deadline_us = 0;
    const Operation* operation;
    std::string header;
    std::string who;  ///< empty: the cluster's, or local
  };
  enum class Kind { reading, change, upload };
  struct Reply {
    std::string header;
    std::vector<std::string_view> bodies;
    std::int64_t wait_us = 0;  ///< more than 0: nothing is to be said yet
    Kind kind = Kind::reading;
    const Operation* operation = nullptr;  ///< null: none that the registry has
    std::int64_t us = 0;                   ///< that it took
  };
  /// A reply that owns its bodies: where they lay may be gone at the group's end.
  struct Held {
    Envelope envelope;
    std::string header;
    wire::Message bodies;
    Kind kind = Kind::reading;
    const Operation* operation = nullptr;
    std::int64_t us = 0;  ///< that it took
  };
  using Handle = Reply (Server::*)(std::string_view header, const Registry::Bodies& bodies);

  Server(Registry& registry, const Clock& clock, std::unique_ptr<wire::Keyring> keyring,
         std::unique_ptr<wire::Socket> socket)
      : registry_(registry),
        clock_(clock),
        keyring_(std::move(keyring)),
        door_(keyring_.get()),
        socket_(std::move(socket)),
        metrics_(registry.served_times()) {}

  /// Takes up keys that have changed, or ended by themselves.
  void tend_keys();

  /// Answers a group of what has arrived; false: there is nothing left.
  bool answer_group();
  bool answer_arrived();
  void answer(wire::Message& message);
  /// REQUIRES: limits and frames are checked.
  Reply answer_as(const Operation& operation, std::string_view header, const Registry::Bodies& bodies);
  template <class Op>
  Reply answer_with(std::string_view header, const Registry::Bodies& bodies);
  template <class... Ops>
  static std::array<Operation, sizeof...(Ops)> list(const std::tuple<Ops...>*);
  /// Null: the registry has none of that name.
  static const Operation* find_operation(std::string_view header);
  /// overloaded: too many wait already.
  Status check_may_wait() const;
  void wait(Envelope envelope, const Reply& reply, std::string_view header);
  void end_wait(const Waiting& waiting);

  /// Answers those whose wait is over or has become pointless; all of them with `all`.
  void answer_waiting(bool all);
  std::int64_t until_next_event_us() const;
  /// Sends, or keeps it until the group's end.
  void give(Envelope envelope, Reply reply);
  /// For the metrics.
  void count(const Operation* operation, const std::string& header, std::int64_t us);
  void tell_gauges();
  void send(Envelope envelope, const std::string& header, wire::Message bodies = {});

  Registry& registry_;
  const Clock& clock_;
  const std::unique_ptr<wire::Keyring> keyring_;  ///< null: nobody needs a key
  wire::Door door_;
  std::unique_ptr<wire::Socket> socket_;
  const Principal* principal_ = nullptr;  ///< whose request is being answered
  std::uint64_t keys_epoch_ = 0;          ///< of the keys that count
  bool has_keys_ = false;
  std::string keys_wait_for_;     ///< why they can't be read
  std::int64_t keys_end_us_ = 0;  ///< clock on the wall: then one of them ends by itself; 0: none does
  wire::Message incoming_;
  std::vector<Waiting> waiting_;
  std::map<std::string, std::size_t, std::less<>> waiting_of_;  ///< by key
  std::size_t waiting_of_tenants_ = 0;                          ///< all of these
  std::vector<Held> held_;
  std::uint64_t activity_seen_ = 0;
  /// Of what the metrics were told.
  struct Told {
    std::uint64_t activity = 0;
    bool is_writing = true;
    std::int64_t keys_end_us = 0;
    bool operator==(const Told&) const = default;
  };
  Told told_;
  RegistryMetrics metrics_;
};

/// One line of the list.
struct Server::Operation {
  std::string_view name;
  Right right;
  bool names_tenant, is_change, has_bodies;
  Handle handle;  ///< the Server's own
};

}  // namespace espalier::registry
