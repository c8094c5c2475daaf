// Who gets in, who is asked, and who is shut out, over real connections.
#include "wire/keyring.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "wire/endpoint.h"

namespace espalier::wire {
namespace {

constexpr std::int64_t kNow = 1'000'000'000;
constexpr std::int64_t kServerPatienceUs = 5'000'000;
/// So long nothing comes where nothing may come: several tries of a client's fit in.
constexpr std::int64_t kQuietUs = 300'000;

KeyRecord record(const std::string& name, const KeyPair& pair, const std::string& role, const std::string& tenant) {
  KeyRecord key;
  key.name = name;
  key.roles = {role};
  if (!tenant.empty()) key.tenants = {tenant};
  key.halves = {{pair.public_key(), 0}};
  return key;
}

/// A server that answers each message with who sent it.
class KeyringTest : public ::testing::Test {
 protected:
  KeyringTest() {
    keyring_ = *Keyring::make(context_);
    door_ = std::make_unique<Door>(keyring_.get());
    SocketOptions options;
    options.key = server_key_;
    server_ = *Socket::make(context_, SocketKind::router, options);
    endpoint_ = *server_->bind("tcp://127.0.0.1:*");
  }

  std::unique_ptr<Socket> client(std::shared_ptr<const KeyPair> key, const std::string& endpoint) {
    SocketOptions options;
    options.key = std::move(key);
    options.insecure = true;  // what comes of that is what is looked at
    auto socket = *Socket::make(clients_, SocketKind::dealer, options);
    EXPECT_OK(socket->connect(endpoint));
    return socket;
  }

  static void ask(Socket& client) {
    Message message;
    message.emplace_back(std::string_view("who am I?"));
    ASSERT_OK(client.send(message));
  }

  /// The name of whoever sent the next message; "nobody" where its key doesn't count; "" where none comes.
  std::string serve(std::int64_t patience_us = kServerPatienceUs) {
    Poller poller;
    poller.add(*server_);
    Message message;
    if (!poller.wait(patience_us) || !*server_->receive(message)) return "";
    const Principal* who = door_->who(message);
    return who == nullptr ? "nobody" : who->name();
  }

