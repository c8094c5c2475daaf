#include "client/registry_client.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/curve_key.h"
#include "common/log.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/client/fake_registry.h"
#include "tests/unit/client/insecure_options.h"
#include "wire/messages.h"
#include "wire/socket.h"

namespace espalier::client {
namespace {

TEST(RegistryClient, CallsAndGetsTheReplyWithItsBodies) {
  FakeRegistry registry([](const std::string& op, wire::Message& request) {
    EXPECT_EQ(op, "fetch");
    EXPECT_EQ(request.size(), 5u);
    EXPECT_EQ(request[4].view(), "second");
    wire::FetchReply reply;
    reply.answered = 2;
    wire::Message message = header_only(wire::encode_reply(Status(), reply));
    message.emplace_back(std::string_view("artefact"));
    return message;
  });
  ASSERT_OK_AND_ASSIGN(auto client, RegistryClient::connect({registry.endpoint()}, nullptr, true));
  wire::Message bodies;
  ASSERT_OK_AND_ASSIGN(auto reply, client->call(wire::FetchRequest{}, {"first", "second"}, 10'000'000, &bodies));
  EXPECT_EQ(reply.answered, 2u);
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_EQ(bodies[0].view(), "artefact");
}

TEST(RegistryClient, GivesTheRegistrysFailure) {
  FakeRegistry registry([](const std::string&, wire::Message&) {
    return header_only(wire::encode_error(not_found("model acme/total")));
  });
  ASSERT_OK_AND_ASSIGN(auto client, RegistryClient::connect({registry.endpoint()}, nullptr, true));
  const auto reply = client->call(wire::ModelsRequest{});
  ASSERT_CODE(reply, Code::not_found);
  EXPECT_EQ(reply.status().message(), "model acme/total");
}

TEST(RegistryClient, ReportsAnUnreadableReply) {
  FakeRegistry registry([](const std::string&, wire::Message&) { return header_only("\xc1garbage"); });
  ASSERT_OK_AND_ASSIGN(auto client, RegistryClient::connect({registry.endpoint()}, nullptr, true));
  EXPECT_CODE(client->call(wire::ViewRequest{}), Code::corrupt);
}

TEST(RegistryClient, KeepsAnswersToPostsWhileItCalls) {
  FakeRegistry registry([](const std::string& op, wire::Message&) {
    if (op == "feed") {
      wire::FeedReply reply;
      reply.newest = 7;
      return header_only(wire::encode_reply(Status(), reply));
    }
    wire::HelloReply reply;
    reply.epoch = 9;
    return header_only(wire::encode_reply(Status(), reply));
  });
  ASSERT_OK_AND_ASSIGN(auto client, RegistryClient::connect({registry.endpoint()}, nullptr, true));
  const Ticket feed = client->post(wire::FeedRequest{});
  ASSERT_OK_AND_ASSIGN(auto hello, client->call(wire::HelloRequest{"test"}));
  EXPECT_EQ(hello.epoch, 9u);
  Answer answer;
  ASSERT_TRUE(client->poll(answer, 10'000'000));
  EXPECT_EQ(answer.ticket, feed);
  ASSERT_OK_AND_ASSIGN(auto changes, RegistryClient::reply_to<wire::FeedRequest>(answer));
  EXPECT_EQ(changes.newest, 7u);
  EXPECT_EQ(client->in_flight(), 0u);
  EXPECT_FALSE(client->poll(answer, 0));
}

TEST(RegistryClient, SaysWhenNobodyAnswers) {
  wire::Context context;
  ASSERT_OK_AND_ASSIGN(auto silent, wire::Socket::make(context, wire::SocketKind::router));
  ASSERT_OK_AND_ASSIGN(const std::string endpoint, silent->bind("tcp://127.0.0.1:*"));
  ASSERT_OK_AND_ASSIGN(auto client, RegistryClient::connect({endpoint}, nullptr, true));
  const auto reply = client->call(wire::ViewRequest{}, {}, 20'000);
  ASSERT_CODE(reply, Code::unavailable);
  EXPECT_NE(reply.status().message().find(endpoint), std::string::npos) << reply.status().text();
}

TEST(RegistryClient, RefusesWhatIsNoEndpoint) {
  EXPECT_CODE(RegistryClient::connect({}), Code::invalid_argument);
  EXPECT_CODE(RegistryClient::connect({"nonsense"}), Code::invalid_argument);
  EXPECT_CODE(RegistryClient::connect({"smoke://signals"}), Code::invalid_argument);
}

TEST(RegistryClient, ConnectsInClearTextOnlyWhereNobodyElseCouldListenIn) {
  const testing::TempDir dir;
  const std::string local = "ipc://" + dir.path() + "/r.sock", secured = "tcp://10.0.0.5:1#" + std::string(64, 'a');
  const auto key = KeyPair::make();
  for (const char* open :
       {"tcp://127.0.0.1:1", "tcp://10.0.0.5:1", "ipc:///tmp/espalier-test.sock", "ipc://@abstract"}) {
    // With a key, too: whoever answers there would be told everything.
    for (const auto& own : {std::shared_ptr<const KeyPair>(), std::shared_ptr<const KeyPair>(key)}) {
      const auto refused = RegistryClient::connect({local, open}, own);
      ASSERT_CODE(refused, Code::failed_precondition) << open;
      EXPECT_NE(refused.status().message().find("--insecure"), std::string::npos) << refused.status().text();
      log::forget_repeats();
      ::testing::internal::CaptureStderr();
      EXPECT_OK(RegistryClient::connect({local, open}, own, true));
      EXPECT_NE(::testing::internal::GetCapturedStderr().find("not secured"), std::string::npos) << open;
    }
  }
  EXPECT_OK(RegistryClient::connect({local}));
  EXPECT_OK(RegistryClient::connect({local, secured}, key));
  EXPECT_OK(RegistryClient::connect({local, secured})) << "the private one is left";
}

TEST(Exchange, SendsAgainWithTheSameBytesAndTriesTheNextEndpoint) {
  wire::Context context;
  ASSERT_OK_AND_ASSIGN(auto silent, wire::Socket::make(context, wire::SocketKind::router));
  ASSERT_OK_AND_ASSIGN(const std::string nobody, silent->bind("tcp://127.0.0.1:*"));
  FakeRegistry registry([](const std::string&, wire::Message& request) {
    EXPECT_EQ(request[3].view(), "body");
    return header_only(wire::encode_reply(Status(), wire::EpochReply{1, 2}));
  });
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({nobody, registry.endpoint()}, insecure_exchange()));
  wire::JoinRequest join;
  join.idem.bytes[0] = 1;
  const Ticket ticket = exchange->send(wire::encode(join), {"body"}, 20'000'000, 10'000);
  const Answer answer = exchange->wait_for(ticket);
  ASSERT_OK(answer.status);
  EXPECT_EQ(exchange->in_flight(), 0u);
}

TEST(Exchange, ForgetsAndIgnoresWhatNobodyWaitsFor) {
  FakeRegistry registry(
      [](const std::string&, wire::Message&) { return header_only(wire::encode_reply(Status(), wire::AckReply{})); });
  ASSERT_OK_AND_ASSIGN(auto exchange, Exchange::open({registry.endpoint()}, insecure_exchange()));
  const Ticket forgotten = exchange->send(wire::encode(wire::AckRequest{}), {}, 10'000'000, 0);
  exchange->forget(forgotten);
  const Ticket awaited = exchange->send(wire::encode(wire::AckRequest{}), {}, 10'000'000, 0);
  Answer answer;
  ASSERT_TRUE(exchange->receive(answer, 10'000'000));
  EXPECT_EQ(answer.ticket, awaited);
  EXPECT_FALSE(exchange->receive(answer, 0));
  EXPECT_EQ(exchange->next_event_us(), -1);
}

}  // namespace
}  // namespace espalier::client
