#include "model/artefact_sections.h"

#include <algorithm>
#include <cstring>

#include "common/bytes.h"

namespace espalier::model {
namespace {

Status unimplemented(std::string message) { return Status(Code::unimplemented, std::move(message)); }

struct Entry {
  std::uint32_t kind;
  std::uint32_t flags;
  std::uint64_t offset;
  std::uint64_t size;
  std::uint64_t checksum;
};

Entry entry_at(std::string_view bytes, std::uint32_t number) {
  const char* from = bytes.data() + kArtefactHeaderBytes + std::size_t{number} * kSectionEntryBytes;
  return {load<std::uint32_t>(from), load<std::uint32_t>(from + 4), load<std::uint64_t>(from + 8),
          load<std::uint64_t>(from + 16), load<std::uint64_t>(from + 24)};
}

/// Over the header up to its checksum, then the section table.
std::uint64_t header_checksum(std::string_view bytes, std::size_t table_bytes) {
  std::string covered(bytes.substr(0, artefact_header::kChecksum));
  covered.append(bytes.substr(kArtefactHeaderBytes, table_bytes));
  return xxh3_64(covered);
}

/// Everything that must hold before the section table can be looked at.
Status check_frame(std::string_view bytes) {
  namespace at = artefact_header;
  if (bytes.size() < kArtefactHeaderBytes)
    return corrupt("an artefact of " + std::to_string(bytes.size()) + " bytes is shorter than its header");
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 != 0) {
    return invalid_argument("the bytes of an artefact must lie at a multiple of 8");
  }
  if (bytes.substr(0, kArtefactMagic.size()) != kArtefactMagic) return corrupt("header.magic: not an artefact");
  // The version comes before the checksum: a later version may place its checksum elsewhere.
  const auto version = load<std::uint32_t>(bytes.data() + at::kVersion);
  if (version == 0) return corrupt("header.version is 0");
  if (version > kArtefactVersion) {
    return unimplemented("header.version " + std::to_string(version) + ", this build reads up to " +
                         std::to_string(kArtefactVersion));
  }
  const auto total = load<std::uint64_t>(bytes.data() + at::kTotalSize);
  if (total != bytes.size()) {
    return corrupt("header.total_size is " + std::to_string(total) + ", the artefact has " +
                   std::to_string(bytes.size()) + " bytes");
  }
  if (total > kMaxArtefactBytes) return corrupt("header.total_size is beyond the limit");
  const auto count = load<std::uint32_t>(bytes.data() + at::kSectionCount);
  const std::uint64_t table = std::uint64_t{count} * kSectionEntryBytes;
  if (count > kMaxSections || kArtefactHeaderBytes + table > bytes.size()) {
    return corrupt("header.section_count " + std::to_string(count) + " does not fit");
  }
  if (load<std::uint64_t>(bytes.data() + at::kChecksum) != header_checksum(bytes, table)) {
    return corrupt("header.checksum does not hold");
  }
  return {};
}

Result<ArtefactHeader> read_header(std::string_view bytes) {
  namespace at = artefact_header;
  const char* from = bytes.data();
  ArtefactHeader header;
  const auto task = load<std::uint8_t>(from + at::kTask);
  const auto transform = load<std::uint8_t>(from + at::kTransform);
  const auto flags = load<std::uint8_t>(from + at::kFlags);
  const auto format = load<std::uint8_t>(from + at::kWeightFormat);
  if (task > static_cast<std::uint8_t>(Task::multiclass)) return unimplemented("header.task " + std::to_string(task));
  if (transform > static_cast<std::uint8_t>(TargetTransform::sqrt))
    return unimplemented("header.transform " + std::to_string(transform));
  if ((flags & ~kFlagOriginalScale) != 0) return unimplemented("header.flags " + std::to_string(flags));
  if (format > static_cast<std::uint8_t>(WeightFormat::sparse_i8))
    return unimplemented("header.weight_format " + std::to_string(format));
  if (!is_zero(bytes.substr(at::kReserved, at::kChecksum - at::kReserved)))
    return unimplemented("header.reserved is in use");
  header.task = static_cast<Task>(task);
  header.transform = static_cast<TargetTransform>(transform);
  header.original_scale = (flags & kFlagOriginalScale) != 0;
  header.format = static_cast<WeightFormat>(format);
  header.outputs = load<std::uint32_t>(from + at::kOutputs);
  header.features = load<std::uint32_t>(from + at::kFeatures);
  ASSIGN_OR_RETURN(header.base, Hash256::from_bytes(bytes.substr(at::kBase, 32)));
  const bool is_multiclass = header.task == Task::multiclass;
  if (is_multiclass ? header.outputs < 2 || header.outputs > kMaxOutputs : header.outputs != 1) {
    return corrupt("header.outputs " + std::to_string(header.outputs) + " does not go with the task");
  }
  if (header.task != Task::regression && header.transform != TargetTransform::identity) {
    return corrupt("header.transform goes with regression only");
  }
  return header;
}

/// `end` is where the section before ended; moved to the end of this one.
Status check_entry(std::string_view bytes, const Entry& entry, const std::string& place, std::uint64_t& end) {
  if ((entry.flags & ~kSectionOptional) != 0) return unimplemented(place + ".flags " + std::to_string(entry.flags));
  if (entry.offset != aligned(end))
    return corrupt(place + ".offset " + std::to_string(entry.offset) + " is not the next multiple of 64");
  if (entry.offset > bytes.size() || entry.size > bytes.size() - entry.offset)
    return corrupt(place + " reaches beyond the artefact");
  if (!is_zero(bytes.substr(end, entry.offset - end))) return corrupt("the bytes before " + place + " are not zero");
  if (xxh3_64(bytes.substr(entry.offset, entry.size)) != entry.checksum)
    return corrupt(place + ".checksum does not hold");
  end = entry.offset + entry.size;
  return {};
}

}  // namespace

