#include "client/exchange.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "common/clock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/client/fake_registry.h"
#include "tests/unit/client/insecure_options.h"
#include "wire/predict_codec.h"

namespace espalier::client {
namespace {

constexpr std::int64_t kPatience = 20'000'000;

Exchange::Options watched() {
  Exchange::Options options = insecure_exchange();
  options.renew = [](std::string_view header, std::int64_t) { return std::string(header); };
  return options;
}

wire::Message ok_reply() { return header_only(wire::encode_reply(Status(), wire::HelloReply{1, 1, "0", "router"})); }

/// Answers hellos, and what is asked if `answers`; counts what is asked.
struct Peer {
  explicit Peer(bool answers, bool says_hello = true, const std::string& endpoint = "tcp://127.0.0.1:*")
      : server(
            [this, answers, says_hello](const std::string& op, wire::Message&) {
              if (op == "hello") return says_hello ? ok_reply() : wire::Message();
              ++asked;
              return answers ? ok_reply() : wire::Message();
            },
            endpoint) {}
  std::atomic<int> asked{0};
  FakeRegistry server;
};

std::string question() { return wire::encode(wire::ViewRequest{}); }

TEST(Exchange, ALostConnectionMovesWhatIsUnderWayToTheNext) {
  auto first = std::make_unique<Peer>(false);
  Peer second(true);
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({first->server.endpoint(), second.server.endpoint()}, watched()));
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) tickets.push_back(exchange->send(question(), {}, kPatience, 0));
  Answer answer;
  while (first->asked < 5) exchange->receive(answer, 1000);
  first.reset();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(exchange->receive(answer, kPatience));
    EXPECT_OK(answer.status);
    EXPECT_EQ(std::erase(tickets, answer.ticket), 1u) << "each is answered once";
  }
  EXPECT_EQ(exchange->in_flight(), 0u);
  EXPECT_EQ(second.asked, 5);
}

TEST(Exchange, OneThatSaysNothingAtAllIsLeft) {
  Peer silent(false, false), other(true);
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({silent.server.endpoint(), other.server.endpoint()}, watched()));
  exchange->send(question(), {}, kPatience, 0);
  const std::int64_t begin_us = Clock::system().monotonic_us();
  Answer answer;
  ASSERT_TRUE(exchange->receive(answer, kPatience));
  EXPECT_OK(answer.status);
  EXPECT_GE(Clock::system().monotonic_us() - begin_us, 150'000);
}

