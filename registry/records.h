// The registry's records of all kinds over one store: what the operations read and write.
//
// Thread safety: as the Store. Ownership: borrows files and store.
#pragma once

#include <cstdint>
#include <string>

#include "registry/artefacts.h"
#include "registry/audit.h"
#include "registry/feed.h"
#include "registry/idempotency.h"
#include "registry/key_records.h"
#include "registry/membership.h"
#include "registry/models.h"
#include "registry/moving/imports.h"
#include "registry/quotas.h"
#include "registry/records/datasets.h"
#include "registry/records/runs.h"
#include "registry/releases.h"
#include "registry/space/erased.h"
#include "registry/space/receipts.h"
#include "registry/space/retention.h"
#include "registry/tags.h"
#include "registry/versions.h"

namespace espalier::registry {

struct Records {
  Records(Files& files, Store& store, const std::string& artefacts_folder, std::uint64_t segment_bytes = kSegmentBytes)
      : store(store),
        artefacts(files, store, artefacts_folder, segment_bytes),
        audit(store),
        collected(store),
        datasets(store),
        erased(store),
        feed(store),
        idempotency(store),
        imports(store),
        keys(store),
        membership(store),
        models(store),
        quotas(store),
        receipts(store),
        releases(store),
        retention(store),
        runs(store),
        tags(store),
        versions(store) {}

  Store& store;
  Artefacts artefacts;
  Audit audit;
  Collected collected;
  Datasets datasets;
  Erased erased;
  Feed feed;
  Idempotency idempotency;
  Imports imports;
  KeyRecords keys;
  Membership membership;
  Models models;
  Quotas quotas;
  Receipts receipts;
  Releases releases;
  Retention retention;
  Runs runs;
  Tags tags;
  Versions versions;
};

/// Bounds of what a request may carry as free text, in bytes.
inline constexpr std::size_t kMaxSpecBytes = 1u << 20;
inline constexpr std::size_t kMaxRunBytes = 1u << 20;
inline constexpr std::size_t kMaxNoteBytes = 4096;
/// Of a model: its record has them all, and shards read each.
inline constexpr std::size_t kMaxTags = 1000;
inline constexpr std::size_t kMaxVersionTextBytes = 64u << 10;

}  // namespace espalier::registry
