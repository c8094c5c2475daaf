#include "router/backends.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "common/clock.h"
#include "common/log.h"
#include "common/scheduling.h"
#include "tests/support/status_matchers.h"

namespace espalier::router {
namespace {

cluster::View view_of(std::vector<std::vector<std::string>> endpoints) {
  cluster::View view;
  for (std::size_t i = 0; i < endpoints.size(); ++i) view.shards.push_back({"s" + std::to_string(i), endpoints[i], 1});
  return view;
}

/// Takes all sockets that the context has.
std::vector<std::unique_ptr<wire::Socket>> use_up(wire::Context& context) {
  std::vector<std::unique_ptr<wire::Socket>> sockets;
  for (;;) {
    auto socket = wire::Socket::make(context, wire::SocketKind::dealer);
    if (!socket.ok()) return sockets;
    sockets.push_back(*std::move(socket));
  }
}

TEST(Backends, WhatCouldNotBeConnectedIsTriedAgain) {
  raise_open_files_limit();
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  auto others = use_up(context);
  ASSERT_FALSE(others.empty());
  std::int64_t now_us = 1'000'000;
  backends.take_view(view_of({{"tcp://127.0.0.1:1"}}), now_us);
  const std::uint32_t shard = backends.shard_at(0);
  std::uint32_t number = 0;
  ASSERT_EQ(backends.size(), 1u);
  EXPECT_FALSE(backends.is_open(0));
  EXPECT_EQ(backends.choose(shard, number), nullptr);
  EXPECT_TRUE(backends.candidate(shard).is_suspect) << "asked only where no other is left";

  std::int64_t longest_us = 0;
  for (int i = 0; i < 12; ++i) {
    const std::int64_t wait_us = backends.next_us(now_us);
    ASSERT_GT(wait_us, 0);
    EXPECT_GE(wait_us, longest_us) << "waits grow";
    longest_us = wait_us;
    now_us += wait_us;
    backends.tend(now_us);
    EXPECT_FALSE(backends.is_open(0));
  }
  EXPECT_LE(longest_us, 1'000'000);

  others.clear();  // given back by a thread of ZeroMQ's
  const std::int64_t until_us = Clock::system().monotonic_us() + 20'000'000;
  while (!backends.is_open(0) && Clock::system().monotonic_us() < until_us) {
    now_us += longest_us;
    backends.tend(now_us);
  }
  ASSERT_TRUE(backends.is_open(0));
  EXPECT_EQ(backends.next_us(now_us), -1);
  EXPECT_EQ(backends.choose(shard, number), &backends.at(0));
  EXPECT_EQ(backends.size(), 1u) << "in the place that was kept for it";
}

TEST(Backends, AShardIsAskedOnlyWhereItsOwnKeyIs) {
  wire::Context context;
  const auto own = KeyPair::make(), s0 = KeyPair::make(), r1 = KeyPair::make();
  const auto keyring = *wire::Keyring::make(context);
  const auto record = [](const std::string& name, const KeyPair& pair, const std::string& role) {
    wire::KeyRecord key;
    key.name = name;
    key.roles = {role};
    key.halves = {{pair.public_key(), 0}};
    return key;
  };
  const std::vector<wire::KeyRecord> keys = {record("s0", *s0, "shard"), record("r1", *r1, "router")};
  keyring->take(keys, 1);
  Backends backends(context, Limits{}, own, keyring.get());
  const auto at = [](int port, const KeyPair& pair) {
    return "tcp://127.0.0.1:" + std::to_string(port) + "#" + pair.public_key().hex();
  };
  // s1 with the key of s0, and with a router's: each counts, but not as s1's.
  backends.take_view(view_of({{at(1, *s0)}, {at(2, *s0), at(3, *r1), "tcp://127.0.0.1:4"}}), 0);
  ASSERT_EQ(backends.size(), 4u);
  EXPECT_TRUE(backends.is_open(0));
  EXPECT_FALSE(backends.is_open(1) || backends.is_open(2));
  EXPECT_FALSE(backends.is_open(3)) << "nor is it asked in clear text";
  std::uint32_t number = 0;
  EXPECT_EQ(backends.choose(backends.shard_at(1), number), nullptr);
  // The same endpoint as another shard's: its connection is ended at the next look.
  backends.take_view(view_of({{at(5, *s0)}, {at(1, *s0)}}), 10);
  EXPECT_EQ(backends.check_keys(20), std::vector<std::uint32_t>{0});
  EXPECT_FALSE(backends.is_open(0));
}

TEST(Backends, WhatCannotBeConnectedLeavesTheOthersAlone) {
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  backends.take_view(view_of({{"nonsense", "tcp://127.0.0.1:1"}, {"also nonsense"}}), 0);
  std::uint32_t number = 0;
  const Backend* chosen = backends.choose(backends.shard_at(0), number);
  ASSERT_NE(chosen, nullptr);
  EXPECT_EQ(chosen->endpoint, "tcp://127.0.0.1:1");
  EXPECT_EQ(backends.choose(backends.shard_at(1), number), nullptr);
  // Another view without it: nothing is left to try.
  backends.take_view(view_of({{"tcp://127.0.0.1:1"}}), 10);
  backends.tend(10'000'000);
  EXPECT_EQ(backends.next_us(10'000'000), -1);
  // And back again: a place of its own, so that no late reply is taken for one of it.
  backends.take_view(view_of({{"nonsense", "tcp://127.0.0.1:1"}}), 20'000'000);
  EXPECT_EQ(backends.size(), 4u);
  EXPECT_GT(backends.next_us(20'000'000), 0);
}

TEST(Backends, ASilentOneIsGreetedUntilItIsHeard) {
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  auto shard = *wire::Socket::make(context, wire::SocketKind::router);
  const auto bound = shard->bind("tcp://127.0.0.1:*");
  ASSERT_OK(bound);
  backends.take_view(view_of({{*bound}}), 0);
  EXPECT_EQ(backends.next_us(0), -1);
  backends.missed(backends.at(0), 50, 100);
  EXPECT_EQ(backends.next_us(100), 0);
  backends.tend(100);
  EXPECT_GT(backends.next_us(100), 0);
  wire::Poller poller;
  poller.add(*shard);
  ASSERT_TRUE(poller.wait(20'000'000));
  wire::Message message;
  ASSERT_OK(shard->receive(message));
  ASSERT_EQ(message.size(), 3u);
  EXPECT_EQ(message[1].size(), sizeof(ShardRequestId));
  backends.heard(backends.at(0), 200);
  backends.tend(10'000'000);
  EXPECT_EQ(backends.next_us(10'000'000), -1);
}

TEST(Backends, ALargeMessageCountsWithAllTheTimeItTook) {
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  auto shard = *wire::Socket::make(context, wire::SocketKind::router);
  const auto bound = shard->bind("tcp://127.0.0.1:*");
  ASSERT_OK(bound);
  backends.take_view(view_of({{*bound}}), 0);
  Backend& backend = backends.at(0);
  backends.sends(backend);
  for (int i = 0; i < 60; ++i) backend.flow.send(1000, 100'000);
  std::int64_t now_us = 0;
  backends.watch(now_us);
  for (std::uint32_t message = 1; message <= 50; ++message) {
    for (int look = 0; look < 5; ++look) {
      if (look == 4) {
        backend.flow.hear(message);
        backends.heard(backend, now_us);
      }
      backends.watch(now_us += 10'000);
    }
  }
  EXPECT_NEAR(backend.pace, 0.5, 0.01) << "50 ms for what was said to take 100 ms";
}

TEST(Backends, WhatWasLetGoOfHoldsNoMemoryForMessages) {
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  backends.take_view(view_of({{"tcp://127.0.0.1:1"}}), 0);
  Backend& backend = backends.at(0);
  EXPECT_GT(backend.flow.memory_bytes(), 0u);
  backend.flow.send(100);
  backend.open_attempts = 1;
  backends.take_view(view_of({{"tcp://127.0.0.1:2"}}), 0);
  EXPECT_GT(backend.flow.memory_bytes(), 0u) << "somebody waits for its answer";
  backend.open_attempts = 0;
  backends.sweep();
  EXPECT_FALSE(backends.is_open(0));
  EXPECT_EQ(backend.flow.memory_bytes(), 0u);
  EXPECT_TRUE(backends.is_full(backend)) << "nothing is sent to it";
  backend.flow.hear(1);
  EXPECT_EQ(backend.flow.in_flight(), 0u);
}

TEST(Backends, WhatCannotBeConnectedIsNotLoggedAtEachTry) {
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  log::forget_repeats();
  ::testing::internal::CaptureStderr();
  std::int64_t now_us = 0;
  backends.take_view(view_of({{"nonsense"}}), now_us);
  for (int i = 1; i < 100; ++i) {
    now_us += backends.next_us(now_us);
    backends.tend(now_us);
  }
  EXPECT_EQ(backends.at(0).failed_tries, 100u);
  const std::string lines = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::ranges::count(lines, '\n'), 7) << "at 1, 2, 4, … 64:\n" << lines;
}

TEST(Backends, OneThatIsFullOfWhatWasLostIsGreetedThoughItWasHeardSince) {
  wire::Context context;
  const Limits limits{4, 1000, 10, 5};
  Backends backends(context, limits, nullptr, nullptr, true);
  auto shard = *wire::Socket::make(context, wire::SocketKind::router);
  const auto bound = shard->bind("tcp://127.0.0.1:*");
  ASSERT_OK(bound);
  backends.take_view(view_of({{*bound}}), 0);
  Backend& backend = backends.at(0);
  for (const std::uint32_t bytes : {10u, 10u, 2000u}) backend.flow.send(bytes);
  backends.heard(backend, 60);
  backend.flow.hear(1);
  ASSERT_TRUE(backends.is_full(backend));
  std::int64_t now_us = 100;
  backends.missed(backend, 50, now_us);
  EXPECT_FALSE(backend.is_suspect);
  for (int i = 0; i < 5; ++i) {  // the first ones are lost as well
    now_us += backends.next_us(now_us);
    backends.tend(now_us);
    ASSERT_GT(backends.next_us(now_us), 0);
    backends.heard(backend, now_us);
  }
  backend.flow.send(10);
  wire::Poller poller;
  poller.add(*shard);
  ASSERT_TRUE(poller.wait(20'000'000));
  wire::Message hello;
  ASSERT_OK(shard->receive(hello));
  ShardRequestId id;
  ASSERT_EQ(hello.at(1).size(), sizeof id);
  std::memcpy(&id, hello[1].view().data(), sizeof id);
  backends.heard(backend, now_us);
  backend.flow.hear(id.number);
  EXPECT_FALSE(backends.is_full(backend));
  EXPECT_EQ(backend.flow.in_flight(), 1u) << "what was sent after the hello";
  now_us += backends.next_us(now_us);
  backends.tend(now_us);
  EXPECT_EQ(backends.next_us(now_us), -1);
}

}  // namespace
}  // namespace espalier::router
