// A process's keys are the registry's, and the last known ones while it is away.
#include "client/key_watch.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/client/fake_registry.h"

namespace espalier::client {
namespace {

wire::KeyRecord key_named(const std::string& name, const PublicKey& half) {
  wire::KeyRecord key;
  key.name = name;
  key.roles = {"reader"};
  key.all_tenants = true;
  key.halves = {{half, 0}};
  return key;
}

class KeyWatchTest : public ::testing::Test {
 protected:
  wire::Message answer(const std::string& op, wire::Message& message) {
    std::lock_guard lock(mutex_);
    if (is_away_ || op != "keys") return {};
    const auto request = wire::decode<wire::KeysRequest>(message[2].view());
    EXPECT_OK(request);
    ++asked_;
    changed_.notify_all();
    wire::KeysReply reply = keys_;
    reply.unchanged = request->generation == keys_.generation && request->after == keys_.epoch;
    if (reply.unchanged) reply.keys.clear();
    return header_only(wire::encode_reply(Status(), reply));
  }
  void say(std::vector<wire::KeyRecord> keys) {
    std::lock_guard lock(mutex_);
    keys_.generation = 1;
    ++keys_.epoch;
    keys_.keys = std::move(keys);
  }
  std::unique_ptr<KeyWatch> start() {
    auto watch = KeyWatch::start(context_, {"test", {registry_.endpoint()}, nullptr, dir_.path() + "/keys", true},
                                 Files::system(), Clock::system());
    EXPECT_OK(watch);
    return *std::move(watch);
  }
  void wait_for_questions(int count) {
    std::unique_lock lock(mutex_);
    const int until = asked_ + count;
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return asked_ >= until; }));
  }
  /// Asked again after an answer, whoever asks has taken it up.
  void wait_until_taken_up() { wait_for_questions(2); }

  testing::TempDir dir_;
  const PublicKey one_ = KeyPair::make()->public_key(), other_ = KeyPair::make()->public_key();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_away_ = false;
  int asked_ = 0;
  wire::KeysReply keys_;
  wire::Context context_;
  FakeRegistry registry_{[this](const std::string& op, wire::Message& message) { return answer(op, message); }};
};

TEST_F(KeyWatchTest, FollowsTheRegistry) {
  say({key_named("one", one_)});
  const auto watch = start();
  wait_until_taken_up();
  EXPECT_TRUE(watch->keyring().counts(one_));
  EXPECT_FALSE(watch->keyring().counts(other_));
  auto revoked = key_named("one", one_);
  revoked.revoked_us = 1;
  say({key_named("other", other_), revoked});
  wait_until_taken_up();
  EXPECT_FALSE(watch->keyring().counts(one_));
  EXPECT_TRUE(watch->keyring().counts(other_));
}

TEST_F(KeyWatchTest, AKeyEndsAtItsTimeThoughTheRegistryIsAway) {
  auto ending = key_named("one", one_);
  ending.expires_us = Clock::system().wall_us() + 1'500'000;
  say({ending, key_named("other", other_)});
  const auto watch = start();
  wait_until_taken_up();
  {
    std::lock_guard lock(mutex_);
    is_away_ = true;
  }
  while (watch->keyring().counts(one_)) std::this_thread::yield();
  const std::int64_t late_us = Clock::system().wall_us() - ending.expires_us;
  RecordProperty("late_us", std::to_string(late_us));
  EXPECT_GE(late_us, 0);
  EXPECT_LT(late_us, 300'000) << "and not only after the registry was waited for";
  EXPECT_TRUE(watch->keyring().counts(other_));
}

TEST_F(KeyWatchTest, KnowsAfterARestartWhatItKnewBefore) {
  say({key_named("one", one_)});
  {
    const auto watch = start();
    wait_until_taken_up();
  }
  {
    std::lock_guard lock(mutex_);
    is_away_ = true;
  }
  wire::Context another;
  const auto watch = KeyWatch::start(another, {"test", {registry_.endpoint()}, nullptr, dir_.path() + "/keys", true},
                                     Files::system(), Clock::system());
  ASSERT_OK(watch);
  EXPECT_TRUE((*watch)->keyring().counts(one_)) << "from its file, though nobody answers";
}

TEST_F(KeyWatchTest, AKeyThatEndsByItselfNeedsNoNews) {
  auto ending = key_named("one", one_);
  ending.expires_us = Clock::system().wall_us() + 300'000;
  say({ending});
  const auto watch = start();
  wait_until_taken_up();
  const auto over = [&] { return Clock::system().wall_us() > ending.expires_us + 100'000; };
  while (!over()) wait_for_questions(1);
  wait_until_taken_up();
  EXPECT_FALSE(watch->keyring().counts(one_));
}

TEST_F(KeyWatchTest, AFileThatDoesNotHoldIsNotBelieved) {
  wire::KeysReply keys;
  keys.generation = 7;
  keys.epoch = 9;
  keys.keys = {key_named("one", one_)};
  const std::string bytes = encode_keys(keys);
  ASSERT_OK_AND_ASSIGN(const auto read, decode_keys(bytes));
  EXPECT_EQ(read.epoch, 9u);
  EXPECT_EQ(read.keys.at(0).halves.at(0).key, one_);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_CODE(decode_keys(damaged), Code::corrupt) << i;
    EXPECT_CODE(decode_keys(bytes.substr(0, i)), Code::corrupt) << i;
  }
}

}  // namespace
}  // namespace espalier::client
