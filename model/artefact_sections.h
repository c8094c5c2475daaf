// The outer shell of an artefact: header, section table, checksums, padding. What the sections hold is artefact.cc's.
//
// Thread safety: pure functions. Ownership: sections are views into the bytes.
// Errors: corrupt or unimplemented, naming the place.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "model/artefact.h"
#include "model/artefact_layout.h"

namespace espalier::model {

struct ArtefactHeader {
  Task task = Task::regression;
  TargetTransform transform = TargetTransform::identity;
  bool original_scale = true;
  WeightFormat format = WeightFormat::dense_f32;
  std::uint32_t outputs = 1;
  std::uint32_t features = 0;
  Hash256 base;
};

struct ArtefactSections {
  ArtefactHeader header;
  /// By number of the kind; nothing where the artefact has no such section.
  std::array<std::optional<std::string_view>, kLastKnownSection + 1> known;

  const std::optional<std::string_view>& operator[](SectionKind kind) const {
    return known[static_cast<std::size_t>(kind)];
  }
};

Result<ArtefactSections> read_sections(std::string_view bytes);

/// Sections by ascending kind.
std::string write_sections(const ArtefactHeader& header,
                           const std::vector<std::pair<SectionKind, std::string>>& sections);

/// "classes", "program" and so on.
std::string_view section_name(SectionKind kind);

}  // namespace espalier::model
