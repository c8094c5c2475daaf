// The records of a stopped registry, changed one by one behind its back.
//
// Thread safety: one thread.
#pragma once

#include <gtest/gtest.h>
#include <leveldb/db.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace espalier::registry {

class RawStore {
 public:
  /// REQUIRES: nobody has the registry of that folder open.
  explicit RawStore(const std::string& registry_folder) {
    leveldb::DB* db = nullptr;
    const leveldb::Status status = leveldb::DB::Open({}, registry_folder + "/store", &db);
    EXPECT_TRUE(status.ok()) << status.ToString();
    db_.reset(db);
  }
  void put(const std::string& key, const std::string& value) { EXPECT_TRUE(db_->Put({}, key, value).ok()); }
  void remove(const std::string& key) { EXPECT_TRUE(db_->Delete({}, key).ok()); }
  std::map<std::string, std::string> all() const {
    std::map<std::string, std::string> records;
    const std::unique_ptr<leveldb::Iterator> at(db_->NewIterator({}));
    for (at->SeekToFirst(); at->Valid(); at->Next()) records[at->key().ToString()] = at->value().ToString();
    return records;
  }

 private:
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace espalier::registry
