#include "wire/socket.h"

#include <zmq.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "common/curve_key.h"
#include "wire/endpoint.h"

namespace espalier::wire {
namespace {

/// Replies handed over before a clean stop still get out within this time.
constexpr int kRouterLingerMs = 1000;
constexpr int kFirstReconnectMs = 20;
constexpr int kLongestReconnectMs = 500;
/// A network that was cut is used again soon after it is whole: the kernel by itself would send what was not
/// acknowledged, and try to connect, ever more rarely, after a long cut only minutes later. So a try to connect is
/// given up after a while and another is made, and so is a connection on which nothing is acknowledged.
constexpr int kLongestConnectMs = 2000;
constexpr int kUnacknowledgedMs = 5000;
constexpr int kLongestHandshakeMs = 1500;
/// A peer that went away without a word while nobody sends to it: its connection is kept for less than half a minute.
constexpr int kKeepaliveIdleS = 10, kKeepaliveEveryS = 5, kKeepaliveProbes = 3;
/// The longest wait of one poll(2); a caller waits again.
constexpr std::int64_t kLongestMs = std::numeric_limits<int>::max();
/// Below this, copying a string into a frame is cheaper than keeping the string alive for ZeroMQ.
constexpr std::size_t kCopiedBytes = 1024;

zmq_msg_t* message_of(void* storage) { return static_cast<zmq_msg_t*>(storage); }

Status failed(std::string_view what) {
  const int error = errno;
  std::string text(what);
  text += ": ";
  text += zmq_strerror(error);
  switch (error) {
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
    case ENAMETOOLONG:
    case ENODEV: return {Code::invalid_argument, std::move(text)};
    case EMFILE:
    case ENFILE: return {Code::resource_exhausted, std::move(text)};
    default: return {Code::unavailable, std::move(text)};
  }
}

void make_message(void* storage, std::size_t size) {
  if (zmq_msg_init_size(message_of(storage), size) != 0) throw std::bad_alloc();
}

int descriptor_of(void* handle) {
  int descriptor = -1;
  std::size_t size = sizeof descriptor;
  zmq_getsockopt(handle, ZMQ_FD, &descriptor, &size);
  return descriptor;
}

void free_string(void*, void* hint) { delete static_cast<std::string*>(hint); }

}  // namespace

Context::Context(int io_threads) : handle_(zmq_ctx_new()) {
  if (handle_ == nullptr) throw std::bad_alloc();
  zmq_ctx_set(handle_, ZMQ_IO_THREADS, io_threads);
  zmq_ctx_set(handle_, ZMQ_MAX_SOCKETS, 4096);
}

Context::~Context() {
  while (zmq_ctx_term(handle_) != 0 && errno == EINTR) {
  }
}

Frame::Frame() {
  static_assert(sizeof(zmq_msg_t) == sizeof(storage_), "a Frame holds a zmq_msg_t");
  zmq_msg_init(message_of(storage_));
}

Frame::Frame(std::size_t size) { make_message(storage_, size); }

Frame::Frame(std::string_view copied) {
  make_message(storage_, copied.size());
  if (!copied.empty()) std::memcpy(data(), copied.data(), copied.size());
}

Frame::Frame(std::string&& taken) {
  if (taken.size() < kCopiedBytes) {
    make_message(storage_, taken.size());
    if (!taken.empty()) std::memcpy(data(), taken.data(), taken.size());
    return;
  }
  auto* kept = new std::string(std::move(taken));
  if (zmq_msg_init_data(message_of(storage_), kept->data(), kept->size(), free_string, kept) != 0) {
    delete kept;
    throw std::bad_alloc();
  }
}

Frame::~Frame() { zmq_msg_close(message_of(storage_)); }

Frame::Frame(Frame&& other) noexcept {
  zmq_msg_init(message_of(storage_));
  zmq_msg_move(message_of(storage_), message_of(other.storage_));
}

Frame& Frame::operator=(Frame&& other) noexcept {
  if (this != &other) zmq_msg_move(message_of(storage_), message_of(other.storage_));
  return *this;
}

Frame Frame::share() {
  Frame other;
  zmq_msg_copy(message_of(other.storage_), message_of(storage_));
  return other;
}

std::string_view Frame::view() const {
  auto* message = message_of(const_cast<unsigned char*>(storage_));
  return {static_cast<const char*>(zmq_msg_data(message)), zmq_msg_size(message)};
}

std::string_view Frame::user() const {
  const char* user = zmq_msg_gets(message_of(const_cast<unsigned char*>(storage_)), "User-Id");
  return user == nullptr ? std::string_view() : user;
}

bool Frame::came_over_network() const {
  const char* address = zmq_msg_gets(message_of(const_cast<unsigned char*>(storage_)), "Peer-Address");
  // Of ipc it is "localhost:" and who the other side is for the system, of a network a number.
  return address == nullptr || !std::string_view(address).starts_with("localhost:");
}

char* Frame::data() { return static_cast<char*>(zmq_msg_data(message_of(storage_))); }

std::size_t Frame::size() const { return zmq_msg_size(message_of(const_cast<unsigned char*>(storage_))); }

Result<std::unique_ptr<Socket>> Socket::make(Context& context, SocketKind kind, const SocketOptions& options) {
  const int type = kind == SocketKind::router ? ZMQ_ROUTER : kind == SocketKind::dealer ? ZMQ_DEALER : ZMQ_REQ;
  void* handle = zmq_socket(context.handle(), type);
  if (handle == nullptr) return failed("cannot make a socket").at("wire");
  std::unique_ptr<Socket> socket(new Socket());
  socket->handle_ = handle;
  socket->descriptor_ = descriptor_of(handle);
  socket->key_ = options.key;
  socket->insecure_ = options.insecure;

  const auto set = [handle](int option, const auto& value) { zmq_setsockopt(handle, option, &value, sizeof value); };
  set(ZMQ_SNDHWM, options.send_queue);
  set(ZMQ_RCVHWM, options.receive_queue);
  set(ZMQ_MAXMSGSIZE, options.max_frame_bytes);
  set(ZMQ_LINGER, kind == SocketKind::router ? kRouterLingerMs : 0);
  set(ZMQ_RECONNECT_IVL, kFirstReconnectMs);
  set(ZMQ_RECONNECT_IVL_MAX, kLongestReconnectMs);
  set(ZMQ_CONNECT_TIMEOUT, kLongestConnectMs);
  set(ZMQ_TCP_MAXRT, kUnacknowledgedMs);
  set(ZMQ_TCP_KEEPALIVE, 1);
  set(ZMQ_TCP_KEEPALIVE_IDLE, kKeepaliveIdleS);
  set(ZMQ_TCP_KEEPALIVE_INTVL, kKeepaliveEveryS);
  set(ZMQ_TCP_KEEPALIVE_CNT, kKeepaliveProbes);
  if (kind == SocketKind::router) set(ZMQ_ROUTER_MANDATORY, options.router_mandatory ? 1 : 0);
  if (kind == SocketKind::req) {
    // A request whose reply never comes may be given up and asked again.
    set(ZMQ_REQ_RELAXED, 1);
    set(ZMQ_REQ_CORRELATE, 1);
  }
  if (options.heartbeat_ms > 0) {
    set(ZMQ_HEARTBEAT_IVL, options.heartbeat_ms);
    set(ZMQ_HEARTBEAT_TIMEOUT, options.heartbeat_ms * 3);
    set(ZMQ_HEARTBEAT_TTL, options.heartbeat_ms * 3);
  }
  return socket;
}

Socket::~Socket() {
  if (news_ != nullptr) {
    zmq_socket_monitor(handle_, nullptr, 0);
    zmq_close(news_);
  }
  if (handle_ != nullptr) zmq_close(handle_);
}

int Socket::secure_none() {
  const int no = 0;
  return zmq_setsockopt(handle_, ZMQ_CURVE_SERVER, &no, sizeof no);
}

/// What is set here holds for the addresses that are bound from now on.
int Socket::secure_bind() {
  const int yes = 1;
  // Whoever is not let in hears nothing, and tries again once this time is over.
  int failed = zmq_setsockopt(handle_, ZMQ_HANDSHAKE_IVL, &kLongestHandshakeMs, sizeof kLongestHandshakeMs);
  failed |= zmq_setsockopt(handle_, ZMQ_CURVE_SECRETKEY, key_->secret().data(), key_->secret().size());
  return failed | zmq_setsockopt(handle_, ZMQ_CURVE_SERVER, &yes, sizeof yes);
}

int Socket::secure_connect(std::string_view server_key) {
  const std::string_view own = key_->public_key().view();
  int failed = zmq_setsockopt(handle_, ZMQ_CURVE_PUBLICKEY, own.data(), own.size());
  failed |= zmq_setsockopt(handle_, ZMQ_CURVE_SECRETKEY, key_->secret().data(), key_->secret().size());
  return failed | zmq_setsockopt(handle_, ZMQ_CURVE_SERVERKEY, server_key.data(), server_key.size());
}

Result<std::string> Socket::bind(const std::string& endpoint) {
  is_drained_ = false;
  Endpoint parsed = parse_endpoint(endpoint);
  parsed.key.reset();
  const bool is_secured = key_ != nullptr && !is_private(parsed.address);
  if ((is_secured ? secure_bind() : secure_none()) != 0) return failed("cannot secure " + parsed.address);
  if (zmq_bind(handle_, parsed.address.c_str()) != 0) return failed("cannot bind " + parsed.address);
  char bound[512];
  std::size_t size = sizeof bound;
  if (zmq_getsockopt(handle_, ZMQ_LAST_ENDPOINT, bound, &size) != 0) return failed("no endpoint after bind");
  parsed.address = bound;
  if (is_secured) parsed.key = key_->public_key();
  return endpoint_text(parsed);
}

Status Socket::connect(const std::string& endpoint) {
  is_drained_ = false;
  const Endpoint parsed = parse_endpoint(endpoint);
  if (parsed.key && key_ == nullptr) {
    return invalid_argument("cannot connect to " + parsed.address + " without a key");
  }
  RETURN_IF_ERROR(check_secured(parsed, insecure_));
  if ((parsed.key ? secure_connect(parsed.key->view()) : secure_none()) != 0) {
    return failed("cannot secure " + parsed.address);
  }
  if (zmq_connect(handle_, parsed.address.c_str()) != 0) return failed("cannot connect to " + parsed.address);
  return {};
}

Status Socket::disconnect(const std::string& endpoint) {
  is_drained_ = false;
  const std::string address = parse_endpoint(endpoint).address;
  if (zmq_disconnect(handle_, address.c_str()) != 0) return failed("cannot disconnect from " + address);
  return {};
}

Status Socket::watch_connection(Context& context) {
  assert(news_ == nullptr);
  void* news = zmq_socket(context.handle(), ZMQ_PAIR);
  if (news == nullptr) return failed("cannot make a socket").at("wire");
  // libzmq's own thread waits where a monitor's queue is full: this one has no limit, and is read from time to time.
  const int none = 0;
  zmq_setsockopt(news, ZMQ_RCVHWM, &none, sizeof none);
  zmq_setsockopt(news, ZMQ_LINGER, &none, sizeof none);
  const std::string name = "inproc://connection-" + std::to_string(reinterpret_cast<std::uintptr_t>(handle_));
  if (zmq_socket_monitor(handle_, name.c_str(), ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED) != 0 ||
      zmq_connect(news, name.c_str()) != 0) {
    Status status = failed("cannot watch the connection").at("wire");
    zmq_close(news);
    return status;
  }
  news_ = news;
  return {};
}

Socket::ConnectionNews Socket::take_connection_news() {
  ConnectionNews news;
  if (news_ == nullptr) return news;
  for (;;) {
    // [u16 event, u32 value] [endpoint]
    Frame frame;
    if (zmq_msg_recv(message_of(frame.handle()), news_, ZMQ_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      return news;
    }
    if (zmq_msg_more(message_of(frame.handle())) == 0 || frame.size() < sizeof(std::uint16_t)) continue;
    std::uint16_t event = 0;
    std::memcpy(&event, frame.view().data(), sizeof event);
    if (event == ZMQ_EVENT_DISCONNECTED) news.was_lost = true;
    if (event == ZMQ_EVENT_CONNECT_RETRIED) news.was_refused = true;
  }
}

Result<bool> Socket::receive(Message& message) {
  for (std::size_t i = 0;; ++i) {
    if (i == message.size()) message.emplace_back();
    zmq_msg_t* frame = message_of(message[i].handle());
    while (zmq_msg_recv(frame, handle_, ZMQ_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      const bool nothing = errno == EAGAIN || errno == EFSM;
      is_drained_ = errno == EAGAIN;
      const Status status = nothing ? Status() : failed("cannot receive");
      message.clear();
      if (nothing) return false;
      return status;
    }
    if (zmq_msg_more(frame) != 0) continue;
    message.resize(i + 1);
    return true;
  }
}

Result<bool> Socket::send(std::span<Frame> head, std::span<Frame> rest) {
  assert(!head.empty());
  is_drained_ = false;  // sending, too, may take in the sign of a message that has come
  const std::size_t count = head.size() + rest.size();
  bool lost = false;
  for (std::size_t i = 0; i < count; ++i) {
    Frame& frame = i < head.size() ? head[i] : rest[i - head.size()];
    const int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
    while (zmq_msg_send(message_of(frame.handle()), handle_, flags) < 0) {
      if (errno == EINTR) continue;
      if (i == 0 && errno == EAGAIN) return false;
      if (i == 0 || errno != EAGAIN) return failed("cannot send");
      // The peer went away between two frames: the rest is still handed over, for ZeroMQ to drop it, so that the next
      // message starts clean.
      lost = true;
      break;
    }
  }
  if (lost) return unavailable("the peer went away in the middle of a message");
  return true;
}

std::size_t Poller::add(Socket& socket) {
  items_.push_back({socket.handle_, &socket, false});
  descriptors_.push_back({socket.descriptor_, POLLIN, 0});
  return items_.size() - 1;
}

std::size_t Poller::add_news(Socket& socket) {
  assert(socket.news_ != nullptr);
  items_.push_back({socket.news_, nullptr, false});
  descriptors_.push_back({descriptor_of(socket.news_), POLLIN, 0});
  return items_.size() - 1;
}

std::size_t Poller::add_fd(int fd) {
  items_.push_back({nullptr, nullptr, false});
  descriptors_.push_back({fd, POLLIN, 0});
  has_plain_ = true;
  return items_.size() - 1;
}

/// Whether the socket has a message. Takes its signs in: its descriptor is readable again only once there are new ones.
bool Poller::look_at(Item& item) {
  int events = 0;
  std::size_t size = sizeof events;
  const bool is_known = zmq_getsockopt(item.handle, ZMQ_EVENTS, &events, &size) == 0;
  item.is_ready = is_known && (events & ZMQ_POLLIN) != 0;
  if (item.socket != nullptr) item.socket->is_drained_ = is_known && !item.is_ready;
  return item.is_ready;
}

/// At those whose descriptors may say nothing though there is a message.
bool Poller::look_at_all() {
  bool is_any = false;
  for (Item& item : items_) {
    item.is_ready = false;
    if (item.handle == nullptr || (item.socket != nullptr && item.socket->is_drained_)) continue;
    is_any = look_at(item) || is_any;
  }
  return is_any;
}

/// What so many descriptors say.
bool Poller::take(int found) {
  bool is_any = false;
  for (std::size_t i = 0; i < items_.size() && found > 0; ++i) {
    if (descriptors_[i].revents == 0) continue;
    --found;
    Item& item = items_[i];
    if (item.handle == nullptr) {
      item.is_ready = true;
    } else if (!item.is_ready) {
      look_at(item);
    }
    is_any = is_any || item.is_ready;
  }
  return is_any;
}

bool Poller::wait(std::int64_t timeout_us) {
  using std::chrono::steady_clock;
  const auto since = timeout_us > 0 ? steady_clock::now() : steady_clock::time_point();
  bool is_any = look_at_all();
  if (is_any && !has_plain_) return true;
  for (std::int64_t left_us = timeout_us;;) {
    const int timeout_ms = is_any        ? 0
                           : left_us < 0 ? -1
                                         : static_cast<int>(std::min((left_us + 999) / 1000, kLongestMs));
    const int found = ::poll(descriptors_.data(), descriptors_.size(), timeout_ms);
    if (found < 0) return is_any;
    is_any = take(found) || is_any;
    if (is_any || found == 0) return is_any;
    // Signs, but not of messages: a connection came or went.
    if (timeout_us <= 0) continue;
    const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - since);
    left_us = std::max<std::int64_t>(0, timeout_us - elapsed.count());
  }
}

void Poller::clear() {
  items_.clear();
  descriptors_.clear();
  has_plain_ = false;
}

}  // namespace espalier::wire
