#include "registry/artefacts.h"

#include <utility>

#include "common/bytes.h"
#include "common/log.h"
#include "common/scheduling.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

/// They wait for the disk, not for a core.
constexpr std::size_t kSyncingThreads = 64;
constexpr std::size_t kRecordHead = 8 + 1 + 32;
/// What compact_some() writes at most: hashing and syncing it takes some milliseconds.
constexpr std::uint64_t kCompactedAtOnce = 1ull << 20;
/// An upload of what is there is noted when the last one was so long ago: collections leave alone what is uploaded
/// anew.
constexpr std::int64_t kNotedAgainUs = 600'000'000;
/// Removing a segment takes a millisecond or two.
constexpr std::size_t kFilesErasedAtOnce = 8;
constexpr std::uint64_t kMostInOneReply = wire::kMaxInternalMessageBytes / 2;

std::string place(std::size_t i) { return "artefacts[" + std::to_string(i) + "]"; }

/// How many bytes the inputs take that `bytes` begins with.
Result<std::size_t> inputs_bytes(std::string_view bytes) {
  const Status bad = corrupt("the inputs of an artefact's record are cut short");
  if (bytes.size() < 4) return bad;
  std::size_t at = 4;
  for (auto left = load<std::uint32_t>(bytes.data()); left > 0; --left) {
    if (bytes.size() - at < 5) return bad;
    const std::size_t size = 5 + std::size_t{load<std::uint32_t>(bytes.data() + at + 1)};
    if (bytes.size() - at < size) return bad;
    at += size;
  }
  return at;
}

}  // namespace

Result<ArtefactRecord> examine_artefact(std::string_view bytes, bool replay) {
  // A frame lies wherever the message put it; an artefact is read in place, at a multiple of 8.
  std::string moved;
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 != 0) {
    moved = bytes;
    bytes = moved;
  }
  ASSIGN_OR_RETURN(const model::Artefact artefact, model::Artefact::open(bytes));
  if (replay) {
    model::Artefact::Scratch scratch;
    RETURN_IF_ERROR(artefact.replay_probes(scratch));
  }
  ArtefactRecord record;
  record.bytes = bytes.size();
  record.task = artefact.task();
  record.base = artefact.base();
  record.inputs = encode_inputs(artefact.program().inputs());
  return record;
}

std::string encode_inputs(const std::vector<model::Field>& fields) {
  std::string bytes;
  append(bytes, static_cast<std::uint32_t>(fields.size()));
  for (const auto& field : fields) {
    append(bytes, static_cast<std::uint8_t>(field.type));
    append(bytes, static_cast<std::uint32_t>(field.name.size()));
    bytes.append(field.name);
  }
  return bytes;
}

Result<std::vector<model::Field>> fields_of(std::string_view inputs) {
  const Status bad = corrupt("the inputs of an artefact's record are cut short");
  if (inputs.size() < 4) return bad;
  const auto count = load<std::uint32_t>(inputs.data());
  inputs.remove_prefix(4);
  std::vector<model::Field> fields;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (inputs.size() < 5) return bad;
    const auto type = load<std::uint8_t>(inputs.data());
    const auto size = load<std::uint32_t>(inputs.data() + 1);
    if (type > static_cast<std::uint8_t>(model::FieldType::text) || inputs.size() - 5 < size) return bad;
    fields.push_back({std::string(inputs.substr(5, size)), static_cast<model::FieldType>(type)});
    inputs.remove_prefix(5 + size);
  }
  if (!inputs.empty()) return bad;
  return fields;
}

std::string encode_artefact(const ArtefactRecord& record) {
  std::string bytes;
  append(bytes, record.bytes);
  append(bytes, static_cast<std::uint8_t>(record.task));
  bytes.append(record.base.view()).append(record.inputs);
  append(bytes, record.uploaded_us);
  return bytes;
}

