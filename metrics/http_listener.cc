#include "metrics/http_listener.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/log.h"

namespace espalier::metrics {
namespace {

/// So long it waits where the process has no file descriptor left.
constexpr int kNoDescriptorMs = 100;

std::string in_words(int error) { return std::generic_category().message(error); }

std::string response(std::string_view status, std::string_view type, std::string_view body, bool with_body = true) {
  std::string text = "HTTP/1.1 ";
  text.append(status).append("\r\nContent-Type: ").append(type);
  text.append("\r\nContent-Length: ").append(std::to_string(body.size())).append("\r\nConnection: close\r\n\r\n");
  if (with_body) text.append(body);
  return text;
}

std::string refusal(std::string_view status) { return response(status, "text/plain", std::string(status) + "\n"); }

std::uint16_t port_of(int fd) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  char port[NI_MAXSERV] = "0";
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  getnameinfo(reinterpret_cast<sockaddr*>(&at), size, nullptr, 0, port, sizeof port, NI_NUMERICSERV);
  return static_cast<std::uint16_t>(std::stoul(port));
}

/// Binds the first address that can be; -1: none, `why` says so of the last.
int bind_one(const addrinfo* addresses, std::string& why) {
  for (const addrinfo* each = addresses; each != nullptr; each = each->ai_next) {
    const int fd = socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, each->ai_protocol);
    const int on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        ::bind(fd, each->ai_addr, each->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
      return fd;
    }
    why = in_words(errno);
    if (fd >= 0) close(fd);
  }
  return -1;
}

}  // namespace

HttpListener::HttpListener(Options options, std::function<std::string()> answer)
    : options_(std::move(options)), answer_(std::move(answer)) {}

Result<std::unique_ptr<HttpListener>> HttpListener::open(const std::string& host, std::uint16_t port, Options options,
                                                         std::function<std::string()> answer) {
  std::unique_ptr<HttpListener> listener(new HttpListener(std::move(options), std::move(answer)));
  RETURN_IF_ERROR(listener->bind(host, port));
  listener->thread_ = std::thread([&serving = *listener] { serving.run(); });
  return listener;
}

Status HttpListener::bind(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return unavailable(gai_strerror(error));
  std::string why = "no address";
  listener_ = bind_one(found, why);
  freeaddrinfo(found);
  if (listener_ < 0) return unavailable(why);
  port_ = port_of(listener_);
  stop_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return stop_ < 0 ? unavailable(in_words(errno)) : Status();
}

HttpListener::~HttpListener() {
  if (thread_.joinable()) {
    eventfd_write(stop_, 1);
    thread_.join();
  }
  for (const Connection& connection : connections_) close(connection.fd);
  for (const int fd : {listener_, stop_}) {
    if (fd >= 0) close(fd);
  }
}

void HttpListener::run() {
  std::vector<pollfd> polled;
  for (;;) {
    polled = {{stop_, POLLIN, 0}, {listener_, POLLIN, 0}};
    std::int64_t now_us = Clock::system().monotonic_us();
    std::int64_t first_end_us = -1;
    for (const Connection& each : connections_) {
      const bool writes = !each.reply.empty() && !each.is_over;
      polled.push_back({each.fd, static_cast<short>(writes ? POLLOUT : POLLIN), 0});
      if (first_end_us < 0 || each.end_us < first_end_us) first_end_us = each.end_us;
    }
    const std::int64_t wait_us = first_end_us < 0 ? -1 : std::max<std::int64_t>(first_end_us - now_us, 0);
    const int got = poll(polled.data(), polled.size(), wait_us < 0 ? -1 : static_cast<int>(wait_us / 1000 + 1));
    if (got < 0 && errno != EINTR) return log::error("metrics", "listener ended", {{"why", in_words(errno)}});
    if (got > 0 && polled[0].revents != 0) return;
    now_us = Clock::system().monotonic_us();
    std::size_t i = 2;
    for (auto each = connections_.begin(); each != connections_.end(); ++i) {
      const bool has_news = got > 0 && polled[i].revents != 0;
      if ((has_news && !serve(*each)) || now_us >= each->end_us) {
        close(each->fd);
        each = connections_.erase(each);
      } else {
        ++each;
      }
    }
    if (got > 0 && polled[1].revents != 0) accept_all(now_us);
  }
}

void HttpListener::accept_all(std::int64_t now_us) {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno != EMFILE && errno != ENFILE) return;
      // Without a descriptor it can't even be refused; the oldest one's is used.
      pollfd stop{stop_, POLLIN, 0};
      if (connections_.empty()) return static_cast<void>(poll(&stop, 1, kNoDescriptorMs));
    }
    if (fd < 0 || connections_.size() >= options_.most_connections) {
      close(connections_.front().fd);
      connections_.pop_front();
    }
    if (fd < 0) continue;
    Connection& connection = connections_.emplace_back();
    connection.fd = fd;
    connection.end_us = now_us + options_.longest_us;
  }
}

bool HttpListener::serve(Connection& connection) {
  if (connection.is_over || connection.reply.empty()) {
    if (!read_request(connection)) return false;
  }
  return connection.reply.empty() || connection.is_over || write_reply(connection);
}

bool HttpListener::read_request(Connection& connection) {
  char bytes[4096];
  for (;;) {
    const ssize_t got = recv(connection.fd, bytes, sizeof bytes, 0);
    if (got == 0) return false;
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
      break;
    }
    if (!connection.is_over) connection.request.append(bytes, static_cast<std::size_t>(got));
    if (connection.request.size() > kMostRequestBytes) break;
  }
  if (connection.is_over) return true;
  if (connection.request.size() > kMostRequestBytes) {
    connection.reply = refusal("431 Request Header Fields Too Large");
  } else if (connection.request.find("\r\n\r\n") != std::string::npos) {
    connection.reply = reply_to(connection.request);
  }
  return true;
}

/// Sends what there is room for. Then says that nothing follows, and lets the reader close first: with bytes of it
/// unread, closing would take the reply back.
bool HttpListener::write_reply(Connection& connection) {
  while (connection.sent < connection.reply.size()) {
    const ssize_t sent = send(connection.fd, connection.reply.data() + connection.sent,
                              connection.reply.size() - connection.sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    connection.sent += static_cast<std::size_t>(sent);
  }
  connection.is_over = true;
  return shutdown(connection.fd, SHUT_WR) == 0;
}

std::string HttpListener::reply_to(const std::string& request) const {
  const std::string line = request.substr(0, request.find("\r\n"));
  const std::size_t first = line.find(' '), second = line.find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos || !line.substr(second + 1).starts_with("HTTP/1."))
    return refusal("400 Bad Request");
  const std::string method = line.substr(0, first);
  const std::string target = line.substr(first + 1, second - first - 1);
  if (target.substr(0, target.find('?')) != options_.path) return refusal("404 Not Found");
  if (method != "GET" && method != "HEAD") return refusal("405 Method Not Allowed");
  return response("200 OK", options_.type, answer_(), method == "GET");
}

}  // namespace espalier::metrics
