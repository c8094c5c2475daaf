// Artefacts: the bytes in one pack a tenant, and a record of each for what releases have to know of it.
//
// The same bytes are kept once per tenant and never shared between tenants. A record is written after its bytes are on
// disk, so that whatever has a record can be fetched: uploads are staged in memory, and settle() syncs their packs
// before it writes their records, for many uploads at once. A collection removes the record before it gives the bytes
// up. Thread safety: as the Store. Bytes that fetch() gives stay mapped until compact_some() or erase_some() is called.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/files.h"
#include "common/thread_pool.h"
#include "model/artefact.h"
#include "model/pack_compaction.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

struct ArtefactRecord {
  std::uint64_t bytes = 0;
  model::Task task = model::Task::regression;
  Hash256 base;
  std::string inputs;            ///< encoded: equal inputs are equal bytes; fields_of() has them
  std::int64_t uploaded_us = 0;  ///< last; 0: before this was recorded
};
std::string encode_artefact(const ArtefactRecord& record);
Result<ArtefactRecord> decode_artefact(std::string_view bytes);
/// What the record says of an artefact whose format holds; with `replay`, its probes too.
Result<ArtefactRecord> examine_artefact(std::string_view bytes, bool replay = false);
std::string encode_inputs(const std::vector<model::Field>& fields);
Result<std::vector<model::Field>> fields_of(std::string_view inputs);

/// A tenant's first artefact takes this much disk, and a million small ones some thousand maps.
inline constexpr std::uint64_t kSegmentBytes = 1u << 20;

class Artefacts {
 public:
  /// Packs lie in `folder`, a folder a tenant, made when needed.
  Artefacts(Files& files, Store& store, std::string folder, std::uint64_t segment_bytes)
      : files_(files), store_(store), folder_(std::move(folder)), segment_bytes_(segment_bytes) {}

  /// Checks each (hash, format, probes) and stages what the tenant doesn't have. Either all bodies are good or nothing
  /// is stored. invalid_argument: another number of bodies than hashes, or bytes that
  /// don't have their hash; corrupt: not an artefact, or its probes give other outputs here.
  Result<wire::UploadReply> upload(const std::string& tenant, const std::vector<Hash256>& hashes,
                                   const std::vector<std::string_view>& bodies);
  /// Whether something is staged.
  bool is_settled() const { return staged_.empty(); }
  /// Brings the bytes of what is staged to the disk and applies their records, which the store has yet to sync. Not ok:
  /// what could not be brought there is forgotten; the rest is applied.
  Status settle();
  /// The same at the end of a group: also not ok where an earlier settle() of the group wasn't, of which only the one
  /// that asked for it was told.
  Status settle_group();
  /// Artefacts in the order asked, as many as fit; `bodies` gets those of reply.found.
  Result<wire::FetchReply> fetch(const wire::FetchRequest& request, std::vector<std::string_view>& bodies);
  /// Nothing, too, while it is staged: whoever builds a batch may not name it before its bytes are on the disk.
  Result<std::optional<ArtefactRecord>> find(const std::string& tenant, const Hash256& hash);
  /// Calls take(i, record) for each of `hashes` that find() would find, in one way through the tenant's: many are found
  /// in less time. REQUIRES: ascending.
  Status find_all(const std::string& tenant, const std::vector<Hash256>& hashes,
                  const std::function<void(std::size_t i, const ArtefactRecord& record)>& take);
  /// Whether a find() since the last call would have found something after settle().
  bool was_too_early() { return std::exchange(was_too_early_, false); }
  /// The bytes in the tenant's pack, whatever the records say, once their hash was found to hold. not_found: the pack
  /// doesn't have them; corrupt: they no longer have their hash.
  Result<std::string_view> held(const std::string& tenant, const Hash256& hash);
  /// Looks for artefacts behind damaged places of the tenant's pack and stores those whose hash holds anew; with
  /// `dry_run` only counts them.
  Result<std::uint64_t> salvage(const std::string& tenant, bool dry_run);
  /// Of all that the tenant's pack has.
  Result<std::vector<Hash256>> hashes(const std::string& tenant);

  /// The tenant's pack below `folder`, as this class keeps it.
  static Result<std::unique_ptr<model::Pack>> open_pack(Files& files, const std::string& folder,
                                                        const std::string& tenant);
  /// For a collection, which has looked at some of the tenant's already: what is uploaded from watch() on, new or
  /// known, is kept for uploaded(), which gives it once.
  void watch(const std::string& tenant) { watched_[tenant].clear(); }
  void unwatch(const std::string& tenant) { watched_.erase(tenant); }
  std::vector<Hash256> uploaded(const std::string& tenant) { return std::exchange(watched_[tenant], {}); }

  /// The bytes of an artefact whose record is gone may go.
  Status forget(const std::string& tenant, const Hash256& hash);
  /// Gives back some of the space of what was forgotten; false: nothing is left that is worth it.
  Result<bool> compact_some(const std::string& tenant);
  /// Removes the tenant's pack, a few files at a time; true: there are more.
  Result<bool> erase_some(const std::string& tenant);
  bool has_pack(const std::string& tenant) const { return files_.exists(folder_ + "/" + tenant); }
  /// What the tenant's pack takes.
  Result<std::uint64_t> disk_bytes(const std::string& tenant);

 private:
  struct TenantPack {
    std::unique_ptr<model::Pack> pack;
    std::unique_ptr<model::PackCompaction> compaction;
  };
  Result<TenantPack*> open(const std::string& tenant);
  Result<model::Pack*> pack(const std::string& tenant);
  /// Syncs the packs of all tenants that have something staged, beside each other; an outcome for each.
  Result<std::vector<Status>> sync_packs();
  Status settle_staged();
  bool is_staged(const std::string& tenant, const Hash256& hash) const;

  Files& files_;
  Store& store_;
  const std::string folder_;
  const std::uint64_t segment_bytes_;
  std::map<std::string, TenantPack> packs_;
  std::map<std::string, std::map<Hash256, ArtefactRecord>> staged_;  ///< by tenant
  std::map<std::string, std::vector<Hash256>> watched_;              ///< likewise: its uploads since uploaded()
  Status unsettled_;                                                 ///< of the group
  bool was_too_early_ = false;
  std::unique_ptr<ThreadPool> syncing_;  ///< made when two packs have to be synced at once
};

}  // namespace espalier::registry
