// The registry's socket with keys: each connection may do what its key may, as long as the key counts.
#include <algorithm>
#include <set>

#include "tests/unit/registry/secured_fixture.h"
#include "wire/endpoint.h"

namespace espalier::registry {
namespace {

class SecuredServerTest : public SecuredFixture {
 protected:
  /// How many requests the metrics count.
  double answered(const std::string& op, const std::string& code) const {
    metrics::Page page;
    server_->metrics().fill(page);
    double count = 0;
    for (const metrics::Sample& sample : page.families().at("espalier_registry_requests_total").samples) {
      const auto has = [&](const std::string& name, const std::string& value) {
        return std::ranges::count(sample.labels, std::pair(name, value)) == 1;
      };
      if (has("op", op) && has("code", code)) count += sample.value;
    }
    return count;
  }
};

TEST_F(SecuredServerTest, ARevokedKeyIsShutOutAndWhoWaitsWithItToo) {
  const Pair eta = add_key("r0", {"router"}, ""), admin = add_key("root", {"admin"}, "*");
  start();
  const auto one = connect(eta), other = connect(admin);
  wire::KeysRequest known;
  ASSERT_OK_AND_ASSIGN(const auto keys, wire::decode_reply<wire::KeysReply>(ask(*one, wire::encode(known))));
  known.generation = keys.generation;
  known.after = keys.epoch;
  known.wait_us = 60'000'000;
  send(*one, wire::encode(known));
  ASSERT_OK(wire::peek_status(ask(*other, wire::encode(wire::KeyRevokeRequest{uuid('k', 90), "r0"}))));
  EXPECT_CODE(wire::peek_status(receive(*one)), Code::permission_denied) << "it was waiting";
  EXPECT_CODE(wire::peek_status(ask(*one, wire::encode(wire::HelloRequest{}))), Code::permission_denied);
  EXPECT_OK(wire::peek_status(ask(*other, wire::encode(wire::HelloRequest{}))));
}

TEST_F(SecuredServerTest, WhoFollowsKeysHearsOfThemAtOnce) {
  const Pair router = add_key("r0", {"router"}, ""), admin = add_key("root", {"admin"}, "*");
  start();
  const auto one = connect(router), other = connect(admin);
  wire::KeysRequest known;
  ASSERT_OK_AND_ASSIGN(auto keys, wire::decode_reply<wire::KeysReply>(ask(*one, wire::encode(known))));
  known = {keys.generation, keys.epoch, 60'000'000};
  send(*one, wire::encode(known));
  EXPECT_EQ(receive(*one, 100'000), "") << "nothing has changed";
  const wire::KeyCreateRequest eta{uuid('k', 91), "eta", {"reader"}, {"acme"}, false, 0, KeyPair::make()->public_key()};
  ASSERT_OK(wire::peek_status(ask(*other, wire::encode(eta))));
  ASSERT_OK_AND_ASSIGN(keys, wire::decode_reply<wire::KeysReply>(receive(*one)));
  EXPECT_EQ(keys.keys.size(), 3u);
}

TEST_F(SecuredServerTest, ANewKeyWorksAtOnceAndAnExpiredOneDoesNot) {
  const Pair admin = add_key("root", {"admin"}, "*"), late = KeyPair::make(), eta = KeyPair::make();
  // The registry's clock stands in 2023, the server's doesn't: it is over already.
  ASSERT_OK(registry_->key_create(
      local_, {uuid('k', 92), "late", {"reader"}, {"acme"}, false, clock_.wall_us() + 1'000'000, late->public_key()}));
  start();
  const auto other = connect(admin), expired = connect(late), one = connect(eta);
  send(*one, wire::encode(wire::HelloRequest{}));
  send(*expired, wire::encode(wire::HelloRequest{}));
  EXPECT_EQ(receive(*one, 200'000), "");
  const wire::KeyCreateRequest created{uuid('k', 93), "eta", {"reader"}, {"acme"}, false, 0, eta->public_key()};
  ASSERT_OK(wire::peek_status(ask(*other, wire::encode(created))));
  EXPECT_OK(wire::peek_status(receive(*one)));
  EXPECT_EQ(receive(*expired, 0), "");
}

TEST_F(SecuredServerTest, ATenantsKeyWaitsForItsOwnChangesAndIsToldNoNames) {
  ASSERT_OK(join("s0", 1));
  ASSERT_OK_AND_ASSIGN(const auto released, publish(1, {{{}, 1, 1}}));  // of acme
  const Pair eta = add_key("eta", {"publisher"}, "acme"), mallory = add_key("mallory", {"publisher"}, "globex");
  const Pair router = add_key("r0", {"router"}, "");
  start();
  const auto own = connect(eta), other = connect(mallory), cluster = connect(router);
  const std::string wait = wire::encode(wire::WaitRequest{released.epoch, 1});
  ASSERT_OK_AND_ASSIGN(auto reply, wire::decode_reply<wire::WaitReply>(ask(*own, wait)));
  EXPECT_FALSE(reply.served);
  EXPECT_EQ(reply.missing, Path{"a shard"});
  ASSERT_OK_AND_ASSIGN(reply, wire::decode_reply<wire::WaitReply>(ask(*cluster, wait)));
  EXPECT_EQ(reply.missing, Path{"s0"});
  std::set<std::string> texts;
  for (const std::uint64_t epoch : {released.epoch, std::uint64_t{1}, std::uint64_t{0}, std::uint64_t{1'000'000}}) {
    const Status refused = wire::peek_status(ask(*other, wire::encode(wire::WaitRequest{epoch, 1})));
    EXPECT_CODE(refused, Code::permission_denied) << epoch;
    texts.insert(refused.text());
  }
  EXPECT_EQ(texts.size(), 1u) << "another tenant's change, the view's, the newest, and none";
}

TEST_F(SecuredServerTest, AKeyThatWaitsTooOftenDoesNotKeepOthersFromWaiting) {
  ASSERT_OK(join("s0", 1));
  ASSERT_OK_AND_ASSIGN(const auto released, publish(1, {{{}, 1, 1}}));
  const Pair eta = add_key("eta", {"publisher"}, "acme"), theta = add_key("theta", {"publisher"}, "acme");
  const Pair shard = add_key("s0", {"shard"}, "");
  start();
  const auto one = connect(eta), other = connect(theta), cluster = connect(shard);
  const std::string wait = wire::encode(wire::WaitRequest{released.epoch, 60'000'000});
  for (std::size_t i = 0; i < Server::kMaxWaitingOfOne; ++i) send(*one, wait);
  EXPECT_CODE(wire::peek_status(ask(*one, wait)), Code::overloaded);
  send(*other, wait);
  EXPECT_EQ(receive(*other, 100'000), "") << "it waits";
  const wire::AckRequest ack{"s0", registry_->generation(), released.epoch};
  EXPECT_OK(wire::peek_status(ask(*cluster, wire::encode(ack))));
  for (std::size_t i = 0; i < Server::kMaxWaitingOfOne; ++i) EXPECT_OK(wire::peek_status(receive(*one)));
  EXPECT_OK(wire::peek_status(receive(*other)));
  EXPECT_OK(wire::peek_status(ask(*one, wait))) << "there is room again";
  stop();
  EXPECT_EQ(answered("wait", "ok"), Server::kMaxWaitingOfOne + 2.0);
  EXPECT_EQ(answered("wait", "overloaded"), 1.0);
}

TEST_F(SecuredServerTest, EachRefusalIsCountedAndNoneForLongerThanItTook) {
  const Pair eta = add_key("r0", {"router"}, ""), admin = add_key("root", {"admin"}, "*");
  const Pair mallory = add_key("mallory", {"reader"}, "globex");
  start();
  const auto one = connect(eta), other = connect(admin), reader = connect(mallory);
  wire::KeysRequest known;
  ASSERT_OK_AND_ASSIGN(const auto keys, wire::decode_reply<wire::KeysReply>(ask(*one, wire::encode(known))));
  known = {keys.generation, keys.epoch, 60'000'000};
  send(*one, wire::encode(known));
  EXPECT_EQ(receive(*one, 300'000), "") << "it waits";
  ASSERT_OK(wire::peek_status(ask(*other, wire::encode(wire::KeyRevokeRequest{uuid('k', 90), "r0"}))));
  EXPECT_CODE(wire::peek_status(receive(*one)), Code::permission_denied);
  EXPECT_CODE(wire::peek_status(ask(*one, wire::encode(wire::HelloRequest{}))), Code::permission_denied);
  EXPECT_CODE(wire::peek_status(ask(*reader, wire::encode(wire::FetchRequest{"acme", {}}))), Code::permission_denied);
  stop();
  EXPECT_EQ(answered("keys", "permission_denied"), 1.0);
  EXPECT_EQ(answered("hello", "permission_denied"), 1.0);
  EXPECT_EQ(answered("fetch", "permission_denied"), 1.0);
  metrics::Page page;
  server_->metrics().fill(page);
  const double total = page.families().at("espalier_registry_answering_seconds").samples.at(0).sum;
  EXPECT_LT(total, 0.3) << "the time that it waited is nobody's work";
}

}  // namespace
}  // namespace espalier::registry
