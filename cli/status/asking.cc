#include "cli/status/asking.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/clock.h"
#include "wire/endpoint.h"
#include "wire/messages.h"

namespace espalier::cli {
namespace {

/// For a connection, where the time for answers is over.
constexpr int kConnectMs = 500;

Reach connects(int family, const sockaddr* address, socklen_t bytes) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Reach::away;
  int error = ::connect(fd, address, bytes) == 0 ? 0 : errno;
  pollfd polled{fd, POLLOUT, 0};
  if (error == EINPROGRESS && poll(&polled, 1, kConnectMs) == 1) {
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  close(fd);
  // A full backlog: somebody has it and takes no more connections.
  if (error == 0 || error == EAGAIN) return Reach::silent;
  return error == ECONNREFUSED || error == ENOENT ? Reach::gone : Reach::away;
}

/// Who is there that gives no answer.
Reach reach_of(const std::string& endpoint) {
  const std::string address = wire::parse_endpoint(endpoint).address;
  if (address.starts_with("ipc://")) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const std::string path = address.substr(6);
    if (path.size() >= sizeof to.sun_path) return Reach::away;
    std::memcpy(to.sun_path, path.data(), path.size());
    return connects(AF_UNIX, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  const std::size_t colon = address.rfind(':');
  if (!address.starts_with("tcp://") || colon < 6) return Reach::away;
  std::string host = address.substr(6, colon - 6);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found) != 0) return Reach::away;
  const Reach reach = connects(found->ai_family, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return reach;
}

}  // namespace

std::size_t Asking::ask(const std::string& endpoint, std::string header) {
  Answer& answer = answers_.emplace_back();
  answer.endpoint = endpoint;
  answer.sent_us = Clock::system().wall_us();
  client::Exchange::Options options;
  options.peer = endpoint;
  options.socket.key = asker_.key;
  options.socket.insecure = asker_.insecure;
  auto exchange = client::Exchange::open({endpoint}, options);
  if (!exchange.ok()) {
    answer.status = exchange.status();
    return answers_.size() - 1;
  }
  constexpr std::int64_t kLongUs = 60'000'000;  // wait() gives up before
  (*exchange)->send(std::move(header), {}, kLongUs, 0);
  open_.push_back({answers_.size() - 1, *std::move(exchange)});
  return answers_.size() - 1;
}

void Asking::wait(std::int64_t patience_us) {
  const Clock& clock = Clock::system();
  const std::int64_t end_us = clock.monotonic_us() + patience_us;
  wire::Poller poller;
  while (!open_.empty()) {
    std::erase_if(open_, [&](Open& open) {
      client::Answer got;
      if (!open.exchange->receive(got, 0)) return false;
      Answer& answer = answers_[open.number];
      answer.answered_us = clock.wall_us();
      answer.status = got.status;
      answer.header = got.header();
      answer.reach = got.status.code() == Code::permission_denied ? Reach::barred : Reach::answers;
      return true;
    });
    const std::int64_t left_us = end_us - clock.monotonic_us();
    if (open_.empty() || left_us <= 0) break;
    poller.clear();
    for (const Open& open : open_) poller.add(open.exchange->socket());
    poller.wait(std::min<std::int64_t>(left_us, 50'000));
  }
  for (const Open& open : open_) answers_[open.number].reach = reach_of(answers_[open.number].endpoint);
  open_.clear();
}

void Asking::note(const Answer& answer, Asked& asked) {
  asked.reach = answer.reach;
  asked.why = answer.status.ok() ? "" : answer.status.text();
}

void Asking::note_clock(const Answer& answer, std::int64_t wall_us, Asked& asked) {
  asked.clock_off_us = wall_us - (answer.sent_us + answer.answered_us) / 2;
  asked.clock_slack_us = (answer.answered_us - answer.sent_us) / 2;
}

}  // namespace espalier::cli
