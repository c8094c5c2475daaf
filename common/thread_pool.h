// A fixed number of threads that share the indices of a loop.
//
// The work is given out one index at a time, so that uneven pieces balance; a result belongs at its index's place,
// which makes it the same whatever the number of threads.
//
// Thread safety: parallel_for() from one thread at a time, and not from inside a body. Ownership: the threads are
// joined by the destructor. Errors: a body must not throw; it leaves its Status at its index.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace espalier {

class ThreadPool {
 public:
  /// `threads` counts the caller of parallel_for(); 0 means one a core.
  explicit ThreadPool(std::size_t threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// How many bodies run at once at most; also the number of worker numbers.
  std::size_t size() const { return threads_.size() + 1; }

  /// Calls body(index) or body(index, worker) for every index below `count`, on all threads and the caller's; returns
  /// when all calls have. What they wrote is then visible to the caller. `worker` < size() names the thread, for
  /// scratch memory.
  template <class Body>
  void parallel_for(std::size_t count, Body&& body) {
    if constexpr (std::is_invocable_v<Body&, std::size_t, std::size_t>) {
      run(count, [&body](std::size_t index, std::size_t worker) { body(index, worker); });
    } else {
      run(count, [&body](std::size_t index, std::size_t) { body(index); });
    }
  }

 private:
  using Task = std::function<void(std::size_t index, std::size_t worker)>;

  void run(std::size_t count, const Task& task);
  void work(std::size_t worker);
  void take_indices(const Task& task, std::size_t count, std::size_t worker) noexcept;

  std::vector<std::thread> threads_;
  std::atomic<std::size_t> next_index_{0};
  std::mutex mutex_;
  std::condition_variable started_;
  std::condition_variable finished_;
  // Guarded by mutex_.
  const Task* task_ = nullptr;
  std::size_t count_ = 0;
  std::size_t loop_ = 0;  ///< number of the current loop; a worker joins each once
  std::size_t busy_ = 0;  ///< workers that have not finished the current loop
  bool stopping_ = false;
};

}  // namespace espalier
