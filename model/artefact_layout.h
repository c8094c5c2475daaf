// The numbers of the artefact format, shared by its reader and its writer (docs/artefact-format.md). They never change.
//
// Thread safety: constants and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace espalier::model {

inline constexpr std::string_view kArtefactMagic = "ESPALART";
inline constexpr std::uint32_t kArtefactVersion = 1;
inline constexpr std::size_t kArtefactHeaderBytes = 96;
inline constexpr std::size_t kSectionEntryBytes = 32;
inline constexpr std::size_t kSectionAlignment = 64;
inline constexpr std::uint32_t kMaxSections = 64;
inline constexpr std::uint32_t kMaxProbes = 1024;
/// All probes together may take so many steps (docs/artefact-format.md), about a second.
inline constexpr std::uint64_t kMaxProbeSteps = std::uint64_t{1} << 28;
inline constexpr std::uint64_t kStepsOfGram = 16;
inline constexpr std::uint32_t kMaxOutputs = 65536;

/// Offsets into the header.
namespace artefact_header {
inline constexpr std::size_t kVersion = 8;
inline constexpr std::size_t kSectionCount = 12;
inline constexpr std::size_t kTotalSize = 16;
inline constexpr std::size_t kTask = 24;
inline constexpr std::size_t kTransform = 25;
inline constexpr std::size_t kFlags = 26;
inline constexpr std::size_t kWeightFormat = 27;
inline constexpr std::size_t kOutputs = 28;
inline constexpr std::size_t kBase = 32;
inline constexpr std::size_t kFeatures = 64;
inline constexpr std::size_t kReserved = 68;
inline constexpr std::size_t kChecksum = 88;
}  // namespace artefact_header

/// Bits of the header's flags.
inline constexpr std::uint8_t kFlagOriginalScale = 1;

enum class SectionKind : std::uint32_t { classes = 1, program = 2, parameters = 3, bias = 4, probes = 5 };
inline constexpr std::uint32_t kLastKnownSection = 5;
/// Bit of an entry's flags: a reader that does not know the kind passes the section over.
inline constexpr std::uint32_t kSectionOptional = 1;

/// How a probe's input begins.
enum class ProbeInput : std::uint8_t { missing = 0, number = 1, text = 2 };

inline constexpr std::uint64_t aligned(std::uint64_t offset) {
  return (offset + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

}  // namespace espalier::model
