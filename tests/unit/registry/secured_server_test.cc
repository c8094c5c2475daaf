// The registry's socket with keys: each connection may do what its key may, and one tenant's key finds out nothing of
// another tenant, through any operation of the protocol.
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "registry/server.h"
#include "tests/unit/registry/registry_fixture.h"
#include "tests/unit/wire/sample_messages.h"
#include "wire/endpoint.h"

namespace espalier::registry {
namespace {

using nlohmann::json;
using Pair = std::shared_ptr<const KeyPair>;

class SecuredServerTest : public RegistryFixture {
 protected:
  SecuredServerTest() {
    server_ = *Server::make(*registry_, Clock::system(), context_, KeyPair::make());
    endpoint_ = *server_->bind("tcp://127.0.0.1:*");
  }
  ~SecuredServerTest() override {
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
    const Pair pair = KeyPair::make();
    const wire::KeyCreateRequest request{
        uuid('k', ++idem_),
        name,
        roles,
        tenant == "*" || tenant.empty() ? std::vector<std::string>{} : std::vector{tenant},
        tenant == "*",
        0,
        pair->public_key()};
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
  static void send(wire::Socket& socket, const std::string& header) {
    wire::Message message;
    message.emplace_back(std::string_view("id"));
    message.emplace_back(std::string_view(header));
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
  static std::string ask(wire::Socket& socket, const std::string& header) {
    send(socket, header);
    return receive(socket);
  }

  wire::Context context_;
  StopSignals stop_;
  std::unique_ptr<Server> server_;
  std::string endpoint_;
  std::thread thread_;
  std::uint32_t idem_ = 0;
};

/// Everything that can be asked, as the protocol's document shows it: the name of the operation and its header.
std::vector<std::pair<std::string, json>> all_requests() {
  std::vector<std::pair<std::string, json>> requests;
  for (const auto& [name, bytes] : wire::samples::all()) {
    if (!name.ends_with(".request")) continue;
    json header = json::from_msgpack(bytes);
    if (header.contains("wait_us")) header["wait_us"] = 0;
    requests.emplace_back(header.at("op").get<std::string>(), std::move(header));
  }
  return requests;
}

std::string packed(const json& header) {
  std::string bytes;
  json::to_msgpack(header, nlohmann::detail::output_adapter<char>(bytes));
  return bytes;
}

/// The same with another tenant and model; false: it names no tenant.
bool name_other(json& header, const std::string& tenant, const std::string& model) {
  json& about = header.contains("dataset") && header["dataset"].is_object() ? header["dataset"] : header;
  if (about.contains("model")) about["model"] = model;
  if (!about.contains("tenant")) return false;
  about["tenant"] = tenant;
  return true;
}

std::string without(std::string text, const std::string& word) {
  for (std::size_t at = 0; (at = text.find(word)) != std::string::npos;) text.erase(at, word.size());
  return text;
}

TEST_F(SecuredServerTest, AKeyOfOneTenantFindsOutNothingOfAnotherThroughAnyOperation) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));  // of acme, total: the other tenant here
  const Pair mallory = add_key("mallory", {"admin"}, "globex");
  start();
  const auto socket = connect(mallory);
  // Whoever may connect may ask for these; what they say is looked at below.
  const std::set<std::string> open = {"hello", "wait", "search", "models"};
  // Asked of routers and shards.
  const std::set<std::string> elsewhere = {"predict", "shard_status"};
  std::set<std::string> asked;
  for (const auto& [op, sample] : all_requests()) {
    SCOPED_TRACE(op);
    if (elsewhere.contains(op)) continue;
    asked.insert(op);
    std::set<std::string> texts;
    bool names_tenant = true;
    const std::vector<std::pair<std::string, std::string>> foreign = {
        {"acme", "total"}, {"acme", "absent"}, {"nobody", "total"}, {"nobody", "absent"}};
    for (const auto& [tenant, model] : foreign) {
      json header = sample;
      names_tenant = name_other(header, tenant, model);
      const std::string reply = ask(*socket, packed(header));
      const Status status = wire::peek_status(reply);
      if (names_tenant || !open.contains(op)) {
        EXPECT_CODE(status, Code::permission_denied) << tenant << "/" << model;
      }
      texts.insert(without(status.message(), tenant));
    }
    EXPECT_EQ(texts.size(), 1u) << "the same words, whatever is there: " << json(texts).dump();
    if (!open.contains(op)) continue;
    json header = sample;
    for (const char* member : {"tenant", "model", "epoch", "time_us", "cursor"}) header.erase(member);
    if (op == "search") header["where"] = "", header["order"] = "";
    const std::string reply = ask(*socket, packed(header));
    EXPECT_EQ(reply.find("acme"), std::string::npos);
    EXPECT_EQ(reply.find("total"), std::string::npos);
  }
  EXPECT_GE(asked.size(), 50u);
}

TEST_F(SecuredServerTest, EachOperationThatARegistryHasIsAmongTheSamples) {
  // What the walk above takes from the document is all there is: the server's own list says so.
  const Pair admin = add_key("root", {"admin"}, "*");
  start();
  const auto socket = connect(admin);
  for (const auto& [op, header] : all_requests()) {
    if (op == "predict" || op == "shard_status") continue;
    EXPECT_NE(wire::peek_status(ask(*socket, packed(header))).code(), Code::unimplemented) << op;
  }
}

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

}  // namespace
}  // namespace espalier::registry
