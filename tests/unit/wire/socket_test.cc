#include "wire/socket.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/support/insecure.h"
#include "tests/support/status_matchers.h"

namespace espalier::wire {
namespace {

constexpr std::int64_t kPatienceUs = 20'000'000;

struct Pair {
  Context context;
  std::unique_ptr<Socket> router;
  std::unique_ptr<Socket> peer;
  std::string endpoint;

  explicit Pair(SocketKind kind, SocketOptions options = {}) {
    options.insecure = true;
    auto made = Socket::make(context, SocketKind::router, options);
    EXPECT_OK(made.status());
    router = *std::move(made);
    auto bound = router->bind("tcp://127.0.0.1:*");
    EXPECT_OK(bound.status());
    endpoint = *bound;
    auto other = Socket::make(context, kind, options);
    EXPECT_OK(other.status());
    peer = *std::move(other);
    EXPECT_OK(peer->connect(endpoint));
  }
};

bool wait_for(Socket& socket, Message& message) {
  Poller poller;
  poller.add(socket);
  if (!poller.wait(kPatienceUs)) return false;
  const auto got = socket.receive(message);
  return got.ok() && *got;
}

Message message_of(std::initializer_list<std::string_view> frames) {
  Message message;
  for (const std::string_view frame : frames) message.emplace_back(frame);
  return message;
}

TEST(Frame, HoldsBytesByCopyByTakingAndByShare) {
  EXPECT_EQ(Frame().size(), 0u);
  EXPECT_EQ(Frame(std::string_view("abc")).view(), "abc");
  EXPECT_EQ(Frame(std::string_view()).view(), "");
  std::string large(100'000, 'x');
  const char* bytes = large.data();
  Frame taken(std::move(large));
  EXPECT_EQ(taken.size(), 100'000u);
  EXPECT_EQ(taken.view().data(), bytes) << "a large string is not copied";
  Frame other = taken.share();
  EXPECT_EQ(other.view().data(), taken.view().data());
  const Frame moved = std::move(taken);
  EXPECT_EQ(moved.view().data(), bytes);
  EXPECT_EQ(taken.size(), 0u);
}

TEST(Socket, CarriesAllFramesThereAndBack) {
  Pair pair(SocketKind::dealer);
  Message message = message_of({"id", "header", "", "body"});
  ASSERT_OK_AND_ASSIGN(const bool sent, pair.peer->send(message));
  EXPECT_TRUE(sent);
  ASSERT_TRUE(wait_for(*pair.router, message));
  ASSERT_EQ(message.size(), 5u);
  EXPECT_EQ(message[1].view(), "id");
  EXPECT_EQ(message[3].view(), "");
  EXPECT_EQ(message[4].view(), "body");
  message.pop_back();
  ASSERT_OK(pair.router->send(message).status());
  ASSERT_TRUE(wait_for(*pair.peer, message));
  EXPECT_EQ(message.size(), 3u);
}

TEST(Socket, AReqPeerPutsAnEmptyFrameFirst) {
  Pair pair(SocketKind::req);
  Message message = message_of({"id", "header"});
  ASSERT_OK(pair.peer->send(message).status());
  ASSERT_TRUE(wait_for(*pair.router, message));
  // With correlation there is a frame of ZeroMQ's own before the empty one.
  std::size_t empty = 1;
  while (empty < message.size() && message[empty].size() != 0) ++empty;
  ASSERT_EQ(message.size(), empty + 3);
  EXPECT_EQ(message[empty + 2].view(), "header");
}

TEST(Socket, NothingThereIsNotAFailure) {
  Pair pair(SocketKind::dealer);
  Message message = message_of({"left over"});
  ASSERT_OK_AND_ASSIGN(const bool got, pair.router->receive(message));
  EXPECT_FALSE(got);
  EXPECT_TRUE(message.empty());
  Poller poller;
  const std::size_t index = poller.add(*pair.router);
  EXPECT_FALSE(poller.wait(0));
  EXPECT_FALSE(poller.ready(index));
}

TEST(Poller, KnowsADrainedSocketAndTheSignOfMore) {
  Pair pair(SocketKind::dealer);
  Message message = message_of({"a"});
  ASSERT_OK(pair.peer->send(message).status());
  ASSERT_TRUE(wait_for(*pair.router, message));
  const std::string name(message[0].view());
  EXPECT_TRUE(pair.router->may_have_message());
  ASSERT_OK_AND_ASSIGN(const bool got, pair.router->receive(message));
  EXPECT_FALSE(got);
  EXPECT_FALSE(pair.router->may_have_message());
  message = message_of({name, "there"});
  ASSERT_OK(pair.router->send(message).status());
  EXPECT_TRUE(pair.router->may_have_message()) << "sending may have taken in the sign of a message";
  message = message_of({"b"});
  ASSERT_OK(pair.peer->send(message).status());
  Poller poller;
  const std::size_t index = poller.add(*pair.router);
  ASSERT_TRUE(poller.wait(kPatienceUs));
  EXPECT_TRUE(poller.ready(index));
  EXPECT_TRUE(pair.router->may_have_message());
  EXPECT_TRUE(poller.wait(kPatienceUs)) << "what wasn't received is still there";
}

TEST(Poller, LosesNoMessageHoweverSendsReceivesAndWaitsFollowEachOther) {
  Pair pair(SocketKind::dealer);
  Poller peer_poller, router_poller;
  peer_poller.add(*pair.peer);
  router_poller.add(*pair.router);
  Message message;
  constexpr int kRounds = 2000, kUnderWay = 4;
  int sent = 0, there = 0, back = 0;
  while (back < kRounds) {
    for (; sent < kRounds && sent < back + kUnderWay; ++sent) {
      message = message_of({"x"});
      ASSERT_OK(pair.peer->send(message).status());
    }
    if (there < sent) {
      ASSERT_TRUE(router_poller.wait(kPatienceUs)) << there;
      ASSERT_OK_AND_ASSIGN(const bool got, pair.router->receive(message));
      ASSERT_TRUE(got);
      ASSERT_OK(pair.router->send(message).status());
      ++there;
    }
    // Sometimes all that is there is taken, and sometimes one: so each state of a socket comes before a wait.
    const bool takes_all = there % 3 == 0;
    if (!takes_all && back < there) {
      ASSERT_TRUE(peer_poller.wait(kPatienceUs)) << back;
    }
    do {
      ASSERT_OK_AND_ASSIGN(const bool got, pair.peer->receive(message));
      if (!got) break;
      ++back;
    } while (takes_all);
  }
}

TEST(Poller, AConnectionThatComesIsNoMessage) {
  const SocketOptions options = testing::insecure_socket();
  Context context;
  ASSERT_OK_AND_ASSIGN(auto router, Socket::make(context, SocketKind::router, options));
  ASSERT_OK_AND_ASSIGN(const std::string endpoint, router->bind("tcp://127.0.0.1:*"));
  Message message;
  ASSERT_OK_AND_ASSIGN(const bool got, router->receive(message));
  EXPECT_FALSE(got);
  ASSERT_OK_AND_ASSIGN(auto dealer, Socket::make(context, SocketKind::dealer, options));
  ASSERT_OK(dealer->connect(endpoint));
  Poller poller;
  const std::size_t index = poller.add(*router);
  EXPECT_FALSE(poller.wait(50'000)) << "what the connection's coming says is taken in while it waits";
  EXPECT_FALSE(poller.ready(index));
}

TEST(Socket, AFullQueueIsNotAFailure) {
  SocketOptions options = testing::insecure_socket();
  options.send_queue = 1;
  Context context;
  ASSERT_OK_AND_ASSIGN(auto dealer, Socket::make(context, SocketKind::dealer, options));
  ASSERT_OK(dealer->connect("tcp://127.0.0.1:9"));
  Message message = message_of({"first"});
  ASSERT_OK_AND_ASSIGN(const bool first, dealer->send(message));
  EXPECT_TRUE(first);
  message = message_of({"second", "with a body"});
  ASSERT_OK_AND_ASSIGN(const bool second, dealer->send(message));
  EXPECT_FALSE(second);
  EXPECT_EQ(message[1].view(), "with a body") << "nothing was sent";
}

TEST(Socket, APeerThatIsGoneIsUnavailable) {
  Pair pair(SocketKind::dealer);
  Message message = message_of({"nobody has this name", "x"});
  EXPECT_CODE(pair.router->send(message), Code::unavailable);
  SocketOptions silent;
  silent.router_mandatory = false;
  Pair other(SocketKind::dealer, silent);
  message = message_of({"nobody has this name", "x"});
  EXPECT_OK(other.router->send(message).status());
}

TEST(Socket, RefusesEndpointsThatCannotBe) {
  Context context;
  ASSERT_OK_AND_ASSIGN(auto socket, Socket::make(context, SocketKind::dealer));
  for (const char* endpoint : {"", "nonsense", "smoke://signals", "tcp://127.0.0.1:port", "tcp://"}) {
    EXPECT_FALSE(socket->connect(endpoint).ok()) << endpoint;
    EXPECT_FALSE(socket->bind(endpoint).ok()) << endpoint;
  }
  Pair pair(SocketKind::dealer);
  EXPECT_CODE(socket->bind(pair.endpoint), Code::unavailable) << "in use";
  EXPECT_CODE(socket->disconnect("tcp://127.0.0.1:9"), Code::unavailable) << "never connected";
}

}  // namespace
}  // namespace espalier::wire
