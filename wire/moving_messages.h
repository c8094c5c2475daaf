// Moving models in: docs/moving.md says how an import goes. (Out: the archive of wire/upkeep_messages.h.)
// As messages.h: twin of docs/wire-protocol/moving.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/messages.h"

namespace espalier::wire {

/// On the wire: never change.
enum class ImportStep : std::uint8_t {
  look = 0,      ///< changes nothing: how far it is, and what is in its way
  begin = 1,     ///< times of commits: each gets an epoch
  records = 2,   ///< what the commits made
  finish = 3,    ///< the model is there, with all of its history
  abandon = 4,   ///< takes away what came so far, some of it at a time
  datasets = 5,  ///< once it is finished: datasets of its tenant that are not there yet
};
/// One slice of the import of one model's history. `history` names that history: the hash of its times and records.
/// Bodies: look: version UUIDs, release UUIDs, run UUIDs, 16 bytes each, then datasets: fingerprint (32), file (32),
/// rows (u64), each; records, datasets: an archive's records, in the order of an import.
struct ImportRequest {
  Uuid idem;
  std::string tenant, model;
  Hash256 history;
  ImportStep step = ImportStep::look;
  std::uint64_t from = 0;  ///< begin, records: how many came before; finish: how many records there are
  std::vector<std::int64_t> times;
  static constexpr std::string_view op = "import";
};
enum class ImportState : std::uint8_t {
  absent = 0,     ///< nothing of it is there
  under_way = 1,  ///< begun and not finished: nobody sees it
  there = 2,      ///< this history was imported
};
struct ImportReply {
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;  ///< of the commit that finished it; 0: it isn't
  ImportState state = ImportState::absent;
  std::uint64_t commits = 0;  ///< that have an epoch
  std::uint64_t records = 0;  ///< that came
  std::uint64_t versions = 0, without_artefact = 0;
  Uuid receipt;          ///< of the import, once it is finished
  std::string conflict;  ///< look: what stands in its way; empty: nothing
};

/// How far an import is: the registry's record of it (docs/registry-keys.md, table h).
struct ClaimedEpochs {
  std::uint64_t commits = 0;  ///< how many
  std::uint64_t epoch = 0;    ///< of the first; those of the others follow
};
struct ImportRecord {
  Hash256 history;
  Uuid receipt;
  std::string principal;
  std::int64_t begun_us = 0;
  std::vector<ClaimedEpochs> claimed;
  std::int64_t last_time_us = 0;       ///< of the last commit that has an epoch
  std::uint64_t records = 0;           ///< that came
  std::uint64_t commit = 0;            ///< of the last of them
  std::uint64_t blocks_of_commit = 0;  ///< of its versions in the search index
  std::int64_t moved_left = 0;         ///< nodes that its releases moved and whose entries are yet to come
  std::uint64_t versions = 0, without_artefact = 0;
  std::uint64_t epoch = 0;  ///< of the commit that finished it; 0: it isn't
  std::int64_t finished_us = 0;
  /// While it is abandoned: keys of the last run and of the last record that were removed. Those before need not be
  /// passed again.
  std::string cleared_run, cleared;
  bool has_runs_only = false;  ///< the model has never had a version, nor any other state
};

}  // namespace espalier::wire
