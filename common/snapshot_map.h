// An immutable map whose next edition shares with it all that did not change, so that a small release costs little in a
// large table.
//
//   SnapshotMap<Node>::Editor editor(map);
//   editor.set(std::make_shared<const Node>(...));
//   map = editor.finish();
//
// T has a member `key` (bytes). Entries lie in small buckets; an edition copies the buckets it touches and the list of
// them. Thread safety: a SnapshotMap is immutable: any number of threads may find() in it. Editions are made and
// destroyed on one thread, the one that counts the references; find() counts none.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "common/hash.h"

namespace espalier {

template <class T>
class SnapshotMap {
  struct Entry {
    std::uint64_t hash;
    std::shared_ptr<const T> value;
  };
  using Bucket = std::vector<Entry>;
  static constexpr std::size_t kEntriesPerBucket = 4;

 public:
  static std::uint64_t hash_of(std::string_view key) { return xxh3_64(key); }

  /// Valid as long as the map; null when there is none.
  const T* find(std::string_view key) const { return find(key, hash_of(key)); }
  const T* find(std::string_view key, std::uint64_t hash) const {
    if (buckets_.empty()) return nullptr;
    const Bucket* bucket = buckets_[hash & (buckets_.size() - 1)].get();
    if (bucket == nullptr) return nullptr;
    for (const Entry& entry : *bucket) {
      if (entry.hash == hash && entry.value->key == key) return entry.value.get();
    }
    return nullptr;
  }
  std::size_t size() const { return size_; }

  /// In no particular order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const auto& bucket : buckets_) {
      if (bucket == nullptr) continue;
      for (const Entry& entry : *bucket) visit(entry.value);
    }
  }

  /// The next edition under construction. Its cost is one pointer a bucket of the map and what is set or erased.
  class Editor {
   public:
    explicit Editor(const SnapshotMap& base) : map_(base), own_(base.buckets_.size(), nullptr) {}

    void set(std::shared_ptr<const T> value) {
      if (map_.size_ >= own_.size() * kEntriesPerBucket) grow();
      const std::uint64_t hash = hash_of(value->key);
      Bucket& bucket = writable(hash);
      for (Entry& entry : bucket) {
        if (entry.hash == hash && entry.value->key == value->key) {
          entry.value = std::move(value);
          return;
        }
      }
      bucket.push_back({hash, std::move(value)});
      ++map_.size_;
    }
    void erase(std::string_view key) {
      const std::uint64_t hash = hash_of(key);
      if (find(key) == nullptr) return;
      Bucket& bucket = writable(hash);
      std::erase_if(bucket, [&](const Entry& entry) { return entry.hash == hash && entry.value->key == key; });
      --map_.size_;
    }
    const T* find(std::string_view key) const { return map_.find(key); }
    template <class Visit>
    void for_each(Visit&& visit) const {
      map_.for_each(std::forward<Visit>(visit));
    }
    SnapshotMap finish() { return std::move(map_); }

   private:
    Bucket& writable(std::uint64_t hash) {
      const std::size_t place = hash & (own_.size() - 1);
      if (own_[place] == nullptr) {
        const auto& shared = map_.buckets_[place];
        auto copy = shared == nullptr ? std::make_shared<Bucket>() : std::make_shared<Bucket>(*shared);
        own_[place] = copy.get();
        map_.buckets_[place] = std::move(copy);
      }
      return *own_[place];
    }
    void grow() {
      const std::vector<std::shared_ptr<const Bucket>> before = std::move(map_.buckets_);
      const std::size_t count = own_.empty() ? 1 : own_.size() * 2;
      map_.buckets_.assign(count, nullptr);
      own_.assign(count, nullptr);
      for (const auto& bucket : before) {
        if (bucket == nullptr) continue;
        for (const Entry& entry : *bucket) writable(entry.hash).push_back(entry);
      }
    }

    SnapshotMap map_;
    std::vector<Bucket*> own_;  ///< buckets of this edition alone, null where shared
  };

 private:
  std::vector<std::shared_ptr<const Bucket>> buckets_;  ///< none or a power of two; null: empty
  std::size_t size_ = 0;
};

}  // namespace espalier