Result<ArtefactRecord> decode_artefact(std::string_view bytes) {
  if (bytes.size() < kRecordHead) return corrupt("the record of an artefact is cut short");
  ArtefactRecord record;
  record.bytes = load<std::uint64_t>(bytes.data());
  const auto task = load<std::uint8_t>(bytes.data() + 8);
  if (task > static_cast<std::uint8_t>(model::Task::multiclass))
    return corrupt("the record of an artefact has no task");
  record.task = static_cast<model::Task>(task);
  ASSIGN_OR_RETURN(record.base, Hash256::from_bytes(bytes.substr(9, 32)));
  ASSIGN_OR_RETURN(const std::size_t inputs, inputs_bytes(bytes.substr(kRecordHead)));
  record.inputs = bytes.substr(kRecordHead, inputs);
  const std::string_view time = bytes.substr(kRecordHead + inputs);
  if (!time.empty() && time.size() != sizeof record.uploaded_us) {
    return corrupt("the record of an artefact has bytes too many");
  }
  if (!time.empty()) record.uploaded_us = load<std::int64_t>(time.data());
  return record;
}

Result<std::unique_ptr<model::Pack>> Artefacts::open_pack(Files& files, const std::string& folder,
                                                          const std::string& tenant) {
  return model::Pack::open(files, folder + "/" + tenant, {.segment_bytes = kSegmentBytes});
}

Result<Artefacts::TenantPack*> Artefacts::open(const std::string& tenant) {
  TenantPack& opened = packs_[tenant];
  if (!opened.pack) {
    ASSIGN_OR_RETURN(opened.pack, model::Pack::open(files_, folder_ + "/" + tenant, {.segment_bytes = segment_bytes_}));
    opened.compaction = std::make_unique<model::PackCompaction>(*opened.pack);
  }
  return &opened;
}

Result<model::Pack*> Artefacts::pack(const std::string& tenant) {
  ASSIGN_OR_RETURN(TenantPack* const opened, open(tenant));
  return opened->pack.get();
}

Status Artefacts::forget(const std::string& tenant, const Hash256& hash) {
  ASSIGN_OR_RETURN(model::Pack* const from, pack(tenant));
  from->forget(hash);
  return {};
}

Result<bool> Artefacts::compact_some(const std::string& tenant) {
  ASSIGN_OR_RETURN(TenantPack* const opened, open(tenant));
  return opened->compaction->step(kCompactedAtOnce, model::Thoroughness::worthwhile);
}

Result<std::vector<Hash256>> Artefacts::hashes(const std::string& tenant) {
  if (!has_pack(tenant)) return std::vector<Hash256>();
  ASSIGN_OR_RETURN(model::Pack* const from, pack(tenant));
  return from->hashes();
}

Result<bool> Artefacts::erase_some(const std::string& tenant) {
  packs_.erase(tenant);
  const std::string folder = folder_ + "/" + tenant;
  if (!files_.exists(folder)) return false;
  ASSIGN_OR_RETURN(const auto names, files_.list(folder));
  for (std::size_t i = 0; i < names.size() && i < kFilesErasedAtOnce; ++i) {
    RETURN_IF_ERROR(files_.remove(folder + "/" + names[i]));
  }
  if (names.size() > kFilesErasedAtOnce) return true;
  RETURN_IF_ERROR(files_.sync_directory(folder));
  RETURN_IF_ERROR(files_.remove(folder));
  RETURN_IF_ERROR(files_.sync_directory(folder_));
  return false;
}

Result<std::uint64_t> Artefacts::disk_bytes(const std::string& tenant) {
  if (!has_pack(tenant)) return std::uint64_t{0};
  ASSIGN_OR_RETURN(model::Pack* const from, pack(tenant));
  return from->disk_bytes();
}

Result<std::optional<ArtefactRecord>> Artefacts::find(const std::string& tenant, const Hash256& hash) {
  if (is_staged(tenant, hash)) {
    was_too_early_ = true;
    return std::optional<ArtefactRecord>();
  }
  const std::string key = keys::artefact(tenant, hash);
  ASSIGN_OR_RETURN(const auto value, store_.get(key));
  if (!value) return std::optional<ArtefactRecord>();
  auto record = decode_artefact(*value);
  if (!record.ok()) return bad_record(key, record.status());
  return std::optional<ArtefactRecord>(*std::move(record));
}

