#include <nlohmann/json.hpp>

#include "cli/cluster_folder.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/upkeep/upkeep.h"
#include "common/files.h"
#include "registry/upkeep/archive_source.h"
#include "registry/upkeep/stopped.h"

namespace espalier::cli {
namespace {

using registry::upkeep::Archive;
using registry::upkeep::ArchiveCounts;
using registry::upkeep::ArchiveHead;
using registry::upkeep::ArchiveSource;
using registry::upkeep::ArchiveWriter;
using registry::upkeep::BlockKind;

struct WrittenBackup {
  std::string path;
  ArchiveHead head;
  ArchiveCounts counts;
};

/// In a folder: a name of its own.
std::string file_for(const std::string& to, const ArchiveHead& head) {
  Files& files = Files::system();
  if (!files.exists(to) || !files.list(to).ok()) return to;
  std::string time = time_text(head.time_us);
  for (char& c : time) {
    if (c == ' ' || c == ':') c = '-';
  }
  return to + "/registry-" + time + "-epoch-" + std::to_string(head.epoch) + ".espalier";
}

Result<WrittenBackup> backup_stopped(const std::string& folder, const std::string& to) {
  const Clock& clock = Clock::system();
  ASSIGN_OR_RETURN(const auto registry, registry::upkeep::open_stopped(Files::system(), clock, folder));
  ASSIGN_OR_RETURN(const auto source, ArchiveSource::start(*registry.records, clock));
  WrittenBackup written{file_for(to, source->head()), source->head(), {}};
  ASSIGN_OR_RETURN(const auto writer, ArchiveWriter::make(Files::system(), written.path, written.head));
  while (!source->is_done()) {
    ASSIGN_OR_RETURN(const auto blocks, source->step(1'000'000));
    for (const auto& block : blocks) RETURN_IF_ERROR(writer->add(block.kind, block.payload));
  }
  written.counts = source->counts();
  RETURN_IF_ERROR(writer->finish(written.counts));
  return written;
}

Result<WrittenBackup> backup_running(const Shared& shared, const std::string& to) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  wire::ArchiveRequest request;
  request.session = new_uuid();
  WrittenBackup written;
  std::unique_ptr<ArchiveWriter> writer;
  for (bool done = false; !done; ++request.step) {
    wire::Message bodies;
    ASSIGN_OR_RETURN(const wire::ArchiveReply reply,
                     registry->call(request, {}, client::RegistryClient::kDefaultTimeoutUs, &bodies));
    if (bodies.size() != reply.blocks.size()) return corrupt("a reply of the registry has another number of bodies");
    if (!writer) {
      written.head = {reply.generation, reply.epoch, reply.time_us, reply.schema};
      written.path = file_for(to, written.head);
      ASSIGN_OR_RETURN(writer, ArchiveWriter::make(Files::system(), written.path, written.head));
    }
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      RETURN_IF_ERROR(writer->add(static_cast<BlockKind>(reply.blocks[i]), bodies[i].view()));
    }
    written.counts = {reply.records, reply.artefacts, reply.artefact_bytes};
    done = reply.done;
  }
  RETURN_IF_ERROR(writer->finish(written.counts));
  return written;
}

nlohmann::json document(const std::string& path, const ArchiveHead& head, const ArchiveCounts& counts) {
  return {{"file", path},
          {"generation", head.generation},
          {"epoch", head.epoch},
          {"time_us", head.time_us},
          {"records", counts.records},
          {"artefacts", counts.artefacts},
          {"artefact_bytes", counts.artefact_bytes}};
}

std::string counted(const ArchiveCounts& counts) {
  return count_text(counts.records) + " records and " + count_text(counts.artefacts) + " artefacts (" +
         bytes_text(counts.artefact_bytes) + ")";
}

}  // namespace

Status run_registry_backup(const UpkeepOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const WrittenBackup written, options.dir.empty() ? backup_running(shared, options.file)
                                                                    : backup_stopped(options.dir, options.file));
  if (shared.json) {
    print_json(document(written.path, written.head, written.counts));
  } else {
    print_line(written.path + ": " + counted(written.counts) + ", up to epoch " + std::to_string(written.head.epoch));
  }
  return Status();
}

Status run_registry_restore(const UpkeepOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const auto archive, Archive::open(Files::system(), options.file));
  nlohmann::json printed = document(options.file, archive->head(), archive->counts());
  std::string text = options.file + " is whole: " + counted(archive->counts()) + ", up to epoch " +
                     std::to_string(archive->head().epoch);
  if (!options.dry_run) {
    ASSIGN_OR_RETURN(const std::uint64_t generation,
                     registry::upkeep::restore(Files::system(), Clock::system(), *archive, options.dir));
    printed["restored"] = options.dir;
    printed["new_generation"] = generation;
    text += "\nrestored into " + options.dir + ", generation " + std::to_string(generation);
  }
  if (shared.json) {
    print_json(printed);
  } else {
    print_line(text);
  }
  return Status();
}

}  // namespace espalier::cli
