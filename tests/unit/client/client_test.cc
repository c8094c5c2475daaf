#include "client/client.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/unit/client/insecure_options.h"
#include "wire/predict_codec.h"

namespace espalier::client {
namespace {

/// A router's end of the connection, driven by the test itself: what was submitted is answered in the order that the
/// test wants.
struct Router {
  wire::Context context;
  std::unique_ptr<wire::Socket> socket;
  std::string endpoint;

  Router() {
    auto made = wire::Socket::make(context, wire::SocketKind::router);
    EXPECT_OK(made.status());
    socket = *std::move(made);
    auto bound = socket->bind("tcp://127.0.0.1:*");
    EXPECT_OK(bound.status());
    endpoint = *bound;
  }
  wire::Message next() {
    wire::Poller poller;
    poller.add(*socket);
    wire::Message message;
    EXPECT_TRUE(poller.wait(20'000'000));
    EXPECT_OK(socket->receive(message).status());
    return message;
  }
  void answer(wire::Message& request, std::string header, const std::vector<std::string>& bodies) {
    request.erase(request.begin() + 2, request.end());
    request.emplace_back(std::move(header));
    for (const std::string& body : bodies) request.emplace_back(std::string_view(body));
    EXPECT_OK(socket->send(request).status());
  }
};

wire::PredictRequest request_of(std::size_t parts) {
  wire::PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.parts.resize(parts);
  return request;
}

std::string reply_header(std::string_view shard) {
  std::string header;
  wire::begin_reply(header, 1);
  wire::ProvenanceView provenance;
  provenance.level = "global";
  provenance.shard = shard;
  wire::append_answered(header, 1, provenance);
  return header;
}

std::string value_body(double value) {
  wire::AnswerWriter writer;
  writer.begin(model::Task::regression, {}, false);
  writer.add({value, 0, {}});
  std::string body;
  writer.finish(body);
  return body;
}

TEST(Client, MatchesAnswersThatComeInAnotherOrder) {
  Router router;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({router.endpoint}, insecure_client()));
  ASSERT_OK_AND_ASSIGN(const Ticket first, client->submit(request_of(1), {"a"}));
  ASSERT_OK_AND_ASSIGN(const Ticket second, client->submit(request_of(1), {"b"}));
  EXPECT_EQ(client->in_flight(), 2u);
  wire::Message one = router.next();
  wire::Message two = router.next();
  ASSERT_EQ(one.size(), 4u);
  EXPECT_EQ(one[3].view(), "a");
  ASSERT_OK_AND_ASSIGN(const auto asked, wire::decode<wire::PredictRequest>(one[2].view()));
  EXPECT_EQ(asked.model, "total");
  router.answer(two, reply_header("s1"), {value_body(2)});
  router.answer(one, reply_header("s0"), {value_body(1)});

  Prediction prediction;
  ASSERT_TRUE(client->receive(prediction, 20'000'000));
  EXPECT_EQ(prediction.ticket, second);
  ASSERT_OK(prediction.status);
  ASSERT_EQ(prediction.parts.size(), 1u);
  ASSERT_OK(prediction.parts[0].status);
  EXPECT_EQ(prediction.parts[0].prediction.value, std::vector<double>{2});
  EXPECT_EQ(prediction.parts[0].provenance.shard, "s1");
  ASSERT_TRUE(client->receive(prediction, 20'000'000));
  EXPECT_EQ(prediction.ticket, first);
  EXPECT_FALSE(client->receive(prediction, 0));
}

TEST(Client, SaysWhichPartsFailed) {
  Router router;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({router.endpoint}, insecure_client()));
  ASSERT_OK(client->submit(request_of(2), {"a", "b"}).status());
  wire::Message message = router.next();
  std::string header;
  wire::begin_reply(header, 2);
  wire::append_failed(header, 1, Code::no_model, "model acme/total has no ready node");
  wire::append_answered(header, 1, {});
  router.answer(message, header, {"", "not msgpack of a prediction"});
  Prediction prediction;
  ASSERT_TRUE(client->receive(prediction, 20'000'000));
  ASSERT_OK(prediction.status);
  ASSERT_EQ(prediction.parts.size(), 2u);
  EXPECT_CODE(prediction.parts[0].status, Code::no_model);
  EXPECT_CODE(prediction.parts[1].status, Code::corrupt);
}

TEST(Client, GivesFailuresOfTheWholeRequest) {
  struct Case {
    std::string header;
    std::vector<std::string> bodies;
    Code code;
    std::int64_t retry_after_us;
  };
  Router router;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({router.endpoint}, insecure_client()));
  for (const Case& c : std::initializer_list<Case>{
           {wire::encode_error(Status(Code::overloaded, "queue full"), 5000), {}, Code::overloaded, 5000},
           {wire::encode_error(invalid_argument("model: missing")), {}, Code::invalid_argument, 0},
           {reply_header("s0"), {}, Code::corrupt, 0},
           {reply_header("s0"), {"a", "b"}, Code::corrupt, 0},
           {"", {}, Code::corrupt, 0},
           {"garbage", {}, Code::corrupt, 0}}) {
    ASSERT_OK(client->submit(request_of(1), {"a"}).status());
    wire::Message message = router.next();
    router.answer(message, c.header, c.bodies);
    Prediction prediction;
    ASSERT_TRUE(client->receive(prediction, 20'000'000));
    EXPECT_CODE(prediction.status, c.code);
    EXPECT_EQ(prediction.retry_after_us, c.retry_after_us);
    EXPECT_TRUE(prediction.parts.empty());
  }
}

TEST(Client, RefusesBeforeSending) {
  Router router;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({router.endpoint}, insecure_client()));
  EXPECT_CODE(client->predict(request_of(1), {}).status, Code::invalid_argument);
  EXPECT_CODE(client->predict(request_of(1), {"a", "b"}).status, Code::invalid_argument);
  EXPECT_CODE(client->predict(request_of(1), {std::string(wire::kMaxClientMessageBytes, 'x')}).status,
              Code::invalid_argument);
  wire::PredictRequest spent = request_of(1);
  spent.budget_us = 0;
  EXPECT_CODE(client->predict(spent, {"a"}).status, Code::invalid_argument);
  EXPECT_EQ(client->in_flight(), 0u);
  EXPECT_CODE(Client::connect({}), Code::invalid_argument);
}

TEST(Client, GivesUpWhenTheBudgetIsOver) {
  Router router;
  ASSERT_OK_AND_ASSIGN(auto client, Client::connect({router.endpoint}, insecure_client()));
  wire::PredictRequest request = request_of(1);
  request.budget_us = 1000;
  const Prediction prediction = client->predict(request, {"a"});
  EXPECT_CODE(prediction.status, Code::deadline_exceeded);
}

}  // namespace
}  // namespace espalier::client
