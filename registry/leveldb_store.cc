#include "registry/leveldb_store.h"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/bytes.h"
#include "common/log.h"
#include "common/uuid.h"
#include "registry/keys.h"
#include "registry/leveldb_env.h"
#include "registry/leveldb_rewrite.h"

namespace espalier::registry {
namespace {

/// Records that lie in LevelDB's log and could have been lost from its middle are far fewer than this.
constexpr std::uint64_t kEpochsChecked = 200'000;
/// What opening again writes beside the tables that it makes of the log.
constexpr std::uint64_t kRoomBeside = 1u << 20;
/// A file that gather() makes first, and a new generation removes. Its content: how far that is.
constexpr std::string_view kMark = "/GATHER", kGathering = "gathering", kGathered = "gathered";

/// A change that names thousands of nodes has more.
constexpr std::size_t kLargeBatchBytes = 256u << 10;
/// What LevelDB notes of an operation beside key and value, at most, and of a batch with its epoch and time.
constexpr std::size_t kOperationBytes = 1 + 5 + 5, kRoomForEpoch = 128;

/// A LevelDB batch is one text that doubles as it grows, and its interface has no way of saying how large it will be: a
/// large release then touches two to three times its memory. An explicit instantiation may name a private member, so
/// reserve() reaches the text by its name; a LevelDB without it does not compile. docs/decisions.md, 20.
template <std::string leveldb::WriteBatch::*kMember>
struct Reserve {
  friend void reserve(leveldb::WriteBatch& batch, std::size_t bytes) { (batch.*kMember).reserve(bytes); }
};
template struct Reserve<&leveldb::WriteBatch::rep_>;
void reserve(leveldb::WriteBatch& batch, std::size_t bytes);

/// The records that say when each epoch of the batch was.
template <class Put>
void for_each_epoch(const Batch& batch, const Put& put) {
  for (std::uint64_t epoch = batch.first_epoch(); epoch <= batch.epoch(); ++epoch) {
    const std::int64_t time_us = batch.time_us() - static_cast<std::int64_t>(batch.epoch() - epoch);
    std::string time_bytes, epoch_bytes;
    append(time_bytes, static_cast<std::uint64_t>(time_us));
    append(epoch_bytes, epoch);
    put(keys::epoch(epoch), time_bytes);
    put(keys::time(time_us), epoch_bytes);
  }
}

leveldb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const leveldb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

Status translate(const leveldb::Status& status, const std::string& folder) {
  if (status.ok()) return {};
  const std::string text = status.ToString();
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  Code code = Code::unavailable;
  if (says(std::strerror(ENOSPC)) || says(std::strerror(EDQUOT))) {
    code = Code::resource_exhausted;
  } else if (status.IsCorruption() || status.IsInvalidArgument()) {
    code = Code::corrupt;
  }
  return Status(code, folder + ": " + text);
}

std::string encoded_generation(std::uint32_t schema, std::uint64_t generation) {
  std::string value;
  append(value, schema);
  append(value, generation);
  return value;
}

}  // namespace

/// A cursor is one of its store's, so that closing the database takes it away first: LevelDB's iterators must not
/// outlive it.
class LevelDbStore::OpenCursor final : public Cursor {
 public:
  OpenCursor(std::unique_ptr<leveldb::Iterator> iterator, LevelDbStore& store)
      : iterator_(std::move(iterator)), store_(store) {
    store_.cursors_.insert(this);
  }
  ~OpenCursor() override { store_.cursors_.erase(this); }
  OpenCursor(const OpenCursor&) = delete;
  OpenCursor& operator=(const OpenCursor&) = delete;

  void abandon() { iterator_.reset(); }

