// Somebody between two sides who records what they say, and says it again.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <mutex>
#include <string>
#include <thread>

#include "tests/support/status_matchers.h"
#include "wire/endpoint.h"
#include "wire/keyring.h"

namespace espalier::wire {
namespace {

constexpr std::int64_t kReplayPatienceUs = 20'000'000, kReplayQuietUs = 500'000;

int port_of(const std::string& address) { return std::stoi(address.substr(address.rfind(':') + 1)); }

int connected_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return fd;
}

/// Passes one connection on, both ways, and keeps what the client said.
class Eavesdropper {
 public:
  explicit Eavesdropper(int server_port) : server_port_(server_port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    socklen_t size = sizeof at;
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { pass_on(); });
  }
  ~Eavesdropper() {
    stop();
    ::close(listener_);
    ::close(stop_);
  }
  int port() const { return port_; }
  void stop() {
    ::eventfd_write(stop_, 1);
    if (thread_.joinable()) thread_.join();
  }
  std::string heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  /// Says it to the server over the connection that is passed on, as if the client had.
  void say_in_between(const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(::send(server_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

 private:
  void pass_on() {
    pollfd begun[2] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (::poll(begun, 2, -1) < 0 || begun[0].revents == 0) return;
    const int client = ::accept(listener_, nullptr, nullptr);
    {
      const std::lock_guard lock(mutex_);
      server_ = connected_to(server_port_);
    }
    for (;;) {
      pollfd all[3] = {{client, POLLIN, 0}, {server_, POLLIN, 0}, {stop_, POLLIN, 0}};
      if (::poll(all, 3, -1) < 0 || all[2].revents != 0) break;
      std::array<char, 4096> piece{};
      if (all[0].revents != 0) {
        const ssize_t got = ::recv(client, piece.data(), piece.size(), 0);
        if (got <= 0) break;
        const std::lock_guard lock(mutex_);
        heard_.append(piece.data(), static_cast<std::size_t>(got));
        if (::send(server_, piece.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) break;
      }
      if (all[1].revents != 0) {
        const ssize_t got = ::recv(server_, piece.data(), piece.size(), 0);
        if (got <= 0 || ::send(client, piece.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) break;
      }
    }
    ::close(client);
    ::close(server_);
  }

  const int server_port_;
  int listener_ = -1, port_ = 0, server_ = -1;
  const int stop_ = ::eventfd(0, EFD_CLOEXEC);
  std::mutex mutex_;
  std::string heard_;
  std::thread thread_;
};

class KeyringReplay : public ::testing::Test {
 protected:
  KeyringReplay() {
    KeyRecord key;
    key.name = "eta";
    key.roles = {"publisher"};
    key.tenants = {"acme"};
    key.halves = {{eta_->public_key(), 0}};
    keyring_->take({&key, 1}, 1);
    SocketOptions options;
    options.key = server_key_;
    server_ = *Socket::make(context_, SocketKind::router, options);
    address_ = parse_endpoint(*server_->bind("tcp://127.0.0.1:*")).address;
  }
  /// A client whose connection goes by way of the eavesdropper.
  std::unique_ptr<Socket> client_by(const Eavesdropper& by) {
    SocketOptions options;
    options.key = eta_;
    auto socket = *Socket::make(clients_, SocketKind::dealer, options);
    const std::string address = "tcp://127.0.0.1:" + std::to_string(by.port());
    EXPECT_OK(socket->connect(endpoint_text({address, server_key_->public_key()})));
    return socket;
  }
  static void say(Socket& client, std::string_view what) {
    Message message;
    message.emplace_back(what);
    ASSERT_OK(client.send(message));
  }
  /// The next message's last frame; "" where none comes.
  std::string next(std::int64_t patience_us) {
    Poller poller;
    poller.add(*server_);
    Message message;
    if (!poller.wait(patience_us) || !*server_->receive(message)) return "";
    return std::string(message.back().view());
  }

  Context context_, clients_;
  const std::unique_ptr<Keyring> keyring_ = *Keyring::make(context_);
  const std::shared_ptr<const KeyPair> server_key_ = KeyPair::make(), eta_ = KeyPair::make();
  std::unique_ptr<Socket> server_;
  std::string address_;
};

TEST_F(KeyringReplay, WhatWasRecordedOnOneConnectionIsNothingOnAnother) {
  std::string recorded;
  {
    Eavesdropper between(port_of(address_));
    const auto client = client_by(between);
    say(*client, "publish release 7");
    ASSERT_EQ(next(kReplayPatienceUs), "publish release 7");
    recorded = between.heard();
  }
  EXPECT_EQ(recorded.find("publish"), std::string::npos) << "nor can it be read";
  const int again = connected_to(port_of(address_));
  ASSERT_EQ(::send(again, recorded.data(), recorded.size(), MSG_NOSIGNAL), static_cast<ssize_t>(recorded.size()));
  EXPECT_EQ(next(kReplayQuietUs), "");
  ::close(again);
}

TEST_F(KeyringReplay, AMessageSaidTwiceOnItsOwnConnectionEndsIt) {
  Eavesdropper between(port_of(address_));
  const auto client = client_by(between);
  say(*client, "first");
  ASSERT_EQ(next(kReplayPatienceUs), "first");
  const std::size_t before = between.heard().size();
  say(*client, "second");
  ASSERT_EQ(next(kReplayPatienceUs), "second");
  between.say_in_between(between.heard().substr(before));
  EXPECT_EQ(next(kReplayQuietUs), "") << "its number was used";
}

}  // namespace
}  // namespace espalier::wire
