#include <cstdio>
#include <string>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/rides.h"

namespace espalier::cli {
namespace {

Status write_rides(std::FILE* file, const SampleDataOptions& options) {
  RideSource rides(options.seed);
  std::string lines = RideSource::header();
  for (std::uint64_t row = 0; row < options.rows; ++row) {
    rides.append_row(lines);
    if (lines.size() < (1u << 16)) continue;
    if (std::fwrite(lines.data(), 1, lines.size(), file) != lines.size()) return unavailable("the write failed");
    lines.clear();
  }
  if (std::fwrite(lines.data(), 1, lines.size(), file) != lines.size()) return unavailable("the write failed");
  return std::fflush(file) == 0 ? Status() : unavailable("the write failed");
}

}  // namespace

Status run_sample_data(const SampleDataOptions& options, const Shared& shared) {
  std::FILE* file = std::fopen(options.file.c_str(), "wb");
  if (file == nullptr) return unavailable(options.file + ": " + system_error_text());
  Status written = write_rides(file, options);
  if (std::fclose(file) != 0 && written.ok()) written = unavailable("the write failed");
  if (!written.ok()) return written.at(options.file);
  if (shared.json)
    print_line("{\"file\":" + json_text(options.file) + ",\"rows\":" + std::to_string(options.rows) + "}");
  else
    print_line(options.file + ": " + std::to_string(options.rows) + " rides");
  return Status();
}

}  // namespace espalier::cli
