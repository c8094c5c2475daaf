// ZeroMQ behind a light header: the only folder that includes zmq is this one.
//
// Thread safety: a Context is shared by all threads; a Socket belongs to the one thread that made it; a Frame is a
// value. Errors: would-block is a value (false), not a failure.
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier {
class KeyPair;
}

namespace espalier::wire {

class Context {
 public:
  explicit Context(int io_threads = 1);
  ~Context();
  void* handle() const { return handle_; }

 private:
  void* handle_;
};

/// One frame of a message. Moving hands the bytes over without copying them.
class Frame {
 public:
  Frame();
  explicit Frame(std::size_t size);
  explicit Frame(std::string_view copied);
  explicit Frame(std::string&& taken);
  ~Frame();
  Frame(Frame&&) noexcept;
  Frame& operator=(Frame&&) noexcept;
  /// Another handle to the same bytes; neither may be written to afterwards.
  Frame share();
  std::string_view view() const;
  /// Of a received frame: what the process's Keyring called the key of the connection that it came over; empty where
  /// that has none.
  std::string_view user() const;
  /// Of a received frame: whether its connection has an address of the network.
  bool came_over_network() const;
  char* data();
  std::size_t size() const;
  void* handle() { return storage_; }

 private:
  alignas(8) unsigned char storage_[64];
};

using Message = std::vector<Frame>;

enum class SocketKind { router, dealer, req };

struct SocketOptions {
  int send_queue = 10000;  ///< messages kept for a peer before send() says false
  int receive_queue = 10000;
  std::int64_t max_frame_bytes =
      256ll << 20;               ///< a frame over this closes the connection; smaller limits are answered with an error
  bool router_mandatory = true;  ///< router: sending to a peer that is gone is `unavailable` instead of silence
  int heartbeat_ms = 0;
  /// Of this process. With it what binds is secured with CURVE, but for addresses that are private (wire/endpoint.h):
  /// the context needs a Keyring then; and what connects proves by it who it is.
  std::shared_ptr<const KeyPair> key;
  /// May connect, too, where connections are neither secured nor private (wire/endpoint.h): only if told so.
  bool insecure = false;
};

class Socket {
 public:
  /// unavailable when libzmq has no more sockets.
  static Result<std::unique_ptr<Socket>> make(Context& context, SocketKind kind, const SocketOptions& options = {});
  ~Socket();

  /// Binds; "tcp://127.0.0.1:*" lets the system pick. Returns the endpoint that others connect to, with the public key
  /// where connections are secured; one that the endpoint names is passed over.
  Result<std::string> bind(const std::string& endpoint);
  /// With a public key in the endpoint nobody else answers there. invalid_argument: that needs a key of one's own.
  /// failed_precondition: without one anybody could, and SocketOptions don't say `insecure`.
  Status connect(const std::string& endpoint);
  Status disconnect(const std::string& endpoint);

  /// From now on what becomes of its connections is noted, for take_connection_news(). Call it before connect().
  /// unavailable when libzmq has no more sockets.
  Status watch_connection(Context& context);
  /// What happened to the connections since the last call: read it from time to time, at the latest every minute, as it
  /// is kept until then.
  struct ConnectionNews {
    bool was_lost = false;     ///< an established one was closed: what was under way on it may be lost
    bool was_refused = false;  ///< nobody listens there; tried again on its own
  };
  ConnectionNews take_connection_news();

  /// Receives all frames of the next message into `message` (cleared first, keeping its memory). false: nothing there
  /// now.
  Result<bool> receive(Message& message);
  /// Sends all frames (moved from). false: the peer's queue is full and nothing was sent. unavailable: router socket,
  /// peer gone.
  Result<bool> send(Message& message) { return send(message, {}); }
  /// The same for a message whose frames lie in two places: `head` (at least one frame), then `rest`.
  Result<bool> send(std::span<Frame> head, std::span<Frame> rest);

  /// False: receive() or a Poller has found nothing, nothing was sent since, and no Poller has seen a sign of more. So
  /// who polls between any two looks may leave out a receive() that would find nothing.
  bool may_have_message() const { return !is_drained_; }

  void* handle() const { return handle_; }

 private:
  friend class Poller;
  Socket() = default;
  int secure_none();
  int secure_bind();
  int secure_connect(std::string_view server_key);
  void* handle_ = nullptr;
  std::shared_ptr<const KeyPair> key_;
  bool insecure_ = false;
  void* news_ = nullptr;  ///< the other end of its monitor
  int descriptor_ = -1;   ///< readable once there may be something new, from when it was found drained
  bool is_drained_ = false;
};

/// Waits on sockets and file descriptors. A socket that is known to be drained costs nothing but its place among the
/// descriptors of one poll(2), so a loop receives until there is nothing and only then waits.
class Poller {
 public:
  /// Returns the index under which readiness is reported. The socket has to be there until clear().
  std::size_t add(Socket& socket);
  /// Ready when there is news of its connections. REQUIRES: they are watched.
  std::size_t add_news(Socket& socket);
  std::size_t add_fd(int fd);
  /// Waits up to `timeout_us` (-1: for ever); false when nothing is ready. A signal counts as nothing ready.
  bool wait(std::int64_t timeout_us);
  bool ready(std::size_t index) const { return items_[index].is_ready; }
  void clear();

 private:
  struct Item {
    void* handle;    ///< null: a plain descriptor
    Socket* socket;  ///< null: not one whose state is known
    bool is_ready;
  };
  static bool look_at(Item& item);
  bool look_at_all();
  bool take(int found);

  std::vector<Item> items_;
  std::vector<pollfd> descriptors_;  ///< of each
  bool has_plain_ = false;
};

}  // namespace espalier::wire