Result<std::string_view> Artefacts::held(const std::string& tenant, const Hash256& hash) {
  const Status missing = not_found("the pack of tenant " + tenant + " doesn't have its bytes");
  // Who reads a snapshot may ask for what was erased since: opening would make the folder anew.
  if (!has_pack(tenant)) return missing;
  ASSIGN_OR_RETURN(model::Pack* const from, pack(tenant));
  const auto bytes = from->find(hash);
  if (!bytes) return missing;
  RETURN_IF_ERROR(from->verify(hash));
  return *bytes;
}

Result<std::uint64_t> Artefacts::salvage(const std::string& tenant, bool dry_run) {
  ASSIGN_OR_RETURN(model::Pack* const from, pack(tenant));
  return from->salvage(dry_run);
}

// What lies between two of them is passed over by a few steps, which are cheap, or by a search.
Status Artefacts::find_all(const std::string& tenant, const std::vector<Hash256>& hashes,
                           const std::function<void(std::size_t i, const ArtefactRecord& record)>& take) {
  constexpr int kSteps = 8;
  if (hashes.empty()) return {};
  std::string key = keys::artefact(tenant, hashes.front());
  const std::size_t prefix_bytes = key.size() - sizeof(Hash256);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    give_way();
    if (is_staged(tenant, hashes[i])) {
      was_too_early_ = true;
      continue;
    }
    key.replace(prefix_bytes, sizeof(Hash256), hashes[i].view());
    for (int step = 0; step < kSteps && cursor->valid() && cursor->key() < std::string_view(key); ++step) {
      cursor->next();
    }
    if (!cursor->valid() || cursor->key() < std::string_view(key)) cursor->seek(key);
    RETURN_IF_ERROR(cursor->status());
    if (!cursor->valid() || cursor->key() != std::string_view(key)) continue;
    const auto record = decode_artefact(cursor->value());
    if (!record.ok()) return bad_record(key, record.status());
    take(i, *record);
  }
  return {};
}

Result<wire::UploadReply> Artefacts::upload(const std::string& tenant, const std::vector<Hash256>& hashes,
                                            const std::vector<std::string_view>& bodies) {
  if (hashes.size() != bodies.size()) {
    return invalid_argument("artefacts: " + std::to_string(hashes.size()) + " hashes, but " +
                            std::to_string(bodies.size()) + " bodies");
  }
  std::vector<std::pair<std::size_t, ArtefactRecord>> fresh, again;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    give_way();
    if (blake2b_256(bodies[i]) != hashes[i]) {
      return invalid_argument(place(i) + ": the body does not have the hash " + hashes[i].hex());
    }
    if (is_staged(tenant, hashes[i])) continue;
    ASSIGN_OR_RETURN(auto known, find(tenant, hashes[i]));
    ASSIGN_OR_RETURN(model::Pack* const held, pack(tenant));
    // Damaged bytes are forgotten by verify(), and these take their place; also what a collection hasn't forgotten yet.
    if (held->verify(hashes[i]).ok() && known) {
      const auto now = store_.begin();
      const bool is_old = now.ok() && known->uploaded_us + kNotedAgainUs <= now->time_us();
      if (is_old) again.emplace_back(i, *std::move(known));
      continue;
    }
    auto record = examine_artefact(bodies[i], true);
    if (!record.ok()) return record.status().at(place(i) + " " + hashes[i].hex());
    fresh.emplace_back(i, *std::move(record));
  }
  wire::UploadReply reply;
  reply.stored = static_cast<std::uint32_t>(fresh.size());
  reply.known = static_cast<std::uint32_t>(hashes.size() - fresh.size());
  if (hashes.empty()) return reply;

  ASSIGN_OR_RETURN(model::Pack* const to, pack(tenant));
  for (const auto& [i, record] : fresh) RETURN_IF_ERROR(to->add(hashes[i], bodies[i]));
  auto& staged = staged_[tenant];
  for (auto& [i, record] : fresh) staged.emplace(hashes[i], std::move(record));
  // With the time of this upload, so that no collection takes what is about to be published again.
  for (auto& [i, record] : again) staged.emplace(hashes[i], std::move(record));
  return reply;
}

