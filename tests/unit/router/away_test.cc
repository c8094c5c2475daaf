// Who answers where those that hold a part are away, and how a request comes back to a shard that lost it.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "router/backends.h"
#include "router/retry_policy.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/router/router_fixture.h"

namespace espalier::router {
namespace {

constexpr std::int64_t kLookUs = 10'000;

class AwayTest : public RouterTest {
 protected:
  explicit AwayTest(int shards = 4, const Limits& limits = {}) : RouterTest(limits, shards) {}

  static wire::PredictHeader header_of(const wire::Message& request) {
    wire::PredictHeader header;
    EXPECT_OK(wire::decode_predict(request[2].view(), header));
    return header;
  }
  void refuse_with(wire::Socket& shard, wire::Message& request, Code code) {
    request.resize(2);
    request.emplace_back(wire::encode_error(Status(code, "played"), 0));
    EXPECT_OK(shard.send(request));
  }
  std::size_t place_of(const wire::Socket& shard) const {
    std::size_t place = 0;
    while (shards_[place].get() != &shard) ++place;
    return place;
  }
  /// asked(), while time goes on.
  wire::Socket& asked_meanwhile(wire::Message& request) {
    wire::Poller poller;
    for (const auto& shard : shards_) poller.add(*shard);
    for (int i = 0; i < 5000 && !poller.wait(0); ++i) advance(kLookUs);
    return asked(request);
  }
  /// The two that hold the leaf that ask() asks for, by their places.
  std::pair<std::size_t, std::size_t> owners() {
    ask("who", 600 * kSecondUs);
    wire::Message request;
    wire::Socket& first = asked(request);
    refuse(first, request);
    wire::Socket& second = asked(request);
    answer(second, request);
    expect_answer("who");
    return {place_of(first), place_of(second)};
  }
  bool is_owner(const wire::Socket& shard, const std::pair<std::size_t, std::size_t>& owners) const {
    const std::size_t place = place_of(shard);
    return place == owners.first || place == owners.second;
  }
};

TEST_F(AwayTest, WhereAllThatHoldItRefuseOneOfTheOthersAnswersInTheirStead) {
  const auto held_by = owners();
  ask("a", 60 * kSecondUs);
  wire::Message request;
  for (int i = 0; i < 2; ++i) {
    wire::Socket& owner = asked(request);
    EXPECT_TRUE(is_owner(owner, held_by));
    EXPECT_FALSE(header_of(request).stand_in);
    refuse(owner, request);
  }
  for (int i = 0; i < 2; ++i) {
    wire::Socket& other = asked(request);
    EXPECT_FALSE(is_owner(other, held_by));
    EXPECT_TRUE(header_of(request).stand_in);
    EXPECT_EQ(header_of(request).attempt, 3u + i);
    i == 0 ? refuse(other, request) : answer(other, request);
  }
  expect_answer("a");
}

TEST_F(AwayTest, WhatAllThatHoldItKnowNothingOfIsNotAskedOfOthers) {
  ask("a", 60 * kSecondUs);
  wire::Message request;
  for (int i = 0; i < 2; ++i) refuse_with(asked(request), request, Code::not_found);
  expect_failure("a", Code::not_found);
  go_round();
  for (const auto& shard : shards_) EXPECT_TRUE(requests_at(*shard).empty());
}

TEST_F(AwayTest, ThoseThatAreGoneAreNotWaitedFor) {
  const auto held_by = owners();
  const wire::Socket* gone[] = {shards_[held_by.first].get(), shards_[held_by.second].get()};
  for (auto& shard : shards_) {
    if (shard.get() == gone[0] || shard.get() == gone[1]) {
      shard = *wire::Socket::make(context_, wire::SocketKind::router);  // nobody can reach it
    }
  }
  bool is_direct = false;
  for (int i = 0; i < 100 && !is_direct; ++i) {
    ask("a", 3 * kSecondUs);
    wire::Message request;
    wire::Socket& other = asked_meanwhile(request);
    EXPECT_TRUE(header_of(request).stand_in);
    is_direct = header_of(request).attempt == 1;
    answer(other, request);
    expect_answer("a");
  }
  EXPECT_TRUE(is_direct) << "without asking those first";
}

TEST_F(AwayTest, ThoseThatAreSilentAreWaitedForAtFirst) {
  const auto held_by = owners();
  ask("a", 600 * kSecondUs);
  wire::Message request;
  EXPECT_TRUE(is_owner(asked(request), held_by));
  for (int i = 0; i < 12; ++i) advance(kLookUs);
  EXPECT_TRUE(is_owner(asked(request), held_by));
  for (int i = 0; i < 12; ++i) advance(kLookUs);
  wire::Socket& stand_in = asked(request);
  EXPECT_FALSE(is_owner(stand_in, held_by)) << "neither is heard";
  answer(stand_in, request);
  expect_answer("a");
  ask("b", 600 * kSecondUs);
  EXPECT_TRUE(is_owner(asked(request), held_by)) << "they may be back soon";
  for (int i = 0; i < 120; ++i) advance(kLookUs);
  for (auto& shard : shards_) requests_at(*shard);
  ask("c", 600 * kSecondUs);
  wire::Socket& other = asked(request);
  EXPECT_FALSE(is_owner(other, held_by)) << "they have been silent for a second";
  EXPECT_EQ(header_of(request).attempt, 1u);
}

TEST_F(AwayTest, AClientMayNotAskForAStandIn) {
  wire::PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.parts = {{{"usa"}, "", 1}};
  const std::string client_header = wire::encode(request);
  wire::PredictHeader header;
  ASSERT_OK(wire::decode_predict(client_header, header));
  header.stand_in = true;
  std::string encoded;
  wire::encode_predict(header, encoded);
  const wire::NamedRow row;
  send({"a", encoded, wire::encode_rows({&row, 1})});
  expect_failure("a", Code::invalid_argument);
}

/// Two shards; nobody is suspected for a silence of less than a second.
class LostTest : public AwayTest {
 protected:
  LostTest() : AwayTest(2) {}