std::string_view section_name(SectionKind kind) {
  switch (kind) {
    case SectionKind::classes: return "classes";
    case SectionKind::program: return "program";
    case SectionKind::parameters: return "parameters";
    case SectionKind::bias: return "bias";
    case SectionKind::probes: return "probes";
  }
  return "unknown";
}

Result<ArtefactSections> read_sections(std::string_view bytes) {
  RETURN_IF_ERROR(check_frame(bytes));
  ArtefactSections result;
  ASSIGN_OR_RETURN(result.header, read_header(bytes));
  const auto count = load<std::uint32_t>(bytes.data() + artefact_header::kSectionCount);
  std::uint64_t end = kArtefactHeaderBytes + std::size_t{count} * kSectionEntryBytes;
  std::uint32_t last_kind = 0;
  for (std::uint32_t number = 0; number < count; ++number) {
    const Entry entry = entry_at(bytes, number);
    const std::string place = "sections[" + std::to_string(number) + "]";
    if (entry.kind <= last_kind) return corrupt(place + ".kind does not ascend");
    last_kind = entry.kind;
    RETURN_IF_ERROR(check_entry(bytes, entry, place, end));
    if (entry.kind <= kLastKnownSection) {
      result.known[entry.kind] = bytes.substr(entry.offset, entry.size);
    } else if ((entry.flags & kSectionOptional) == 0) {
      return unimplemented(place + ".kind " + std::to_string(entry.kind));
    }
  }
  if (end != bytes.size()) return corrupt("bytes after the last section");
  for (const SectionKind kind : {SectionKind::program, SectionKind::parameters, SectionKind::bias}) {
    if (!result[kind]) return corrupt("no section " + std::string(section_name(kind)));
  }
  if (result[SectionKind::classes].has_value() != (result.header.task != Task::regression)) {
    return corrupt("the section classes does not go with the task");
  }
  return result;
}

std::string write_sections(const ArtefactHeader& header,
                           const std::vector<std::pair<SectionKind, std::string>>& sections) {
  namespace at = artefact_header;
  std::string bytes(kArtefactMagic);
  append(bytes, kArtefactVersion);
  append(bytes, static_cast<std::uint32_t>(sections.size()));
  append<std::uint64_t>(bytes, 0);
  append(bytes, static_cast<std::uint8_t>(header.task));
  append(bytes, static_cast<std::uint8_t>(header.transform));
  append(bytes, static_cast<std::uint8_t>(header.original_scale ? kFlagOriginalScale : 0));
  append(bytes, static_cast<std::uint8_t>(header.format));
  append(bytes, header.outputs);
  bytes.append(header.base.view());
  append(bytes, header.features);
  bytes.resize(kArtefactHeaderBytes);
  const std::size_t table_bytes = sections.size() * kSectionEntryBytes;
  std::uint64_t end = kArtefactHeaderBytes + table_bytes;
  for (const auto& [kind, content] : sections) {
    append(bytes, static_cast<std::uint32_t>(kind));
    append<std::uint32_t>(bytes, kind == SectionKind::probes ? kSectionOptional : 0);
    append<std::uint64_t>(bytes, aligned(end));
    append<std::uint64_t>(bytes, content.size());
    append(bytes, xxh3_64(content));
    end = aligned(end) + content.size();
  }
  for (const auto& [kind, content] : sections) {
    bytes.resize(aligned(bytes.size()));
    bytes += content;
  }
  const std::uint64_t total = bytes.size();
  std::memcpy(bytes.data() + at::kTotalSize, &total, sizeof total);
  const std::uint64_t checksum = header_checksum(bytes, table_bytes);
  std::memcpy(bytes.data() + at::kChecksum, &checksum, sizeof checksum);
  return bytes;
}

}  // namespace espalier::model
