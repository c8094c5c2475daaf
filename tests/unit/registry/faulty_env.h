// LevelDB's environment with writes that fail where a test says.
//
// Thread safety: orders from one thread; LevelDB's own thread meets them too.
#pragma once

#include <leveldb/env.h>

#include <atomic>
#include <string>

namespace espalier::registry {

class FaultyEnv final : public leveldb::EnvWrapper {
 public:
  FaultyEnv() : EnvWrapper(leveldb::Env::Default()) {}

  /// The next append to a log writes half of its bytes and fails.
  void tear_next_append() { tear_appends_ = 1; }
  /// The next sync of a log fails; the bytes are in the file all the same.
  void fail_next_sync() { fail_syncs_ = 1; }
  /// Files whose path holds `part` can't be made: opening a database there fails.
  void refuse_new_files(bool refuse, const char* part = "") { refused_part_ = refuse ? part : nullptr; }

  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override {
    const char* refused = refused_part_;
    if (refused != nullptr && name.find(refused) != std::string::npos) return leveldb::Status::IOError(name, "refused");
    const leveldb::Status status = target()->NewWritableFile(name, file);
    if (status.ok() && name.ends_with(".log")) *file = new File(*file, *this);
    return status;
  }

 private:
  class File final : public leveldb::WritableFile {
   public:
    File(leveldb::WritableFile* real, FaultyEnv& env) : real_(real), env_(env) {}
    ~File() override { delete real_; }
    leveldb::Status Append(const leveldb::Slice& bytes) override {
      if (env_.tear_appends_ > 0 && bytes.size() > 7) {  // not the header alone
        --env_.tear_appends_;
        real_->Append(leveldb::Slice(bytes.data(), bytes.size() / 2));
        real_->Flush();
        return leveldb::Status::IOError("log", "No space left on device");
      }
      return real_->Append(bytes);
    }
    leveldb::Status Close() override { return real_->Close(); }
    leveldb::Status Flush() override { return real_->Flush(); }
    leveldb::Status Sync() override {
      if (env_.fail_syncs_ > 0) {
        --env_.fail_syncs_;
        real_->Flush();
        return leveldb::Status::IOError("log", "Input/output error");
      }
      return real_->Sync();
    }

   private:
    leveldb::WritableFile* real_;
    FaultyEnv& env_;
  };

  std::atomic<int> tear_appends_{0}, fail_syncs_{0};
  std::atomic<const char*> refused_part_{nullptr};
};

}  // namespace espalier::registry
