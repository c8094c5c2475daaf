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

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/principal.h"
#include "common/signals.h"
#include "common/status.h"
#include "registry/registry.h"
#include "registry/registry_metrics.h"
#include "wire/keyring.h"
#include "wire/messages.h"
#include "wire/socket.h"

namespace espalier::registry {

class Server {
 public:
  static constexpr std::size_t kMaxWaiting = 10'000;  ///< more are answered with `overloaded`
  static constexpr std::int64_t kMaxWaitUs = 600'000'000;

  static Result<std::unique_ptr<Server>> make(Registry& registry, const Clock& clock, wire::Context& context,
                                              std::shared_ptr<const KeyPair> key = nullptr);

  /// Returns the endpoint that others connect to; any number may be bound.
  Result<std::string> bind(const std::string& endpoint);
  /// Answers until a stop is asked for; then what has arrived is answered, those who wait included.
  void run(const StopSignals& stop);
  RegistryMetrics& metrics() { return metrics_; }

 private:
  /// What goes back in front of a reply: identity, the REQ socket's frames, request id.
  using Envelope = wire::Message;
  using Request = std::variant<wire::FeedRequest, wire::WaitRequest, wire::ReceiptRequest, wire::KeysRequest>;
  struct Waiting {
    Envelope envelope;
    std::int64_t deadline_us = 0;
    Request request;
  };
  enum class Kind { reading, change, upload };
  struct Reply {
    std::string header;
    std::vector<std::string_view> bodies;
    /// Set: nothing is to be said yet.
    std::optional<Request> waits_for;
    std::int64_t wait_us = 0;
    Kind kind = Kind::reading;
    std::string op = {};  ///< empty: none that the registry has
    std::int64_t us = 0;  ///< that it took
  };
  /// A reply that owns its bodies: where they lay may be gone at the group's end.
  struct Held {
    Envelope envelope;
    std::string header;
    wire::Message bodies;
    Kind kind = Kind::reading;
    std::string op;
    std::int64_t us = 0;  ///< that it took
  };

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
  Reply handle(std::string_view header, const std::vector<std::string_view>& bodies);
  template <class Request, class Operation>
  Reply call(std::string_view header, Operation operation);
  /// The same, and where the result isn't what the request waits for, the reply says that it waits.
  template <class Request, class Operation, class IsDone>
  Reply call_or_wait(std::string_view header, Operation operation, IsDone is_done);
  /// The same for an operation whose reply has bodies.
  template <class Request, class Operation>
  Reply call_with_bodies(std::string_view header, Operation operation);
  Reply feed(std::string_view header);
  Reply wait(std::string_view header);
  Reply receipt(std::string_view header);
  Reply keys(std::string_view header);
  Reply fetch(std::string_view header);
  Reply archive(std::string_view header);

  /// Answers those whose wait is over or has become pointless; all of them with `all`.
  void answer_waiting(bool all);
  std::int64_t until_next_event_us() const;
  /// Sends, or keeps it until the group's end.
  void give(Envelope envelope, Reply reply);
  /// For the metrics.
  void count(std::string_view op, const std::string& header, std::int64_t us);
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
  std::vector<Held> held_;
  std::uint64_t activity_seen_ = 0;
  std::uint64_t activity_told_ = 0;
  RegistryMetrics metrics_;
};

}  // namespace espalier::registry
