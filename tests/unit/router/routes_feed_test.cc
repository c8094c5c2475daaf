#include "router/routes_feed.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/files.h"
#include "model/ids.h"
#include "tests/support/faulty_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/client/fake_registry.h"

namespace espalier::router {
namespace {

/// What a played registry says; changed under its mutex.
struct Said {
  std::mutex mutex;
  bool is_away = false;
  std::uint64_t generation = 1;
  std::uint64_t epoch = 5;
  std::vector<std::string> shards = {"s0"};
  std::vector<wire::Change> changes;  ///< each given once
};

/// A feed on a thread of its own, its file and a registry played by the test.
class RoutesFeedTest : public ::testing::Test {
 protected:
  ~RoutesFeedTest() override { end(); }

  wire::Message answer(const std::string& op) {
    std::lock_guard lock(said_.mutex);
    if (said_.is_away) return {};
    if (op == "hello") return reply(wire::HelloReply{said_.generation, said_.epoch, "0", ""});
    if (op == "view") {
      wire::ViewReply view{said_.generation, said_.epoch, {}};
      for (const std::string& name : said_.shards) view.view.shards.push_back({name, {"ipc:///" + name}, 1});
      return reply(view);
    }
    if (op == "models") {
      wire::ModelsReply models{said_.generation, said_.epoch, {}, {}};
      models.models.emplace_back();
      models.models.back().tenant = "acme";
      models.models.back().model = "total";
      models.models.back().levels = {"country"};
      return reply(models);
    }
    wire::FeedReply feed;
    feed.generation = said_.generation;
    feed.changes = std::move(said_.changes);
    said_.changes.clear();
    return reply(feed);
  }

  template <class Reply>
  static wire::Message reply(const Reply& reply) {
    return client::header_only(wire::encode_reply(Status(), reply));
  }

  /// What a router does from its start on: read the file, then follow the registry.
  void start() {
    live_ = std::make_unique<LiveRoutes>(std::make_unique<const Routes>(cluster::View{}));
    feed_.reset();
    stop_.reset();  // at most one lives
    stop_ = std::make_unique<StopSignals>();
    connections_.push_back(*client::RegistryClient::connect({registry_.endpoint()}, nullptr, true));
    published_ = ready_ = 0;
    RoutesEvents events;
    events.published = [this] { count(published_); };
    events.ready = [this] { count(ready_); };
    feed_ =
        std::make_unique<RoutesFeed>(*connections_.back(), *live_, &file_, *stop_, Clock::system(), std::move(events));
    feed_->restore();
    restored_ = live_->current().number;
    thread_ = std::thread([this] { feed_->run(); });
  }
  void end() {
    if (!thread_.joinable()) return;
    stop_->request();
    thread_.join();
  }

  void go_away() {
    std::lock_guard lock(said_.mutex);
    said_.is_away = true;
  }

  void count(int& what) {
    std::lock_guard lock(mutex_);
    ++what;
    changed_.notify_all();
  }
  void wait_for(const int& what, int least) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return what >= least; }));
  }
  /// The epoch of the file, or 0.
  std::uint64_t epoch_on_disk() {
    const auto loaded = RoutesFile(Files::system(), dir_.path() + "/routes").load();
    return loaded.ok() ? (*loaded)->epoch : 0;
  }

  Said said_;
  std::vector<std::unique_ptr<client::RegistryClient>> connections_;  ///< outlive the registry, which answers them
  client::FakeRegistry registry_{[this](const std::string& op, wire::Message&) { return answer(op); }};
  testing::TempDir dir_;
  testing::FaultyFiles files_;
  RoutesFile file_{files_, dir_.path() + "/routes"};
  std::unique_ptr<LiveRoutes> live_;
  std::unique_ptr<StopSignals> stop_;
  std::unique_ptr<RoutesFeed> feed_;
  std::uint64_t restored_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  int published_ = 0, ready_ = 0;  ///< guarded by mutex_
  std::thread thread_;
};

TEST_F(RoutesFeedTest, WithoutRegistryTheRoutesAreThoseOfTheLastRun) {
  start();
  wait_for(ready_, 1);
  end();
  EXPECT_EQ(restored_, 0u) << "there was no file";
  EXPECT_EQ(epoch_on_disk(), 5u);

  go_away();
  start();
  EXPECT_EQ(restored_, 1u) << "before the registry is asked";
  wait_for(ready_, 1);
  end();
  EXPECT_EQ(published_, 1);
  const Routes& routes = live_->current();
  EXPECT_EQ(routes.generation, 1u);
  EXPECT_EQ(routes.epoch, 5u);
  ASSERT_EQ(routes.view.shards.size(), 1u);
  EXPECT_EQ(routes.models.find(model::model_key("acme", "total"))->levels, 1u);
}

TEST_F(RoutesFeedTest, ARegistryOfAnotherGenerationReplacesWhatWasKept) {
  start();
  wait_for(ready_, 1);
  end();
  go_away();
  start();
  wait_for(ready_, 1);
  {
    std::lock_guard lock(said_.mutex);
    said_.is_away = false;
    said_.generation = 2;
    said_.epoch = 3;  // behind what was kept
    said_.shards = {"a", "b"};
  }
  wait_for(published_, 2);
  end();
  EXPECT_EQ(live_->current().generation, 2u);
  EXPECT_EQ(live_->current().view.shards.size(), 2u);
  EXPECT_EQ(epoch_on_disk(), 3u);
  EXPECT_EQ(ready_, 1);
}

TEST_F(RoutesFeedTest, ADamagedFileIsPassedOver) {
  ASSERT_OK(Files::system().replace(dir_.path() + "/routes", "ESPROUT1 and then something else"));
  start();
  EXPECT_EQ(restored_, 0u);
  wait_for(ready_, 1);
  end();
  EXPECT_EQ(epoch_on_disk(), 5u);
}

TEST_F(RoutesFeedTest, RoutesThatCouldNotBeWrittenAreWrittenLater) {
  files_.fail_all(Status(Code::resource_exhausted, "no space is left"));
  start();
  wait_for(ready_, 1);
  end();
  EXPECT_EQ(live_->current().epoch, 5u) << "answered from all the same";
  EXPECT_EQ(epoch_on_disk(), 0u);
  files_.heal();
  start();
  wait_for(ready_, 1);
  end();
  EXPECT_EQ(epoch_on_disk(), 5u);
}

TEST_F(RoutesFeedTest, NewRoutesAreWrittenWhileItRuns) {
  start();
  wait_for(ready_, 1);
  {
    std::lock_guard lock(said_.mutex);
    said_.epoch = 6;
    said_.shards = {"s0", "s1"};
    wire::Change change;
    change.previous = 5;
    change.epoch = 6;
    change.kind = wire::ChangeKind::view;
    said_.changes = {change};
  }
  wait_for(published_, 2);
  // Written between two answers of the registry, of which there are many.
  const std::int64_t until_us = Clock::system().monotonic_us() + 20'000'000;
  while (epoch_on_disk() != 6 && Clock::system().monotonic_us() < until_us) std::this_thread::yield();
  EXPECT_EQ(epoch_on_disk(), 6u);
}

}  // namespace
}  // namespace espalier::router
