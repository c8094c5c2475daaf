// The registry's truth: ordered records, changed by atomic batches that each get a number, the epoch.
// docs/registry-keys.md has the records.
//
// The interface asks for what an embedded store and a distributed one can both give: get, ordered scan from a snapshot,
// and a batch that is applied whole if its preconditions hold. Everything that commit() or sync() acknowledges is on
// disk; several batches may share one sync (group commit).
//
// Thread safety: one thread owns a Store; it commits one batch at a time.
// Ownership: a Cursor must not outlive its Store. A cursor stays usable while batches are committed, and doesn't see
// them. Errors: resource_exhausted: the disk is full; nothing was acknowledged, reads go on, and writing works again
// once there is space. unavailable: the disk refuses for another reason. Either way the outcome of that batch is known
// only after the next begin().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::registry {

/// Changes to be made in one commit, and what has to hold for them. Made by Store::begin().
class Batch {
 public:
  Batch(std::uint64_t epoch, std::int64_t time_us) : epoch_(epoch), time_us_(time_us) {}

  /// The epoch and the time that the commit will have: records may carry them, in keys too.
  std::uint64_t epoch() const { return epoch_; }
  std::int64_t time_us() const { return time_us_; }
  /// The commit takes `count` epochs in front of its own, each with a time of its own: from now on epoch() and
  /// time_us() are behind them. REQUIRES: nothing was put yet.
  void reserve(std::uint64_t count) {
    epoch_ += count;
    time_us_ += static_cast<std::int64_t>(count);
    reserved_ += count;
  }
  std::uint64_t first_epoch() const { return epoch_ - reserved_; }

  void put(std::string_view key, std::string_view value) { add(Kind::put, key, value); }
  void remove(std::string_view key) { add(Kind::remove, key, {}); }
  void require_absent(std::string_view key) { add(Kind::require_absent, key, {}); }
  void require_value(std::string_view key, std::string_view value) { add(Kind::require_value, key, value); }

  enum class Kind : std::uint8_t { put, remove, require_absent, require_value };
  struct Operation {
    Kind kind;
    std::string_view key, value;
  };
  std::size_t size() const { return places_.size(); }
  Operation operator[](std::size_t i) const;
  /// Bytes of all keys and values.
  std::size_t bytes() const { return bytes_; }

 private:
  struct Place {
    std::uint32_t chunk, at;
    std::uint32_t key_bytes, value_bytes;
    Kind kind;
  };
  void add(Kind kind, std::string_view key, std::string_view value);

  std::uint64_t epoch_;
  std::int64_t time_us_;
  std::uint64_t reserved_ = 0;
  /// Keys and values, one behind the other: a release has hundreds of thousands, and one text would be copied each time
  /// it grows.
  std::vector<std::string> chunks_;
  std::size_t bytes_ = 0;
  std::vector<Place> places_;
};

/// A place among the records of one snapshot.
class Cursor {
 public:
  virtual ~Cursor() = default;
  /// False behind the last record, and after a read that failed: then status() tells.
  virtual bool valid() const = 0;
  /// Borrowed until the cursor moves. REQUIRES: valid()
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual void next() = 0;
  virtual void previous() = 0;
  /// To the first record at or after `key`.
  virtual void seek(std::string_view key) = 0;
  /// To the last record before `key`.
  virtual void seek_before(std::string_view key) = 0;
  virtual Status status() const = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  /// Differs from that of every other store, and of this one before a restore.
  virtual std::uint64_t generation() const = 0;
  /// Of the last batch; 0 before the first.
  virtual std::uint64_t epoch() const = 0;

  virtual Result<std::optional<std::string>> get(std::string_view key) = 0;
  virtual Result<std::unique_ptr<Cursor>> scan() = 0;
  /// The same, with each block that comes from the disk held against its checksum.
  virtual Result<std::unique_ptr<Cursor>> scan_verified() { return scan(); }

  /// An empty batch for the next commit. After a failed write this is where the store takes itself up again: not ok
  /// while it can't.
  virtual Result<Batch> begin() = 0;
  /// Applies the batch whole: reads see it from now on, and it is durable after sync(). Until then nothing that reads
  /// gave may leave the process. failed_precondition: a requirement does not hold, or another batch was applied since
  /// begin(); nothing was changed.
  virtual Status apply(const Batch& batch) = 0;
  /// Returns when all that was applied is on disk. Not ok: the outcome of the batches since the last sync() is known
  /// only after the next begin(); reads give the state before them.
  virtual Status sync() = 0;
  Status commit(const Batch& batch) {
    RETURN_IF_ERROR(apply(batch));
    return sync();
  }

  /// What was removed or written over goes from the store's files too, where a store leaves it lying there. Begins
  /// that, or sees how far it is; true: not done yet, call again in a while. Everything else can be called meanwhile.
  virtual Result<bool> purge() = 0;
};

}  // namespace espalier::registry