TEST(Exchange, OneThatIsSlowButThereIsKept) {
  Peer slow(false), other(true);
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({slow.server.endpoint(), other.server.endpoint()}, watched()));
  exchange->send(question(), {}, kPatience, 0);
  Answer answer;
  EXPECT_FALSE(exchange->receive(answer, 500'000));
  EXPECT_EQ(other.asked, 0);
  EXPECT_EQ(slow.asked, 1);
}

TEST(Exchange, WhatManyBytesMayTakeOnTheirWayIsNoSilence) {
  Peer busy(false, false), other(true);
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({busy.server.endpoint(), other.server.endpoint()}, watched()));
  exchange->send(question(), {std::string(4'000'000, 'x')}, kPatience, 0);
  Answer answer;
  EXPECT_FALSE(exchange->receive(answer, 500'000));
  EXPECT_EQ(other.asked, 0);
  ASSERT_TRUE(exchange->receive(answer, kPatience)) << "it is left all the same, later";
  EXPECT_OK(answer.status);
}

/// Answers the first hello of each connection, and nothing else.
struct FirstHelloOnly {
  FirstHelloOnly()
      : server([this](const std::string& op, wire::Message& request) {
          if (op == "hello") return greeted.emplace(request[0].view()).second ? ok_reply() : wire::Message();
          ++asked;
          return wire::Message();
        }) {}
  std::set<std::string> greeted;
  std::atomic<int> asked{0};
  FakeRegistry server;
};

TEST(Exchange, AnAnswerToAHelloDoesNotMakeItMoveMoreOften) {
  FirstHelloOnly one, other;
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({one.server.endpoint(), other.server.endpoint()}, watched()));
  exchange->send(question(), {}, kPatience, 0);
  Answer answer;
  EXPECT_FALSE(exchange->receive(answer, 2'000'000));
  EXPECT_GT(one.asked + other.asked, 2);
  EXPECT_LE(one.asked + other.asked, 8) << "160 ms each would be 12 and more";
}

TEST(Exchange, AfterLongCalmAllIsSentAgainAndAfterTheNextSilenceWhatTheBudgetAllows) {
  Peer silent(false, false), silent_too(false, false), other(true);
  Exchange::Options options = watched();
  options.resend_reserve = 3;
  ASSERT_OK_AND_ASSIGN(
      auto exchange,
      Exchange::open({silent.server.endpoint(), silent_too.server.endpoint(), other.server.endpoint()}, options));
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) tickets.push_back(exchange->send(question(), {}, kPatience, 0));
  Answer answer;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(exchange->receive(answer, kPatience));
    EXPECT_LE(answer.ticket, tickets[2]) << "the oldest first";
  }
  EXPECT_FALSE(exchange->receive(answer, 50'000));
  EXPECT_EQ(silent_too.asked, 5) << "no silence before this one: more than the budget";
  EXPECT_EQ(other.asked, 3);
  for (int i = 0; i < 20; ++i) exchange->send(question(), {}, kPatience, 0);
  for (int i = 0; i < 22; ++i) ASSERT_TRUE(exchange->receive(answer, kPatience)) << "ten requests pay for one more";
  EXPECT_EQ(other.asked, 25);
}

TEST(Exchange, WhereNobodyIsThereItWaitsForWhoeverComesFirst) {
  std::string one, two;
  {
    Peer peer(true), another(true);
    one = peer.server.endpoint();
    two = another.server.endpoint();
  }
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({one, two}, watched()));
  const Ticket ticket = exchange->send(question(), {}, kPatience, 0);
  Answer answer;
  EXPECT_FALSE(exchange->receive(answer, 200'000));
  Peer late(true, true, two);
  ASSERT_TRUE(exchange->receive(answer, kPatience));
  EXPECT_EQ(answer.ticket, ticket);
  EXPECT_OK(answer.status);
}

TEST(Exchange, AChangeIsSentAgainAsTheSameBytes) {
  std::vector<std::string> seen;
  std::atomic<int> count{0};
  std::optional<FakeRegistry> server(std::in_place, [&](const std::string&, wire::Message& request) {
    seen.emplace_back(request[2].view());
    return ++count < 3 ? wire::Message() : ok_reply();
  });
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({server->endpoint()}, insecure_exchange()));
  wire::LeaveRequest change;
  change.idem = UuidSource(Clock::system()).next();
  change.shard = "s0";
  exchange->send(wire::encode(change), {}, kPatience, 20'000);
  Answer answer;
  ASSERT_TRUE(exchange->receive(answer, kPatience));
  server.reset();
  ASSERT_EQ(seen.size(), 3u);
  for (const std::string& header : seen) EXPECT_EQ(header, wire::encode(change));
}

/// What a router of the test says of each prediction, in turn.
wire::Message refused() { return header_only(wire::encode_error(Status(Code::overloaded, "full"), 2000)); }

wire::PredictRequest parts_of(std::size_t parts) {
  wire::PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.parts.resize(parts);
  return request;
}

TEST(ClientUnderTrouble, SendsAgainWithWhatRemainsOfTheBudget) {
  std::atomic<std::int64_t> budget_us{0};
  Peer silent(false, false);
  FakeRegistry other([&](const std::string& op, wire::Message& request) {
    if (op == "hello") return ok_reply();
    wire::PredictHeader header;
    EXPECT_OK(wire::decode_predict(request[2].view(), header));
    EXPECT_EQ(request.size(), 4u);
    budget_us = header.budget_us;
    return refused();
  });
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({silent.server.endpoint(), other.endpoint()}, insecure_client()));
  EXPECT_CODE(client->predict(parts_of(1), {"a"}).status, Code::overloaded);
  EXPECT_GT(budget_us, 0);
  EXPECT_LE(budget_us, wire::kDefaultBudgetUs - 150'000);
}

TEST(ClientUnderTrouble, AsksAgainForWhatWasRefusedWhereThatIsWanted) {
  std::vector<std::size_t> asked;
  std::optional<FakeRegistry> router(std::in_place, [&](const std::string&, wire::Message& request) {
    const std::size_t parts = request.size() - 3;
    asked.push_back(parts);
    if (asked.size() == 1) return refused();
    wire::Message reply;
    std::string header;
    wire::begin_reply(header, static_cast<std::uint32_t>(parts));
    wire::append_failed(header, 1, Code::no_model, "played");
    if (parts > 1) wire::append_failed(header, 1, Code::overloaded, "played");
    reply.emplace_back(std::move(header));
    for (std::size_t i = 0; i < parts; ++i) reply.emplace_back();
    return reply;
  });
  Client::Options options = insecure_client();
  options.asks_again = true;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({router->endpoint()}, options));
  const Prediction prediction = client->predict(parts_of(2), {"a", "b"});
  EXPECT_OK(prediction.status);
  ASSERT_EQ(prediction.parts.size(), 2u);
  EXPECT_CODE(prediction.parts[0].status, Code::no_model);
  EXPECT_CODE(prediction.parts[1].status, Code::no_model);
  router.reset();
  EXPECT_EQ(asked, (std::vector<std::size_t>{2, 2, 1}));
}

TEST(ClientUnderTrouble, DoesNotAskAgainBeyondItsBudget) {
  std::atomic<int> asked{0};
  FakeRegistry router([&](const std::string&, wire::Message&) {
    ++asked;
    return refused();
  });
  Client::Options options = insecure_client();
  options.asks_again = true;
  options.budget_us = 50'000;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({router.endpoint()}, options));
  const std::int64_t begin_us = Clock::system().monotonic_us();
  EXPECT_CODE(client->predict(parts_of(1), {"a"}).status, Code::overloaded);
  EXPECT_LT(Clock::system().monotonic_us() - begin_us, 1'000'000);
  EXPECT_GT(asked, 1);
}

TEST(ClientUnderTrouble, WhatWaitsForRoomInTheQueueIsSentInOrderWithWhatRemainsOfItsBudget) {
  std::string endpoint;
  { endpoint = Peer(true).server.endpoint(); }
  Client::Options options = insecure_client();
  options.queue = 2;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({endpoint}, options));
  constexpr std::size_t kRequests = 50;
  const std::int64_t begin_us = Clock::system().monotonic_us();
  for (std::size_t i = 0; i < kRequests; ++i) ASSERT_OK(client->submit(parts_of(1), {std::to_string(i)}));
  Prediction prediction;
  EXPECT_FALSE(client->receive(prediction, 100'000)) << "nobody is there";

  std::vector<std::string> bodies;
  std::vector<std::int64_t> stamps, ends;
  std::optional<FakeRegistry> router(
      std::in_place,
      [&](const std::string&, wire::Message& request) {
        wire::PredictHeader header;
        EXPECT_OK(wire::decode_predict(request[2].view(), header));
        bodies.emplace_back(request[3].view());
        stamps.push_back(header.sent_us);
        ends.push_back(header.sent_us + header.budget_us);
        return refused();
      },
      endpoint);
  for (std::size_t i = 0; i < kRequests; ++i) ASSERT_TRUE(client->receive(prediction, kPatience));
  router.reset();
  ASSERT_EQ(bodies.size(), kRequests);
  for (std::size_t i = 0; i < kRequests; ++i) {
    EXPECT_EQ(bodies[i], std::to_string(i));
    EXPECT_TRUE(i == 0 || stamps[i] >= stamps[i - 1]);
    EXPECT_LE(ends[i], begin_us + wire::kDefaultBudgetUs + 50'000) << "as at first, however late it was sent";
  }
  EXPECT_GE(stamps.back() - stamps.front(), 100'000) << "stamped when it is sent";
}

TEST(ClientUnderTrouble, RefusesWhatItHasNoRoomFor) {
  Peer silent(false);
  Client::Options options = insecure_client();
  options.most_requests = 3;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({silent.server.endpoint()}, options));
  wire::PredictRequest request = parts_of(1);
  request.budget_us = 1000;
  for (int i = 0; i < 3; ++i) ASSERT_OK(client->submit(request, {"a"}));
  EXPECT_CODE(client->submit(request, {"a"}), Code::overloaded);
  EXPECT_CODE(client->predict(request, {"a"}).status, Code::overloaded);
  Prediction prediction;
  ASSERT_TRUE(client->receive(prediction, kPatience)) << "its time is over";
  ASSERT_OK(client->submit(request, {"a"}));

  options.most_requests = 100;
  options.most_bytes = 1000;
  ASSERT_OK_AND_ASSIGN(client, Client::connect({silent.server.endpoint()}, options));
  ASSERT_OK(client->submit(request, {std::string(600, 'a')}));
  EXPECT_CODE(client->submit(request, {std::string(600, 'a')}), Code::overloaded);
  ASSERT_TRUE(client->receive(prediction, kPatience));
  EXPECT_OK(client->submit(request, {std::string(600, 'a')}));
}

TEST(ClientUnderTrouble, RefusesWhatARouterThatIsThereDoesNotTakeInTime) {
  wire::Context context;
  wire::SocketOptions few = testing::insecure_socket();
  few.receive_queue = 1;
  auto router = *wire::Socket::make(context, wire::SocketKind::router, few);
  const auto bound = router->bind("tcp://127.0.0.1:*");
  ASSERT_OK(bound);
  Client::Options options = insecure_client();
  options.queue = 1;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({*bound}, options));
  const std::string body(1 << 20, 'b');
  constexpr int kRequests = 30;  // the system takes some of them
  for (int i = 0; i < kRequests; ++i) ASSERT_OK(client->submit(parts_of(1), {body}));

  wire::Message first;
  wire::Poller poller;
  poller.add(*router);
  ASSERT_TRUE(poller.wait(kPatience));
  ASSERT_OK(router->receive(first));
  Prediction prediction;
  int overloaded = 0;
  const std::int64_t begin_us = Clock::system().monotonic_us();
  while (overloaded == 0 && Clock::system().monotonic_us() < begin_us + kPatience) {
    wire::Message sign = wire::Message();  // of life, and no answer
    sign.push_back(first[0].share());
    sign.emplace_back(std::string_view("nobody's"));
    sign.emplace_back(wire::encode_reply(Status(), wire::HelloReply{1, 1, "0", "router"}));
    ASSERT_OK(router->send(sign));
    while (client->receive(prediction, 10'000)) overloaded += prediction.status.code() == Code::overloaded;
  }
  EXPECT_GT(overloaded, 0);
  EXPECT_LT(Clock::system().monotonic_us() - begin_us, 900'000) << "before its budget is over";
}

}  // namespace
}  // namespace espalier::client