bool Artefacts::is_staged(const std::string& tenant, const Hash256& hash) const {
  const auto of_tenant = staged_.find(tenant);
  return of_tenant != staged_.end() && of_tenant->second.contains(hash);
}

// A pack belongs to one thread at a time, and here each has one.
Result<std::vector<Status>> Artefacts::sync_packs() {
  std::vector<model::Pack*> packs;
  for (const auto& [tenant, records] : staged_) {
    ASSIGN_OR_RETURN(model::Pack* const staged, pack(tenant));
    packs.push_back(staged);
  }
  std::vector<Status> outcomes(packs.size());
  if (packs.size() > 1 && !syncing_) syncing_ = std::make_unique<ThreadPool>(kSyncingThreads);
  if (packs.size() > 1) {
    syncing_->parallel_for(packs.size(), [&](std::size_t i) { outcomes[i] = packs[i]->sync(); });
  } else {
    outcomes[0] = packs[0]->sync();
  }
  return outcomes;
}

Status Artefacts::settle() {
  const Status settled = settle_staged();
  if (!settled.ok()) unsettled_ = settled;
  return settled;
}

Status Artefacts::settle_group() {
  const Status settled = settle();
  const Status earlier = std::exchange(unsettled_, {});
  return settled.ok() ? earlier : settled;
}

Status Artefacts::settle_staged() {
  if (staged_.empty()) return {};
  auto synced = sync_packs();
  const auto staged = std::exchange(staged_, {});
  RETURN_IF_ERROR(synced.status());
  ASSIGN_OR_RETURN(Batch batch, store_.begin());
  Status failed;
  auto outcome = synced->begin();
  for (const auto& [tenant, records] : staged) {
    if (!outcome->ok()) failed = *outcome;
    if (!(outcome++)->ok()) continue;
    ASSIGN_OR_RETURN(const model::Pack* const held, pack(tenant));
    const auto watched = watched_.find(tenant);
    for (const auto& [hash, record] : records) {
      if (!held->find(hash)) {
        // A full segment was synced before a later upload, and that failed.
        failed = Status(Code::unavailable, "artefact " + hash.hex() + ": its bytes could not be kept");
        continue;
      }
      if (watched != watched_.end()) watched->second.push_back(hash);
      ArtefactRecord dated = record;
      dated.uploaded_us = batch.time_us();
      batch.put(keys::artefact(tenant, hash), encode_artefact(dated));
    }
  }
  if (batch.size() > 0) RETURN_IF_ERROR(store_.apply(batch));
  return failed;
}

Result<wire::FetchReply> Artefacts::fetch(const wire::FetchRequest& request, std::vector<std::string_view>& bodies) {
  wire::FetchReply reply;
  std::uint64_t bytes = 0;
  for (const Hash256& hash : request.artefacts) {
    if (is_staged(request.tenant, hash)) RETURN_IF_ERROR(settle());
    ASSIGN_OR_RETURN(const auto record, find(request.tenant, hash));
    std::optional<std::string_view> held;
    if (record) {
      ASSIGN_OR_RETURN(model::Pack* const from, pack(request.tenant));
      const Status sound = from->verify(hash);
      if (!sound.ok()) log::error("registry", "an artefact can't be given out", {{"why", sound}});
      held = from->find(hash);
    }
    if (held) {
      if (!bodies.empty() && bytes + held->size() > std::min(request.max_bytes, kMostInOneReply)) return reply;
      bytes += held->size();
      bodies.push_back(*held);
      reply.found.push_back(hash);
    } else {
      reply.missing.push_back(hash);
    }
    ++reply.answered;
  }
  return reply;
}

}  // namespace espalier::registry