  /// What the shard is sent next: a prediction, hellos being answered. Time goes on meanwhile.
  wire::Message next_prediction(wire::Socket& shard) {
    for (int i = 0; i < 5000; ++i) {
      wire::Poller poller;
      poller.add(shard);
      if (!poller.wait(0)) {
        advance(kLookUs);
        continue;
      }
      wire::Message message = receive(shard);
      if (*wire::peek_op(message[2].view()) == "predict") return message;
      message.resize(2);
      message.emplace_back(wire::encode_reply(Status(), wire::HelloReply{1, 1, "0", "played"}));
      EXPECT_OK(shard.send(message));
    }
    ADD_FAILURE() << "it isn't asked";
    return {};
  }
};

TEST_F(LostTest, AShardThatComesBackIsAskedForWhatItLost) {
  ask("a", 600 * kSecondUs);
  wire::Message request;
  wire::Socket& dies = asked(request);
  const std::size_t place = place_of(dies);
  wire::Socket& hangs = *shards_[1 - place];
  const std::string endpoint = cluster_endpoints_[place];
  shards_[place].reset();
  wire::Poller other;
  other.add(hangs);
  for (int i = 0; i < 5000 && !other.wait(0); ++i) advance(kLookUs);
  shards_[place] = *wire::Socket::make(context_, wire::SocketKind::router);
  ASSERT_OK(shards_[place]->bind(endpoint));
  request = next_prediction(*shards_[place]);
  ASSERT_EQ(request.size(), 4u);
  EXPECT_GE(header_of(request).attempt, 3u);
  answer(*shards_[place], request);
  expect_answer("a");
}

TEST(Away, OthersAreNeededOnceNobodyIsLeftToWaitFor) {
  const Candidate answers{.shard = 1}, away{.shard = 2, .is_suspect = true, .is_away = true},
      silent{.shard = 3, .is_suspect = true}, tried{.shard = 4, .was_tried = true}, full{.shard = 5, .is_full = true};
  const struct {
    std::vector<Candidate> placed;
    bool are_needed;
  } cases[] = {{{answers, away}, false}, {{away, away}, true},   {{tried, away}, true}, {{tried, tried}, true},
               {{tried, silent}, false}, {{tried, full}, false}, {{away, full}, false}};
  for (const auto& c : cases)
    EXPECT_EQ(needs_stand_ins(c.placed), c.are_needed) << c.placed[0].shard << c.placed[1].shard;
}

}  // namespace
}  // namespace espalier::router
