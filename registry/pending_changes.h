// Batches that were applied and aren't written yet: the records that they put and removed, and a way to read these
// together with what lies below them.
//
// Thread safety: one thread. Ownership: a cursor shares the changes that it reads, and keeps them as they were: who
// changes them further does so in a copy.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "registry/store.h"

namespace espalier::registry {

class PendingChanges {
 public:
  /// By key: its value, or nothing where the record is removed.
  using Records = std::map<std::string, std::optional<std::string>, std::less<>>;

  bool is_empty() const { return !records_; }
  /// Of all keys and values that were put, those that were put again counted again.
  std::size_t bytes() const { return bytes_; }
  /// In the order of their keys.
  const Records& records() const;
  void put(std::string_view key, std::string_view value);
  void remove(std::string_view key);
  /// What was put under the key, nothing where it was removed; null where it wasn't touched.
  const std::optional<std::string>* find(std::string_view key) const;
  /// What `below` reads, with these changes as they are now.
  std::unique_ptr<Cursor> over(std::unique_ptr<Cursor> below) const;

 private:
  Records& own();

  std::shared_ptr<Records> records_;  ///< null: none
  std::size_t bytes_ = 0;
};

}  // namespace espalier::registry