  bool valid() const override { return iterator_ && iterator_->Valid(); }
  std::string_view key() const override { return view(iterator_->key()); }
  std::string_view value() const override { return view(iterator_->value()); }
  void next() override {
    if (iterator_) iterator_->Next();
  }
  void previous() override {
    if (iterator_) iterator_->Prev();
  }
  void seek(std::string_view key) override {
    if (iterator_) iterator_->Seek(slice(key));
  }
  void seek_before(std::string_view key) override {
    if (!iterator_) return;
    iterator_->Seek(slice(key));
    if (iterator_->Valid()) {
      iterator_->Prev();
    } else if (iterator_->status().ok()) {
      iterator_->SeekToLast();
    }
  }
  Status status() const override {
    if (!iterator_) return unavailable(store_.folder_ + ": opened again since the reading began");
    return translate(iterator_->status(), store_.folder_);
  }

 private:
  std::unique_ptr<leveldb::Iterator> iterator_;
  LevelDbStore& store_;
};

LevelDbStore::LevelDbStore(Files& files, const Clock& clock, std::string folder, LevelDbOptions options)
    : files_(files),
      clock_(clock),
      folder_(std::move(folder)),
      options_(options),
      env_(std::make_unique<StoreEnv>(options.env ? options.env : leveldb::Env::Default(), files)),
      cache_(leveldb::NewLRUCache(options.cache_bytes)),
      filter_(leveldb::NewBloomFilterPolicy(10)),
      schema_(keys::kSchemaVersion) {}

LevelDbStore::~LevelDbStore() { close_database(); }

Result<std::unique_ptr<LevelDbStore>> LevelDbStore::open(Files& files, const Clock& clock, const std::string& folder,
                                                         LevelDbOptions options) {
  std::unique_ptr<LevelDbStore> store(new LevelDbStore(files, clock, folder, options));
  if (!options.as_it_is) RETURN_IF_ERROR(store->take_lock());
  RETURN_IF_ERROR(store->open_database());
  RETURN_IF_ERROR(store->read_state());
  if (options.as_it_is) return store;
  if (store->generation_ == 0 || store->is_gathered_) RETURN_IF_ERROR(store->start_new());
  RETURN_IF_ERROR(store->check_epochs_follow_each_other());
  store->read_ahead();
  store->synced_epoch_ = store->epoch_;
  return store;
}

// LevelDB's own lock comes too late: a fresh copy that another process is writing lies beside its folder.
Status LevelDbStore::take_lock() {
  const std::string parent = std::filesystem::path(folder_).parent_path();
  RETURN_IF_ERROR(files_.create_directories(parent));
  ASSIGN_OR_RETURN(lock_, FolderLock::take_itself(parent, "a registry"));
  return {};
}

leveldb::Options LevelDbStore::database_options() const {
  leveldb::Options options;
  options.create_if_missing = !options_.as_it_is;
  options.env = env_.get();
  options.comparator = yielding_comparator();
  options.write_buffer_size = options_.write_buffer_bytes;
  options.block_cache = cache_.get();
  options.filter_policy = filter_.get();
  return options;
}

Status LevelDbStore::open_database() {
  if (!options_.as_it_is) RETURN_IF_ERROR(settle_folders());
  RETURN_IF_ERROR(read_mark());
  leveldb::DB* db = nullptr;
  RETURN_IF_ERROR(translate(leveldb::DB::Open(database_options(), folder_, &db), folder_));
  db_.reset(db);
  return {};
}

// The newest tables first. A wish: a table that a compaction has removed meanwhile, or that can't be opened, is not for
// this to complain about.
void LevelDbStore::read_ahead() const {
  const auto names = files_.list(folder_);
  if (!names.ok()) return;
  std::uint64_t left = options_.read_ahead_bytes;
  for (auto name = names->rbegin(); name != names->rend(); ++name) {
    if (!name->ends_with(".ldb")) continue;
    std::error_code missing;
    const std::uint64_t size = std::filesystem::file_size(folder_ + "/" + *name, missing);
    if (missing) continue;
    if (size > left) break;
    left -= size;
    files_.will_read(folder_ + "/" + *name);
  }
}

Status LevelDbStore::start_new() {
  UuidSource uuids(clock_);
  std::uint64_t generation = xxh3_64(uuids.next().view()) >> 1;  // fits a signed integer of any language
  generation = std::max<std::uint64_t>(generation, 1);
  RETURN_IF_ERROR(rewrite({{keys::generation(), encoded_generation(schema_, generation)}}));
  generation_ = generation;
  if (!is_gathered_) return {};
  RETURN_IF_ERROR(files_.remove(folder_ + std::string(kMark)));
  is_gathered_ = false;
  return files_.sync_directory(folder_);
}

Status LevelDbStore::read_mark() {
  const std::string path = folder_ + std::string(kMark);
  if (!files_.exists(path)) return {};
  ASSIGN_OR_RETURN(const std::string mark, files_.read(path));
  is_gathered_ = mark == kGathered;
  if (is_gathered_) return {};
  return failed_precondition(folder_ +
                             ": what LevelDB can still read was being gathered, and that was cut short: "
                             "espalier registry repair --leveldb takes it up again");
}

Status LevelDbStore::set_schema(std::uint32_t schema, Changes changes) {
  changes.emplace_back(keys::generation(), encoded_generation(schema, generation_));
  RETURN_IF_ERROR(rewrite(changes));
  schema_ = schema;
  return {};
}

Status LevelDbStore::rewrite(const Changes& changes) {
  leveldb::WriteBatch writes;
  for (const auto& [key, value] : changes) {
    if (value) {
      writes.Put(slice(key), slice(*value));
    } else {
      writes.Delete(slice(key));
    }
  }
  leveldb::WriteOptions synced;
  synced.sync = true;
  RETURN_IF_ERROR(translate(db_->Write(synced, &writes), folder_));
  for (const auto& [key, value] : changes) {
    if (rewrite_) rewrite_->note(key);
  }
  return {};
}

Status LevelDbStore::gather(Files& files, const std::string& folder) {
  if (!files.exists(folder)) return not_found(folder + ": no store there");
  leveldb::Options options;
  options.comparator = yielding_comparator();
  // RepairDB() takes no lock, and would move a running registry's log away.
  leveldb::FileLock* lock = nullptr;
  RETURN_IF_ERROR(translate(options.env->LockFile(folder + "/LOCK", &lock), folder));
  const Status gathered = [&]() -> Status {
    const std::string mark = folder + std::string(kMark);
    RETURN_IF_ERROR(files.replace(mark, kGathering));
    RETURN_IF_ERROR(translate(leveldb::RepairDB(folder, options), folder));
    return files.replace(mark, kGathered);
  }();
  const Status unlocked = translate(options.env->UnlockFile(lock), folder);
  return gathered.ok() ? unlocked : gathered;
}

Status LevelDbStore::read_generation() {
  ASSIGN_OR_RETURN(const auto generation, get(keys::generation()));
  if (generation) {
    if (generation->size() != 12) return corrupt(folder_ + ": table G: 12 bytes expected");
    const auto version = load<std::uint32_t>(generation->data());
    if (version == 0 || version > keys::kSchemaVersion) {
      return Status(Code::unimplemented, folder_ + ": made with schema version " + std::to_string(version) +
                                             ", this build reads version " + std::to_string(keys::kSchemaVersion));
    }
    schema_ = version;
    generation_ = load<std::uint64_t>(generation->data() + 4);
  }
  return {};
}

Status LevelDbStore::read_state() {
  const Status generation = read_generation();
  if (!options_.as_it_is || generation.code() == Code::unimplemented) RETURN_IF_ERROR(generation);
  ASSIGN_OR_RETURN(const auto cursor, scan());
  const std::string table = keys::table(keys::Table::epoch);
  cursor->seek_before(keys::behind(table));
  if (!options_.as_it_is) RETURN_IF_ERROR(cursor->status());
  epoch_ = 0;
  time_us_ = 0;
  if (!cursor->valid() || !cursor->key().starts_with(table)) return {};
  if (cursor->value().size() != 8) {
    if (options_.as_it_is) return {};
    return corrupt(folder_ + ": table E: 8 bytes expected");
  }
  ASSIGN_OR_RETURN(epoch_, keys::ascending_epoch(cursor->key()));
  time_us_ = load<std::int64_t>(cursor->value().data());
  return {};
}

Status LevelDbStore::check_epochs_follow_each_other() {
  ASSIGN_OR_RETURN(const auto cursor, scan());
  cursor->seek_before(keys::behind(keys::table(keys::Table::epoch)));
  const std::uint64_t oldest = epoch_ > kEpochsChecked ? epoch_ - kEpochsChecked : 0;
  for (std::uint64_t epoch = epoch_; epoch > oldest; --epoch, cursor->previous()) {
    RETURN_IF_ERROR(cursor->status());
    if (!cursor->valid() || cursor->key() != keys::epoch(epoch)) {
      return corrupt(folder_ + ": the record of epoch " + std::to_string(epoch) + " is missing, later ones are there");
    }
  }
  return {};
}

Status LevelDbStore::ensure_open() {
  if (db_) return {};
  return open_database();
}

Result<std::optional<std::string>> LevelDbStore::get(std::string_view key) {
  RETURN_IF_ERROR(ensure_open());
  if (const auto* const pending = pending_.find(key)) return *pending;
  std::string value;
  const leveldb::Status status = db_->Get(reading(), slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  RETURN_IF_ERROR(translate(status, folder_));
  return std::optional<std::string>(std::move(value));
}

Result<std::unique_ptr<Cursor>> LevelDbStore::scan(bool verified) {
  RETURN_IF_ERROR(ensure_open());
  leveldb::ReadOptions options = reading();
  if (verified) options.verify_checksums = true;
  std::unique_ptr<leveldb::Iterator> iterator(db_->NewIterator(options));
  return pending_.over(std::make_unique<OpenCursor>(std::move(iterator), *this));
}

Result<Batch> LevelDbStore::begin() {
  if (!healthy_) RETURN_IF_ERROR(recover());
  return Batch(epoch_ + 1, std::max(clock_.wall_us(), time_us_ + 1));
}

Status LevelDbStore::check_requirements(const Batch& batch) {
  if (batch.first_epoch() != epoch_ + 1) {
    return failed_precondition("epoch " + std::to_string(batch.first_epoch()) + " can't follow epoch " +
                               std::to_string(epoch_));
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto operation = batch[i];
    if (operation.kind != Batch::Kind::require_absent && operation.kind != Batch::Kind::require_value) continue;
    ASSIGN_OR_RETURN(const auto present, get(operation.key));
    const bool holds = operation.kind == Batch::Kind::require_absent ? !present : present == operation.value;
    if (!holds) {
      return failed_precondition("the record " + to_hex(operation.key) + " is not what the change was made for");
    }
  }
  return {};
}

Status LevelDbStore::apply(const Batch& batch) {
  if (!healthy_) return unavailable(folder_ + ": not taking changes since a write failed");
  RETURN_IF_ERROR(check_requirements(batch));
  if (batch.bytes() > kLargeBatchBytes) return apply_large(batch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto operation = batch[i];
    if (operation.kind == Batch::Kind::put) pending_.put(operation.key, operation.value);
    if (operation.kind == Batch::Kind::remove) pending_.remove(operation.key);
  }
  for_each_epoch(batch, [&](const std::string& key, const std::string& value) { pending_.put(key, value); });
  epoch_ = batch.epoch();
  time_us_ = batch.time_us();
  return {};
}

// Not through the pending changes, where each of its records would be held twice, but behind them in one batch.
Status LevelDbStore::apply_large(const Batch& batch) {
  const PendingChanges changes = std::exchange(pending_, {});
  leveldb::WriteBatch writes;
  reserve(writes, changes.bytes() + batch.bytes() + (changes.records().size() + batch.size()) * kOperationBytes +
                      kRoomForEpoch);
  add(changes, writes);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto operation = batch[i];
    if (operation.kind == Batch::Kind::put) writes.Put(slice(operation.key), slice(operation.value));
    if (operation.kind == Batch::Kind::remove) writes.Delete(slice(operation.key));
  }
  for_each_epoch(batch, [&](const std::string& key, const std::string& value) { writes.Put(key, value); });
  const Status written = write(writes, batch.epoch());
  if (!written.ok() && !changes.is_empty()) unreported_ = written;
  RETURN_IF_ERROR(written);
  time_us_ = batch.time_us();
  note(changes);
  if (rewrite_) note_changed(batch);
  return {};
}

Status LevelDbStore::sync() {
  const Status flushed = flush();
  const Status earlier = std::exchange(unreported_, Status());
  return earlier.ok() ? flushed : earlier;
}

Status LevelDbStore::flush() {
  if (pending_.is_empty()) return {};
  const PendingChanges changes = std::exchange(pending_, {});
  leveldb::WriteBatch writes;
  reserve(writes, changes.bytes() + changes.records().size() * kOperationBytes);
  add(changes, writes);
  RETURN_IF_ERROR(write(writes, epoch_));
  note(changes);
  return {};
}

void LevelDbStore::add(const PendingChanges& changes, leveldb::WriteBatch& writes) {
  for (const auto& [key, value] : changes.records()) {
    if (value) {
      writes.Put(slice(key), slice(*value));
    } else {
      writes.Delete(slice(key));
    }
  }
}

Status LevelDbStore::write(leveldb::WriteBatch& writes, std::uint64_t epoch) {
  leveldb::WriteOptions synced;
  synced.sync = true;
  const Status written = translate(db_->Write(synced, &writes), folder_);
  if (written.ok()) {
    epoch_ = synced_epoch_ = epoch;
    return {};
  }
  healthy_ = false;
  log::error("registry", "write failed: nothing is acknowledged until the store is opened again",
             {{"from_epoch", synced_epoch_ + 1}, {"to_epoch", epoch}, {"error", written}});
  epoch_ = synced_epoch_;
  return written;
}

void LevelDbStore::note(const PendingChanges& changes) {
  if (!rewrite_) return;
  for (const auto& [key, value] : changes.records()) rewrite_->note(key);
}

leveldb::ReadOptions LevelDbStore::reading() const {
  leveldb::ReadOptions options;
  options.verify_checksums = options_.as_it_is;
  return options;
}

void LevelDbStore::close_database() {
  rewrite_.reset();
  if (!db_) return;
  for (OpenCursor* const cursor : cursors_) cursor->abandon();
  db_.reset();
}

// Asks the file system itself rather than for its free space: quotas and reserved blocks count too.
Status LevelDbStore::check_room() const {
  ASSIGN_OR_RETURN(const auto names, files_.list(folder_));
  std::uint64_t bytes = kRoomBeside;
  for (const auto& name : names) {
    if (!name.ends_with(".log") && !name.starts_with("MANIFEST-")) continue;
    ASSIGN_OR_RETURN(const auto file, files_.open(folder_ + "/" + name, false));
    ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
    bytes += size;
  }
  const std::string path = folder_ + "/room";
  Status reserved;
  {
    ASSIGN_OR_RETURN(const auto file, files_.open(path, true));
    reserved = file->preallocate(bytes);
  }
  RETURN_IF_ERROR(files_.remove(path));
  return reserved;
}

Status LevelDbStore::recover() {
  const std::uint64_t acknowledged = synced_epoch_;
  if (db_) {
    // A copy under way may be what fills the disk.
    if (std::exchange(rewrite_, nullptr)) RETURN_IF_ERROR(remove_folder(files_, fresh_folder()));
    RETURN_IF_ERROR(check_room());
    close_database();
  }
  RETURN_IF_ERROR(open_database());
  // What this reads stands in the log or a table of the disk: the memory of the failed database is gone.
  const Status read = read_state();
  if (!read.ok() || epoch_ < acknowledged) {
    const std::uint64_t found = std::exchange(epoch_, acknowledged);
    RETURN_IF_ERROR(read);
    return corrupt(folder_ + ": epoch " + std::to_string(acknowledged) + " was acknowledged, the disk has " +
                   std::to_string(found));
  }
  RETURN_IF_ERROR(check_epochs_follow_each_other());
  synced_epoch_ = epoch_;
  healthy_ = true;
  log::info("registry", "store opened again after a failed write", {{"acknowledged", acknowledged}, {"epoch", epoch_}});
  return {};
}

}  // namespace espalier::registry