  Context context_, clients_;
  std::unique_ptr<Keyring> keyring_;
  std::unique_ptr<Door> door_;
  const std::shared_ptr<const KeyPair> server_key_ = KeyPair::make(), eta_ = KeyPair::make(), zeta_ = KeyPair::make();
  std::unique_ptr<Socket> server_;
  std::string endpoint_;
};

TEST_F(KeyringTest, TellsEachMessageByTheKeyOfItsConnection) {
  const KeyRecord keys[] = {record("eta", *eta_, "reader", "acme"), record("zeta", *zeta_, "reader", "globex")};
  keyring_->take(keys, kNow);
  const auto one = client(eta_, endpoint_), other = client(zeta_, endpoint_);
  ask(*one);
  EXPECT_EQ(serve(), "eta");
  ask(*other);
  EXPECT_EQ(serve(), "zeta");
  ask(*one);
  EXPECT_EQ(serve(), "eta");
}

TEST_F(KeyringTest, AnUnknownKeyGetsNowhereUntilItIsKnown) {
  keyring_->take({}, kNow);
  const auto stranger = client(eta_, endpoint_);
  ask(*stranger);
  EXPECT_EQ(serve(kQuietUs), "");
  const KeyRecord keys[] = {record("eta", *eta_, "reader", "acme")};
  keyring_->take(keys, kNow);
  EXPECT_EQ(serve(), "eta") << "what it asked arrives: it has gone on trying";
}

TEST_F(KeyringTest, AKeyThatBecomesKnownAMomentLaterIsLetInAtOnce) {
  keyring_->take({}, kNow);
  const auto early = client(eta_, endpoint_);
  ask(*early);
  EXPECT_EQ(serve(100'000), "");
  const KeyRecord keys[] = {record("eta", *eta_, "reader", "acme")};
  keyring_->take(keys, kNow);
  EXPECT_EQ(serve(500'000), "eta") << "its handshake has waited";
}

TEST_F(KeyringTest, ARevokedKeyIsShutOutOverAnOpenConnection) {
  KeyRecord keys[] = {record("eta", *eta_, "reader", "acme")};
  keyring_->take(keys, kNow);
  const auto one = client(eta_, endpoint_);
  ask(*one);
  ASSERT_EQ(serve(), "eta");
  keys[0].revoked_us = kNow;
  keyring_->take(keys, kNow);
  ask(*one);
  EXPECT_EQ(serve(), "nobody");
  const auto again = client(eta_, endpoint_);
  ask(*again);
  EXPECT_EQ(serve(kQuietUs), "") << "nor does a new connection get in";
}

TEST_F(KeyringTest, WhileAKeyIsRotatedBothOfItsHalvesCount) {
  const auto next = KeyPair::make();
  KeyRecord keys[] = {record("eta", *eta_, "reader", "acme")};
  keyring_->take(keys, kNow);
  const auto old = client(eta_, endpoint_);
  ask(*old);
  ASSERT_EQ(serve(), "eta");
  keys[0].halves = {{next->public_key(), 0}, {eta_->public_key(), kNow + 10}};
  EXPECT_EQ(next_end_us(keys, kNow), kNow + 10);
  keyring_->take(keys, kNow);
  const auto young = client(next, endpoint_);
  ask(*young);
  EXPECT_EQ(serve(), "eta");
  ask(*old);
  EXPECT_EQ(serve(), "eta");
  keyring_->take(keys, kNow + 10);
  EXPECT_EQ(next_end_us(keys, kNow + 10), 0);
  ask(*old);
  EXPECT_EQ(serve(), "nobody");
  ask(*young);
  EXPECT_EQ(serve(), "eta");
}

TEST_F(KeyringTest, AKeyEndsByItself) {
  KeyRecord keys[] = {record("eta", *eta_, "reader", "acme")};
  keys[0].expires_us = kNow + 5;
  EXPECT_EQ(next_end_us(keys, kNow), kNow + 5);
  keyring_->take(keys, kNow);
  const auto one = client(eta_, endpoint_);
  ask(*one);
  ASSERT_EQ(serve(), "eta");
  keyring_->take(keys, kNow + 5);
  ask(*one);
  EXPECT_EQ(serve(), "nobody");
}

TEST_F(KeyringTest, NobodyGetsInWithoutAKey) {
  const KeyRecord keys[] = {record("eta", *eta_, "reader", "acme")};
  keyring_->take(keys, kNow);
  const auto plain = client(nullptr, parse_endpoint(endpoint_).address);
  ask(*plain);
  EXPECT_EQ(serve(kQuietUs), "");
  auto keyless = *Socket::make(clients_, SocketKind::dealer);
  EXPECT_CODE(keyless->connect(endpoint_), Code::invalid_argument) << "and is told so where the endpoint says it";
}

/// What a raw connection gets that says these bytes and waits until the other side closes it, or says no more.
std::string answer_to(const std::string& address, const std::string& said) {
  const int port = std::stoi(address.substr(address.rfind(':') + 1));
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  timeval patience{0, 300'000};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  EXPECT_EQ(::send(fd, said.data(), said.size(), MSG_NOSIGNAL), static_cast<ssize_t>(said.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(got));
  ::close(fd);
  return answer;
}

TEST_F(KeyringTest, WhoSpeaksPlainlyHearsNothingButTheGreeting) {
  const std::string address = parse_endpoint(endpoint_).address;
  std::string greeting = std::string("\xFF\0\0\0\0\0\0\0\1\x7F\3\0NULL", 16);
  greeting.resize(64, '\0');
  const std::string ready = std::string("\4\x26\5READY\13Socket-Type\0\0\0\6DEALER\10Identity\0\0\0\0", 40);
  const std::string message = std::string("\0\7hello!\n", 9);
  const std::string answer = answer_to(address, greeting + ready + message);
  EXPECT_LE(answer.size(), 64u);
  EXPECT_LE(answer_to(address, "GET / HTTP/1.0\r\n\r\n").size(), 64u);
  EXPECT_EQ(serve(0), "");
}

TEST_F(KeyringTest, NobodyFallsBackToClearText) {
  const std::string address = parse_endpoint(endpoint_).address;
  for (const auto& own : {std::shared_ptr<const KeyPair>(), std::shared_ptr<const KeyPair>(eta_)}) {
    SocketOptions options;
    options.key = own;
    const auto socket = *Socket::make(clients_, SocketKind::dealer, options);
    EXPECT_CODE(socket->connect(address), Code::failed_precondition);
  }
}

TEST_F(KeyringTest, AKeyIsTheShardsThatItIsCalledAs) {
  const KeyRecord keys[] = {record("s0", *eta_, "shard", ""), record("r0", *zeta_, "router", "")};
  keyring_->take(keys, kNow);
  EXPECT_TRUE(keyring_->counts_as_shard(eta_->public_key(), "s0"));
  EXPECT_FALSE(keyring_->counts_as_shard(eta_->public_key(), "s1"));
  EXPECT_FALSE(keyring_->counts_as_shard(zeta_->public_key(), "r0")) << "that counts, as a router's";
  keyring_->take({}, kNow);
  EXPECT_FALSE(keyring_->counts_as_shard(eta_->public_key(), "s0"));
}

TEST_F(KeyringTest, NobodyCanAnswerInThePlaceOfWhomTheEndpointNames) {
  const KeyRecord keys[] = {record("eta", *eta_, "reader", "acme")};
  keyring_->take(keys, kNow);
  // A server with another key has taken over the address.
  const auto fooled = client(eta_, endpoint_text({parse_endpoint(endpoint_).address, zeta_->public_key()}));
  ask(*fooled);
  EXPECT_EQ(serve(kQuietUs), "") << "nothing was said to it";
}

TEST_F(KeyringTest, OnAPrivateFolderNobodyNeedsAKey) {
  const testing::TempDir dir;
  ASSERT_EQ(::chmod(dir.path().c_str(), 0700), 0);
  ASSERT_OK_AND_ASSIGN(const std::string endpoint, server_->bind("ipc://" + dir.path() + "/s"));
  EXPECT_EQ(parse_endpoint(endpoint).key, std::nullopt);
  const auto local = client(nullptr, endpoint);
  ask(*local);
  EXPECT_EQ(serve(), "local");
  // What is open to others is secured, on the same socket.
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
  if (!is_private("ipc://" + dir.path() + "/t")) {
    ASSERT_OK_AND_ASSIGN(const std::string open, server_->bind("ipc://" + dir.path() + "/t"));
    EXPECT_EQ(parse_endpoint(open).key, server_key_->public_key());
  }
}

TEST_F(KeyringTest, WithoutKeysEverybodyIsLocal) {
  auto plain = *Socket::make(context_, SocketKind::router);
  ASSERT_OK_AND_ASSIGN(const std::string endpoint, plain->bind("tcp://127.0.0.1:*"));
  server_ = std::move(plain);
  door_ = std::make_unique<Door>(nullptr);
  const auto one = client(eta_, endpoint);
  ask(*one);
  EXPECT_EQ(serve(), "local");
}

TEST_F(KeyringTest, OverANetworkNobodyIsLocalWhereThereAreKeys) {
  auto plain = *Socket::make(context_, SocketKind::router);
  ASSERT_OK_AND_ASSIGN(const std::string endpoint, plain->bind("tcp://127.0.0.1:*"));
  server_ = std::move(plain);
  const auto one = client(nullptr, endpoint);
  ask(*one);
  EXPECT_EQ(serve(), "nobody");
}

TEST(PrincipalOf, RolesAllowWhatTheyAreFor) {
  const auto pair = KeyPair::make();
  const auto of = [&](const std::string& role, bool all = false) {
    KeyRecord key = record("k", *pair, role, all ? "" : "acme");
    key.all_tenants = all;
    return principal_of(key);
  };
  struct Case {
    std::string role;
    bool read, publish, predict, manage;
  };
  const std::vector<Case> cases = {{"reader", true, false, false, false},
                                   {"publisher", true, true, false, false},
                                   {"predictor", false, false, true, false},
                                   {"admin", true, true, true, true},
                                   {"gardener", false, false, false, false}};
  for (const Case& c : cases) {
    const Principal one = of(c.role), all = of(c.role, true);
    for (const Principal* p : {&one, &all}) {
      EXPECT_EQ(p->may_read("acme"), c.read) << c.role;
      EXPECT_EQ(p->may_publish("acme"), c.publish) << c.role;
      EXPECT_EQ(p->may_predict("acme"), c.predict) << c.role;
      EXPECT_EQ(p->check_manage("acme").ok(), c.manage) << c.role;
    }
    EXPECT_FALSE(one.may_read("globex") || one.may_publish("globex") || one.may_predict("globex")) << c.role;
    EXPECT_EQ(all.may_read("globex"), c.read) << c.role;
    EXPECT_FALSE(one.may_operate() || one.may_serve() || one.may_route() || one.may_serve_as("k")) << c.role;
    EXPECT_EQ(all.may_operate(), c.role == "admin") << c.role;
  }
  const Principal router = principal_of(record("r", *pair, "router", "")),
                  shard = principal_of(record("s0", *pair, "shard", ""));
  // What is needed and no more: names of models, and for shards what answers; records and runs of tenants for neither.
  EXPECT_TRUE(router.may_follow("acme") && shard.may_follow("acme") && shard.may_hold("acme"));
  EXPECT_FALSE(router.may_hold("acme") || router.may_read("acme") || shard.may_read("acme"));
  EXPECT_OK(shard.check_hold());
  EXPECT_CODE(router.check_hold(), Code::permission_denied);
  EXPECT_TRUE(router.may_serve() && router.may_route() && router.may_predict("acme"));
  EXPECT_TRUE(shard.may_serve() && shard.may_serve_as("s0"));
  EXPECT_FALSE(router.may_serve_as("r") || router.may_operate() || router.may_publish("acme"));
  EXPECT_FALSE(shard.may_serve_as("s1") || shard.may_route() || shard.may_predict("acme") || shard.may_operate());
}

TEST(Endpoint, CarriesTheKeyOfWhoListensThere) {
  const auto pair = KeyPair::make();
  const std::string hex = pair->public_key().hex();
  const Endpoint secured = parse_endpoint("tcp://a.b:1#" + hex);
  EXPECT_EQ(secured.address, "tcp://a.b:1");
  EXPECT_EQ(secured.key, pair->public_key());
  EXPECT_EQ(endpoint_text(secured), "tcp://a.b:1#" + hex);
  const std::vector<std::string> plain = {"tcp://a.b:1", "ipc:///a#b", "tcp://a.b:1#" + hex.substr(1),
                                          "tcp://a.b:1#z" + hex.substr(1)};
  for (const std::string& text : plain) {
    EXPECT_EQ(parse_endpoint(text).address, text);
    EXPECT_FALSE(parse_endpoint(text).key) << text;
  }
}

TEST(Endpoint, IsPrivateWhereNobodyElseCanGo) {
  const testing::TempDir dir;
  const std::string inner = dir.path() + "/inner";
  ASSERT_EQ(::mkdir(inner.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(dir.path().c_str(), 0700), 0);
  EXPECT_TRUE(is_private("ipc://" + dir.path() + "/s"));
  EXPECT_TRUE(is_private("ipc://" + inner + "/s")) << "below a closed one";
  EXPECT_TRUE(is_private("inproc://a"));
  EXPECT_FALSE(is_private("tcp://127.0.0.1:1")) << "every user of the machine can connect there";
  EXPECT_FALSE(is_private("ipc://@abstract")) << "that is in no folder";
  EXPECT_FALSE(is_private("ipc:///tmp/espalier-test.sock"));
  // The same rule for both sides.
  EXPECT_CODE(check_connect("test", "tcp://127.0.0.1:1", false), Code::failed_precondition);
  EXPECT_CODE(check_connect("test", "ipc:///tmp/espalier-test.sock", false), Code::failed_precondition);
  EXPECT_CODE(check_connect("test", "smoke://signals", false), Code::invalid_argument);
  EXPECT_OK(check_connect("test", "tcp://127.0.0.1:1", true));
  EXPECT_OK(check_connect("test", "tcp://127.0.0.1:1#" + std::string(64, 'a'), false));
  EXPECT_OK(check_connect("test", "ipc://" + dir.path() + "/s", false));
  EXPECT_CODE(check_listen("test", "tcp://127.0.0.1:1", false, false), Code::failed_precondition);
  EXPECT_OK(check_listen("test", "tcp://127.0.0.1:1", true, false));
  EXPECT_OK(check_listen("test", "tcp://127.0.0.1:1", false, true));
  EXPECT_OK(check_listen("test", "ipc://" + dir.path() + "/s", false, false));
}

}  // namespace
}  // namespace espalier::wire
