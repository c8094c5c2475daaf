// The registry's records of all kinds over one store: what the operations read and write.
//
// Thread safety: as the Store. Ownership: borrows files and store.
#pragma once

#include <string>

#include "registry/artefacts.h"
#include "registry/feed.h"
#include "registry/idempotency.h"
#include "registry/membership.h"
#include "registry/models.h"
#include "registry/releases.h"
#include "registry/tags.h"
#include "registry/versions.h"

namespace espalier::registry {

struct Records {
  Records(Files& files, Store& store, const std::string& artefacts_folder)
      : store(store),
        artefacts(files, store, artefacts_folder),
        feed(store),
        idempotency(store),
        membership(store),
        models(store),
        releases(store),
        tags(store),
        versions(store) {}

  Store& store;
  Artefacts artefacts;
  Feed feed;
  Idempotency idempotency;
  Membership membership;
  Models models;
  Releases releases;
  Tags tags;
  Versions versions;
};

/// Bounds of what a request may carry as free text, in bytes.
inline constexpr std::size_t kMaxSpecBytes = 1u << 20;
inline constexpr std::size_t kMaxRunBytes = 1u << 20;
inline constexpr std::size_t kMaxNoteBytes = 4096;
inline constexpr std::size_t kMaxVersionTextBytes = 64u << 10;

}  // namespace espalier::registry
