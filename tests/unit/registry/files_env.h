// LevelDB's environment on Files: what FaultyFiles makes of its writes, syncs, renames and removals happens to the
// database too, and calls of packs and database count together.
//
// Thread safety: as the Files; orders from the thread that writes. Ownership: files outlive it.
#pragma once

#include <leveldb/env.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "common/files.h"

namespace espalier::registry {

class FilesEnv final : public leveldb::EnvWrapper {
 public:
  explicit FilesEnv(Files& files) : EnvWrapper(leveldb::Env::Default()), files_(files) {}

  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override {
    *file = nullptr;
    if (files_.exists(name)) {
      if (const Status removed = files_.remove(name); !removed.ok()) return translate(removed);
    }
    return open(name, file);
  }
  leveldb::Status NewAppendableFile(const std::string& name, leveldb::WritableFile** file) override {
    return open(name, file);
  }
  leveldb::Status RemoveFile(const std::string& name) override { return translate(files_.remove(name)); }
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override {
    return translate(files_.rename(from, to));
  }

 private:
  static leveldb::Status translate(const Status& status) {
    if (status.ok()) return leveldb::Status::OK();
    const bool is_full = status.code() == Code::resource_exhausted;
    return leveldb::Status::IOError(std::string(status.message()),
                                    is_full ? "No space left on device" : "Input/output error");
  }

  /// As that of LevelDB, which keeps what is appended until it is flushed.
  class Appended final : public leveldb::WritableFile {
   public:
    Appended(std::unique_ptr<File> file, std::uint64_t end, std::string folder, Files& files)
        : file_(std::move(file)), end_(end), folder_(std::move(folder)), files_(files) {}
    leveldb::Status Append(const leveldb::Slice& bytes) override {
      kept_.append(bytes.data(), bytes.size());
      return kept_.size() < 65536 ? leveldb::Status::OK() : Flush();
    }
    leveldb::Status Close() override { return Flush(); }
    leveldb::Status Flush() override {
      if (kept_.empty()) return leveldb::Status::OK();
      const Status written = file_->write_at(end_, kept_);
      end_ += kept_.size();
      kept_.clear();
      return translate(written);
    }
    leveldb::Status Sync() override {
      if (!folder_.empty()) {
        const Status named = files_.sync_directory(folder_);
        if (!named.ok()) return translate(named);
      }
      const leveldb::Status flushed = Flush();
      return flushed.ok() ? translate(file_->sync()) : flushed;
    }

   private:
    const std::unique_ptr<File> file_;
    std::uint64_t end_;
    const std::string folder_;
    Files& files_;
    std::string kept_;
  };

  leveldb::Status open(const std::string& name, leveldb::WritableFile** file) {
    auto opened = files_.open(name, true);
    if (!opened.ok()) return translate(opened.status());
    const auto size = (*opened)->size();
    if (!size.ok()) return translate(size.status());
    // What a manifest names is durable before it is: the folder is synced with it.
    const std::filesystem::path path(name);
    const bool is_manifest = path.filename().string().starts_with("MANIFEST");
    *file = new Appended(*std::move(opened), *size, is_manifest ? path.parent_path().string() : "", files_);
    return leveldb::Status::OK();
  }

  Files& files_;
};

}  // namespace espalier::registry
