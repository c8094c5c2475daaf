// The registry on a socket: framing, waiting, limits and the end.
#include "registry/server.h"

#include <cstring>
#include <thread>

#include "tests/support/insecure.h"
#include "tests/support/sanitized.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

class ServerTest : public RegistryFixture {
 protected:
  explicit ServerTest(bool starts = true) {
    auto server = Server::make(*registry_, Clock::system(), context_);
    EXPECT_OK(server);
    server_ = *std::move(server);
    auto endpoint = server_->bind("tcp://127.0.0.1:*");
    EXPECT_OK(endpoint);
    endpoint_ = *endpoint;
    generation_ = registry_->hello(local_, {})->generation;
    peer_ = connect(wire::SocketKind::dealer);
    if (starts) start();
  }
  ~ServerTest() override {
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
  std::unique_ptr<wire::Socket> connect(wire::SocketKind kind) {
    auto socket = wire::Socket::make(context_, kind, testing::insecure_socket());
    EXPECT_OK(socket);
    EXPECT_OK((*socket)->connect(endpoint_));
    return *std::move(socket);
  }
  static void send(wire::Socket& socket, const std::vector<std::string>& frames) {
    wire::Message message;
    for (const auto& frame : frames) message.emplace_back(std::string_view(frame));
    ASSERT_OK_AND_ASSIGN(const bool sent, socket.send(message));
    ASSERT_TRUE(sent);
  }
  /// The frames of the next reply; empty after ten seconds without one.
  static std::vector<std::string> receive(wire::Socket& socket) {
    wire::Poller poller;
    poller.add(socket);
    wire::Message message;
    std::vector<std::string> frames;
    for (int i = 0; i < 10 && message.empty(); ++i) {
      poller.wait(1'000'000);
      EXPECT_OK(socket.receive(message));
    }
    for (const auto& frame : message) frames.emplace_back(frame.view());
    return frames;
  }
  template <class Request>
  std::vector<std::string> ask(const Request& request, const std::string& id = "7") {
    send(*peer_, {id, wire::encode(request)});
    return receive(*peer_);
  }

  wire::Context context_;
  StopSignals stop_;
  std::unique_ptr<Server> server_;
  std::string endpoint_;
  std::uint64_t generation_ = 0;
  std::unique_ptr<wire::Socket> peer_;
  std::thread thread_;
};

/// Whose server answers nothing before start(), so that a test says what comes in one group.
class ServerGroupTest : public ServerTest {
 protected:
  ServerGroupTest() : ServerTest(false) {}
};

TEST_F(ServerTest, APlainRequestSocketIsAnsweredToo) {
  const auto req = connect(wire::SocketKind::req);
  send(*req, {"a", wire::encode(wire::HelloRequest{})});
  const auto reply = receive(*req);
  ASSERT_EQ(reply.size(), 2u);
  EXPECT_EQ(reply[0], "a");
  ASSERT_OK_AND_ASSIGN(const auto hello, wire::decode_reply<wire::HelloReply>(reply[1]));
  EXPECT_EQ(hello.generation, generation_);
}

TEST_F(ServerTest, WhatCantBeReadIsAnsweredAndTheConnectionStays) {
  struct Row {
    const char* name;
    std::vector<std::string> frames;
    Code code;
  };
  const std::string hello = wire::encode(wire::HelloRequest{});
  const std::vector<Row> table = {
      {"one frame", {"id"}, Code::invalid_argument},
      {"not msgpack", {"id", "\xc1"}, Code::invalid_argument},
      {"an array", {"id", "\x90"}, Code::invalid_argument},
      {"no op", {"id", "\x80"}, Code::invalid_argument},
      {"cut short", {"id", hello.substr(0, hello.size() - 1)}, Code::invalid_argument},
      {"unknown op", {"id", wire::encode(wire::PredictRequest{})}, Code::unimplemented},
  };
  for (const Row& row : table) {
    send(*peer_, row.frames);
    const auto reply = receive(*peer_);
    ASSERT_EQ(reply.size(), 2u) << row.name;
    EXPECT_EQ(reply[0], "id");
    EXPECT_CODE(wire::peek_status(reply[1]), row.code) << row.name;
  }
  std::vector<std::string> many(wire::kMaxParts + 3, "x");
  many[1] = hello;
  send(*peer_, many);
  EXPECT_CODE(wire::peek_status(receive(*peer_).at(1)), Code::invalid_argument);
  EXPECT_OK(wire::peek_status(ask(wire::HelloRequest{}).at(1)));
}

TEST_F(ServerTest, AReaderOfTheFeedWaitsUntilThereIsAChange) {
  wire::FeedRequest feed;
  feed.generation = generation_;
  feed.wait_us = 60'000'000;
  send(*peer_, {"feed", wire::encode(feed)});
  const auto other = connect(wire::SocketKind::dealer);
  wire::JoinRequest join{uuid('j', 1), {"s0", {"ipc:///s0"}, 1}};
  send(*other, {"join", wire::encode(join)});
  EXPECT_OK(wire::peek_status(receive(*other).at(1)));
  const auto reply = receive(*peer_);
  ASSERT_EQ(reply.size(), 2u);
  EXPECT_EQ(reply[0], "feed");
  ASSERT_OK_AND_ASSIGN(const auto changes, wire::decode_reply<wire::FeedReply>(reply[1]));
  ASSERT_EQ(changes.changes.size(), 1u);
  EXPECT_EQ(changes.changes[0].kind, wire::ChangeKind::view);
}

TEST_F(ServerTest, AWaitEndsWithItsTimeOrWithTheLastAcknowledgement) {
  wire::JoinRequest join{uuid('j', 1), {"s0", {"ipc:///s0"}, 1}};
  ASSERT_OK_AND_ASSIGN(const auto joined, wire::decode_reply<wire::EpochReply>(ask(join).at(1)));
  ASSERT_OK_AND_ASSIGN(const auto late,
                       wire::decode_reply<wire::WaitReply>(ask(wire::WaitRequest{joined.epoch, 1000}).at(1)));
  EXPECT_FALSE(late.served);
  EXPECT_EQ(late.missing, Path{"s0"});
  const auto other = connect(wire::SocketKind::dealer);
  send(*other, {"wait", wire::encode(wire::WaitRequest{joined.epoch, 60'000'000})});
  EXPECT_OK(wire::peek_status(ask(wire::AckRequest{"s0", generation_, joined.epoch, {}}).at(1)));
  ASSERT_OK_AND_ASSIGN(const auto served, wire::decode_reply<wire::WaitReply>(receive(*other).at(1)));
  EXPECT_TRUE(served.served);
}

TEST_F(ServerTest, ArtefactsGoInAndOutAsBodies) {
  const std::string bytes = small_artefact(5);
  send(*peer_, {"up", wire::encode(wire::UploadRequest{"acme", {blake2b_256(bytes)}}), bytes});
  EXPECT_OK(wire::peek_status(receive(*peer_).at(1)));
  const auto reply = ask(wire::FetchRequest{"acme", {blake2b_256("none"), blake2b_256(bytes)}});
  ASSERT_EQ(reply.size(), 3u);
  EXPECT_EQ(reply[2], bytes);
}

TEST_F(ServerGroupTest, NoLeaseEndsWhileARenewalMayWaitToBeRead) {
  if (espalier::testing::kIsThreadSanitized) GTEST_SKIP() << "its messages stay within the process";
  ASSERT_OK(join("s0", 1));
  registry_->tend_view();
  const std::uint64_t number = registry_->view(local_, {})->view.number;
  for (int i = 0; i < 3; ++i) {
    clock_.advance(2'500'000);
    registry_->tend_view();
  }
  clock_.advance(2'500'001);
  ASSERT_OK_AND_ASSIGN(endpoint_, server_->bind("inproc://many"));
  peer_ = connect(wire::SocketKind::dealer);
  constexpr int kMany = 1000;  // more than a group takes
  for (int i = 0; i < kMany; ++i) send(*peer_, {"hello", wire::encode(wire::HelloRequest{"test"})});
  wire::RenewRequest renewal;
  renewal.shard = "s0";
  send(*peer_, {"renew", wire::encode(renewal)});
  start();
  for (int i = 0; i < kMany; ++i) ASSERT_EQ(receive(*peer_).size(), 2u);
  const auto reply = receive(*peer_);
  ASSERT_EQ(reply.size(), 2u);
  EXPECT_OK(wire::peek_status(reply[1]));
  stop();
  registry_->tend_view();
  EXPECT_EQ(registry_->view(local_, {})->view.number, number);
}

TEST_F(ServerGroupTest, AHeldReplyKeepsItsBodiesWhenItsSessionGoesOn) {
  constexpr std::uint32_t kSteps = 6;
  // In the process a message has arrived once it is sent.
  ASSERT_OK_AND_ASSIGN(endpoint_, server_->bind("inproc://group"));
  peer_ = connect(wire::SocketKind::dealer);
  send(*peer_, {"join", wire::encode(wire::JoinRequest{uuid('j', 1), {"s0", {"ipc:///s0"}, 1}})});
  wire::ArchiveRequest archive{.session = uuid('a', 1), .step = 0};
  for (; archive.step < kSteps; ++archive.step) send(*peer_, {"archive", wire::encode(archive)});
  start();
  wire::Poller poller;
  poller.add(*peer_);
  poller.wait(10'000'000);
  stop();  // the group is answered as a whole; and ThreadSanitizer sees that what is read now was written before
  EXPECT_OK(wire::peek_status(receive(*peer_).at(1)));
  std::vector<std::vector<std::string>> replies;
  for (std::uint32_t i = 0; i < kSteps; ++i) replies.push_back(receive(*peer_));
  // The state is the same.
  archive = {.session = uuid('a', 2), .step = 0};
  std::size_t bytes = 0;
  for (; archive.step < kSteps; ++archive.step) {
    Registry::Bodies bodies;
    ASSERT_OK(registry_->archive(local_, archive, bodies));
    const auto& reply = replies[archive.step];
    ASSERT_GE(reply.size(), 2u);
    EXPECT_EQ(std::vector<std::string>(reply.begin() + 2, reply.end()),
              std::vector<std::string>(bodies.begin(), bodies.end()))
        << "step " << archive.step;
    for (const auto& body : bodies) bytes += body.size();
  }
  EXPECT_GT(bytes, 0u);
}

TEST_F(ServerTest, StoppingAnswersThoseWhoWait) {
  wire::FeedRequest feed;
  feed.generation = generation_;
  feed.wait_us = 60'000'000;
  send(*peer_, {"feed", wire::encode(feed)});
  // Its reply shows that the server has read what came before it on the same connection.
  EXPECT_EQ(ask(wire::HelloRequest{}, "hello").at(0), "hello");
  stop();
  const auto reply = receive(*peer_);
  ASSERT_EQ(reply.size(), 2u);
  EXPECT_EQ(reply[0], "feed");
  EXPECT_OK(wire::peek_status(reply[1]));
}

}  // namespace
}  // namespace espalier::registry
