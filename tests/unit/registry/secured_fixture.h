// A registry's socket with keys, and clients of several of them.
//
// Thread safety: the test's thread, and the server's between start() and stop().
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "registry/server.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {

using Pair = std::shared_ptr<const KeyPair>;

class SecuredFixture : public RegistryFixture {
 protected:
  SecuredFixture() {
    server_ = *Server::make(*registry_, Clock::system(), context_, KeyPair::make());
    endpoint_ = *server_->bind("tcp://127.0.0.1:*");
  }
  ~SecuredFixture() override {
    stop();
    server_.reset();
  }
  void start() {
    thread_ = std::thread([this] { server_->run(stop_); });
  }
  void stop() {
    stop_.request();
    if (thread_.joinable()) thread_.join();
  }
  /// Before start(): straight into the registry.
  Pair add_key(const std::string& name, const std::vector<std::string>& roles, const std::string& tenant) {
    const bool has_one = tenant != "*" && !tenant.empty();
    return add_key(name, roles, has_one ? std::vector{tenant} : std::vector<std::string>{}, tenant == "*");
  }
  Pair add_key(const std::string& name, const std::vector<std::string>& roles, const std::vector<std::string>& tenants,
               bool all_tenants = false) {
    const Pair pair = KeyPair::make();
    const wire::KeyCreateRequest request{uuid('k', ++idem_), name, roles, tenants, all_tenants, 0, pair->public_key()};
    EXPECT_OK(registry_->key_create(local_, request));
    return pair;
  }
  std::unique_ptr<wire::Socket> connect(const Pair& pair) {
    wire::SocketOptions options;
    options.key = pair;
    auto socket = *wire::Socket::make(context_, wire::SocketKind::dealer, options);
    EXPECT_OK(socket->connect(endpoint_));
    return socket;
  }
  static void send(wire::Socket& socket, const std::string& header, const std::vector<std::string>& bodies = {}) {
    wire::Message message;
    message.emplace_back(std::string_view("id"));
    message.emplace_back(std::string_view(header));
    for (const std::string& body : bodies) message.emplace_back(std::string_view(body));
    ASSERT_OK(socket.send(message));
  }
  /// The reply's header; empty where none comes.
  static std::string receive(wire::Socket& socket, std::int64_t patience_us = 10'000'000) {
    wire::Poller poller;
    poller.add(socket);
    wire::Message message;
    if (!poller.wait(patience_us) || !*socket.receive(message) || message.size() < 2) return "";
    return std::string(message[1].view());
  }
  static std::string ask(wire::Socket& socket, const std::string& header, const std::vector<std::string>& bodies = {}) {
    send(socket, header, bodies);
    return receive(socket);
  }

  wire::Context context_;
  StopSignals stop_;
  std::unique_ptr<Server> server_;
  std::string endpoint_;
  std::thread thread_;
  std::uint32_t idem_ = 0;
};

}  // namespace espalier::registry
