// Looking after a registry. docs/upkeep.md says what for.
// As messages.h: twin of docs/wire-protocol.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/uuid.h"

namespace espalier::wire {

/// One slice of a session that reads a snapshot: step 0 begins it, the next reply comes for the next step; the same
/// step again gives the same reply.
struct CheckRequest {
  Uuid session;  ///< chosen by the client
  std::uint32_t step = 0;
  static constexpr std::string_view op = "check";
};
struct FindingRecord {
  std::string table, key, what;
};
struct CheckReply {
  std::uint64_t generation = 0, epoch = 0;
  std::uint64_t records = 0, artefacts = 0;  ///< looked at so far
  std::uint64_t passed_over = 0;
  std::uint64_t found = 0;              ///< so far, more than are named if there are very many
  std::vector<FindingRecord> findings;  ///< since the step before
  bool done = false;
};

/// The same for a backup: the bodies of the replies, one after the other, are the payloads of an archive's blocks. With
/// `tenant`, of its models (or of one): their histories, as docs/moving.md has them.
struct ArchiveRequest {
  Uuid session;
  std::uint32_t step = 0;
  std::string tenant, model;
  std::uint64_t epoch = 0;    ///< of histories: up to this one; 0: all
  bool records_only = false;  ///< of histories: without artefacts
  static constexpr std::string_view op = "archive";
};
struct ArchiveReply {
  std::uint64_t generation = 0, epoch = 0;
  std::int64_t time_us = 0;
  std::uint32_t schema = 0;                                      ///< version of the keys
  std::vector<std::uint32_t> blocks;                             ///< the kind of each body: docs/archive-format.md
  std::uint64_t records = 0, artefacts = 0, artefact_bytes = 0;  ///< so far
  bool done = false;
};

}  // namespace espalier::wire
