// A registry of a test's own: it answers each request with what the test says.
//
// Thread safety: the handler runs on the registry's own thread.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/status_matchers.h"
#include "wire/messages.h"
#include "wire/socket.h"

namespace espalier::client {

/// Answers requests with what `handler` says of (op, message); no answer where it returns an empty header.
class FakeRegistry {
 public:
  using Handler = std::function<wire::Message(const std::string& op, wire::Message& request)>;

  explicit FakeRegistry(Handler handler, const std::string& endpoint = "tcp://127.0.0.1:*")
      : handler_(std::move(handler)) {
    auto socket = wire::Socket::make(context_, wire::SocketKind::router);
    EXPECT_OK(socket.status());
    socket_ = *std::move(socket);
    auto bound = socket_->bind(endpoint);
    EXPECT_OK(bound.status());
    endpoint_ = *bound;
    thread_ = std::thread([this] { run(); });
  }
  ~FakeRegistry() {
    stop_ = true;
    thread_.join();
  }
  const std::string& endpoint() const { return endpoint_; }

 private:
  void run() {
    wire::Poller poller;
    poller.add(*socket_);
    wire::Message message;
    while (!stop_) {
      if (!poller.wait(20'000)) continue;
      for (;;) {
        const auto got = socket_->receive(message);
        if (!got.ok() || !*got) break;
        wire::Message reply;
        const std::string op = *wire::peek_op(message[2].view());
        wire::Message answer = handler_(op, message);
        if (answer.empty()) continue;
        reply.push_back(std::move(message[0]));
        reply.push_back(std::move(message[1]));
        for (wire::Frame& frame : answer) reply.push_back(std::move(frame));
        const auto sent = socket_->send(reply);
        EXPECT_TRUE(sent.ok() || sent.status().code() == Code::unavailable) << "who asked may have gone";
      }
    }
  }

  Handler handler_;
  wire::Context context_;
  std::unique_ptr<wire::Socket> socket_;
  std::string endpoint_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

inline wire::Message header_only(std::string header) {
  wire::Message message;
  message.emplace_back(std::move(header));
  return message;
}

}  // namespace espalier::client
