#include "common/live_pointer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

namespace espalier {
namespace {

/// Knows how many of its kind live, and breaks its promise when it is read after its end.
struct Snapshot {
  explicit Snapshot(std::uint64_t number, std::atomic<int>& alive) : first(number), second(~number), alive(alive) {
    ++alive;
  }
  ~Snapshot() {
    first = second = 0;
    --alive;
  }
  bool is_whole() const { return first == ~second; }

  std::uint64_t first;
  std::uint64_t second;
  std::atomic<int>& alive;
};

TEST(LivePointer, ALeaseKeepsItsSnapshot) {
  std::atomic<int> alive{0};
  {
    LivePointer<Snapshot> live(std::make_unique<const Snapshot>(1, alive));
    LivePointer<Snapshot>::Reader reader(live);
    {
      const auto lease = reader.lease();
      live.publish(std::make_unique<const Snapshot>(2, alive));
      EXPECT_EQ(lease->first, 1u);
      EXPECT_EQ((*lease).first, 1u);
      EXPECT_EQ(live.current().first, 2u);
      EXPECT_EQ(live.collect(), 1u);
      EXPECT_EQ(alive, 2);
    }
    EXPECT_EQ(live.collect(), 0u);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(reader.lease()->first, 2u);
  }
  EXPECT_EQ(alive, 0);
}

TEST(LivePointer, UnleasedSnapshotsGoAtOnce) {
  std::atomic<int> alive{0};
  LivePointer<Snapshot> live(std::make_unique<const Snapshot>(0, alive));
  for (std::uint64_t i = 1; i < 100; ++i) {
    live.publish(std::make_unique<const Snapshot>(i, alive));
    EXPECT_EQ(alive, 1);
  }
}

TEST(LivePointer, EachReaderHoldsItsOwn) {
  std::atomic<int> alive{0};
  LivePointer<Snapshot> live(std::make_unique<const Snapshot>(0, alive));
  LivePointer<Snapshot>::Reader one(live);
  std::optional<LivePointer<Snapshot>::Reader> two(std::in_place, live);
  {
    const auto first = one.lease();
    live.publish(std::make_unique<const Snapshot>(1, alive));
    const auto second = two->lease();
    live.publish(std::make_unique<const Snapshot>(2, alive));
    EXPECT_EQ(first->first, 0u);
    EXPECT_EQ(second->first, 1u);
    EXPECT_EQ(alive, 3);
  }
  two.reset();
  LivePointer<Snapshot>::Reader three(live);
  EXPECT_EQ(three.lease()->first, 2u);
  EXPECT_EQ(live.collect(), 0u);
}

TEST(LivePointer, ReadersNeverSeeADestroyedOrOlderSnapshot) {
  constexpr std::uint64_t kPublished = 2000;
  constexpr int kReaders = 4;
  std::atomic<int> alive{0};
  std::atomic<std::uint64_t> broken{0};
  std::atomic<int> running{0};
  {
    LivePointer<Snapshot> live(std::make_unique<const Snapshot>(0, alive));
    std::vector<std::thread> threads;
    for (int i = 0; i < kReaders; ++i) {
      threads.emplace_back([&] {
        LivePointer<Snapshot>::Reader reader(live);
        ++running;
        for (std::uint64_t last = 0; last < kPublished;) {
          const auto lease = reader.lease();
          if (!lease->is_whole() || lease->first < last) ++broken;
          last = lease->first;
        }
      });
    }
    while (running < kReaders) std::this_thread::yield();
    for (std::uint64_t i = 1; i <= kPublished; ++i) {
      live.publish(std::make_unique<const Snapshot>(i, alive));
      EXPECT_LE(alive, kReaders + 1);
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(live.collect(), 0u);
  }
  EXPECT_EQ(broken, 0u);
  EXPECT_EQ(alive, 0);
}

TEST(LivePointer, ReadersComeAndGoWhileItIsPublished) {
  std::atomic<int> alive{0};
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> broken{0};
  LivePointer<Snapshot> live(std::make_unique<const Snapshot>(0, alive));
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!done) {
        LivePointer<Snapshot>::Reader reader(live);
        if (!reader.lease()->is_whole()) ++broken;
      }
    });
  }
  for (std::uint64_t i = 1; i <= 500; ++i) live.publish(std::make_unique<const Snapshot>(i, alive));
  done = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(broken, 0u);
}

}  // namespace
}  // namespace espalier
