#include "common/thread_pool.h"

#include <algorithm>
#include <cassert>

namespace espalier {

ThreadPool::ThreadPool(std::size_t threads) {
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  threads_.reserve(threads - 1);
  for (std::size_t worker = 1; worker < threads; ++worker) {
    threads_.emplace_back([this, worker] { work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  started_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(std::size_t count, const Task& task) {
  if (count == 0) return;
  if (threads_.empty() || count == 1) {
    for (std::size_t index = 0; index < count; ++index) task(index, 0);
    return;
  }
  {
    std::lock_guard lock(mutex_);
    assert(task_ == nullptr && "one loop at a time");
    next_index_.store(0, std::memory_order_relaxed);
    task_ = &task;
    count_ = count;
    busy_ = threads_.size();
    ++loop_;
  }
  started_.notify_all();
  take_indices(task, count, 0);
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return busy_ == 0; });
  task_ = nullptr;
}

void ThreadPool::work(std::size_t worker) {
  std::size_t joined = 0;
  for (;;) {
    const Task* task = nullptr;
    std::size_t count = 0;
    {
      std::unique_lock lock(mutex_);
      started_.wait(lock, [&] { return stopping_ || loop_ != joined; });
      if (stopping_) return;
      joined = loop_;
      task = task_;
      count = count_;
    }
    take_indices(*task, count, worker);
    std::lock_guard lock(mutex_);
    if (--busy_ == 0) finished_.notify_one();
  }
}

void ThreadPool::take_indices(const Task& task, std::size_t count, std::size_t worker) noexcept {
  for (;;) {
    const std::size_t index = next_index_.fetch_add(1, std::memory_order_relaxed);
    if (index >= count) return;
    task(index, worker);
  }
}

}  // namespace espalier
