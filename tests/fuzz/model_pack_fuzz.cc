// A pack opens over any bytes in its segment, offers nothing that reaches beyond them, and takes an artefact all the
// same.
//
// Each input is tried twice: as it is, and with the checksums of all headers put right.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "common/files.h"
#include "common/hash.h"
#include "common/log.h"
#include "model/pack.h"
#include "model/pack_format.h"
#include "tests/support/fuzz_driver.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace espalier;
using namespace espalier::model;

std::unique_ptr<testing::TempDir> folder;

std::string repaired(std::string_view input) {
  std::string bytes(input);
  for (std::size_t at = 0; at + kPackHeaderBytes <= bytes.size(); at += kPackAlignment) {
    if (bytes.compare(at, 3, "ESP") != 0) continue;
    const std::uint64_t checksum = xxh3_64(std::string_view(bytes).substr(at, 56));
    std::memcpy(bytes.data() + at + 56, &checksum, sizeof checksum);
  }
  return bytes;
}

bool use(std::string_view segment) {
  std::filesystem::remove_all(folder->path());
  std::filesystem::create_directory(folder->path());
  std::ofstream(*folder / segment_name(1), std::ios::binary).write(segment.data(), static_cast<long>(segment.size()));
  const auto pack = Pack::open(Files::system(), folder->path(), {1024});
  if (!pack.ok()) {
    if (pack.status().code() != Code::unimplemented) std::abort();
    return false;
  }
  std::uint64_t bytes = 0;
  for (const Hash256& hash : (*pack)->hashes()) {
    bytes += (*pack)->find(hash)->size();
    static_cast<void>((*pack)->verify(hash));
  }
  if (bytes > segment.size()) std::abort();
  const std::string_view artefact = "an artefact that is stored in any case";
  const Hash256 hash = blake2b_256(artefact);
  if (!(*pack)->add(hash, artefact).ok() || (*pack)->find(hash) != artefact) std::abort();
  if (!(*pack)->sync().ok() || !(*pack)->verify(hash).ok()) std::abort();
  return bytes > 0;
}

bool target(std::string_view input) {
  const bool is_taken = use(input);
  return use(repaired(input)) || is_taken;
}

}  // namespace

int main() {
  // A damaged segment is a warning to an operator; here it is the purpose.
  log::set_level(log::Level::error);
  // In memory, where there is such a folder: every input costs some syncs.
  if (std::filesystem::exists("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 0);
  folder = std::make_unique<testing::TempDir>();
  const auto seed = Files::system().read(testing::source_folder() + "/tests/golden/pack/" + segment_name(1));
  if (!seed.ok()) return 1;
  const int outcome = testing::run_fuzzer({*seed}, target);
  folder.reset();
  return outcome;
}
