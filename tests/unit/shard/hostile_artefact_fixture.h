// What the tests of hostile artefacts share: honest artefacts of each kind, what reading one cost, and a shard's
// admission that tries one to the end.
//
// Thread safety: one thread. A program with this file counts what each thread allocates.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/artefact.h"
#include "model/pack.h"
#include "shard/admission.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_dir.h"

namespace espalier::shard {

/// What an artefact's reader keeps, whatever its bytes say (docs/artefact-format.md), and what one who asks it takes.
inline std::int64_t kept_for(std::size_t bytes) { return 4 * static_cast<std::int64_t>(bytes) + 4096; }
inline constexpr std::int64_t kWorkingBytes = 64 << 20;
/// How long a second's worth of steps may take here.
inline constexpr double kLongestSeconds = testing::kIsSanitized ? 120 : 5;

/// What this thread has allocated and not given back, and the most since peak_bytes() was set.
std::int64_t live_bytes();
std::int64_t& peak_bytes();
/// Of this thread.
double cpu_seconds();

/// Runs it and says what it cost this thread.
struct Cost {
  std::int64_t kept = 0;
  std::int64_t peak = 0;
  double seconds = 0;

  template <class Work>
  static Cost of(Work&& work) {
    const std::int64_t before = live_bytes();
    peak_bytes() = before;
    const double since = cpu_seconds();
    work();
    return {live_bytes() - before, peak_bytes() - before, cpu_seconds() - since};
  }
};

/// A program fitted on a few rows of numbers and short texts.
std::string fitted(const std::vector<model::FeatureDefinition>& definitions);
model::ArtefactContents contents_of(model::Task task, model::WeightFormat format, std::string program,
                                    std::uint32_t outputs);
/// Rows of the fields that somebody might send: missing, at the limits of numbers, bytes that are no text.
std::vector<std::vector<model::Value>> odd_rows(const std::vector<model::Field>& fields);

struct HonestArtefact {
  std::string name;
  std::string bytes;
};
/// Each task in each format, with a program of every operation; and one whose outputs' numbers take two bytes.
std::vector<HonestArtefact> all_kinds();

/// A field of an artefact: its first byte and how many it has.
struct Place {
  std::size_t at;
  std::size_t width;
};
inline void put(std::string& bytes, Place place, std::uint64_t value) {
  std::memcpy(bytes.data() + place.at, &value, place.width);
}
/// All checksums as they should be for these bytes, as far as the table fits.
void rehash(std::string& bytes);

class HostileArtefactTest : public ::testing::Test {
 protected:
  /// Stores and admits it, as a shard does what it has fetched.
  Result<std::shared_ptr<const Servable>> admit(std::string_view bytes, const std::vector<model::Field>& fields);
  /// All that a hostile artefact may come to: fails where it costs more than is stated, ends in another code than one
  /// of the list, or answers what is no answer.
  void try_artefact(std::string_view bytes, const std::vector<model::Field>& fields);
  void say(const std::string& what) const;

  testing::TempDir folder_;
  std::unique_ptr<model::Pack> pack_ = *model::Pack::open(Files::system(), folder_ / "pack", {});
  Damage damage_;
  Admission admission_{*pack_, damage_, false};
  std::size_t tried_ = 0;
  std::size_t admitted_ = 0;

 private:
  void note(const Cost& cost);

  double slowest_ = 0;
};

}  // namespace espalier::shard
