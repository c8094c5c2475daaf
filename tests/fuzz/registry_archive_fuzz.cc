// Whatever bytes stand in an archive: they are refused, or read whole and within their bounds. Checksums are made right
// again for half of the inputs, so that what is behind them is tried as well.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/hash.h"
#include "registry/keys.h"
#include "registry/moving/history.h"
#include "registry/upkeep/archive.h"
#include "tests/support/fuzz_driver.h"
#include "tests/support/temp_dir.h"
#include "wire/dataset_messages.h"
#include "wire/messages.h"
#include "wire/run_messages.h"

namespace {

using namespace espalier;
using namespace espalier::registry::upkeep;

constexpr std::size_t kHead = 64, kBlockHead = 32;

void put(std::string& bytes, std::size_t at, std::uint64_t number) {
  std::memcpy(bytes.data() + at, &number, sizeof number);
}

std::string repaired(std::string_view input) {
  std::string bytes(input);
  if (bytes.size() < kHead) return bytes;
  put(bytes, kHead - 8, xxh3_64(std::string_view(bytes).substr(0, kHead - 8)));
  for (std::size_t at = kHead; at + kBlockHead <= bytes.size();) {
    const auto size = load<std::uint64_t>(bytes.data() + at + 8);
    const std::size_t begin = at + kBlockHead;
    if (size <= bytes.size() - begin) {
      const std::string_view payload = std::string_view(bytes).substr(begin, size);
      if (bytes[at] == 3 && size == 56) {
        const Hash256 hash = blake2b_256(std::string_view(bytes).substr(0, at));
        std::memcpy(bytes.data() + begin + 24, hash.bytes.data(), hash.bytes.size());
      }
      put(bytes, at + 16, xxh3_64(payload));
    }
    put(bytes, at + 24, xxh3_64(std::string_view(bytes).substr(at, 24)));
    if (size > bytes.size() - begin) break;
    at = begin + size;
  }
  return bytes;
}

bool use(std::string_view bytes) {
  const auto archive = Archive::read(bytes);
  if (!archive.ok()) {
    const Code code = archive.status().code();
    if (code != Code::corrupt && code != Code::unimplemented) std::abort();
    return false;
  }
  std::uint64_t read = 0, records = 0, artefacts = 0;
  const Status first = (*archive)->each_record([&](std::string_view key, std::string_view value) {
    ++records;
    read += key.size() + value.size();
    return Status();
  });
  const Status second =
      (*archive)->each_artefact([&](std::string_view tenant, const Hash256& hash, std::string_view artefact) {
        ++artefacts;
        read += tenant.size() + artefact.size();
        if (blake2b_256(artefact) != hash) std::abort();
        return Status();
      });
  // Records that are no history's are refused; what is taken has its commits.
  const auto histories = registry::histories_of(**archive);
  for (std::size_t i = 0; histories.ok() && i < histories->size(); ++i) {
    if ((*histories)[i].records.back().commit != (*histories)[i].times.size()) std::abort();
  }
  if (!first.ok() || !second.ok() || read > bytes.size()) std::abort();
  if (records != (*archive)->counts().records || artefacts != (*archive)->counts().artefacts) std::abort();
  return true;
}

bool target(std::string_view input) {
  const bool is_taken = use(input);
  return use(repaired(input)) || is_taken;
}

std::string archive_of(ArchiveKind kind, const std::string& records, std::uint64_t count) {
  const espalier::testing::TempDir folder;
  auto writer = ArchiveWriter::make(Files::system(), folder / "seed", {1, 2, 3, 1, kind});
  if (!writer.ok()) std::exit(1);
  std::string artefacts;
  append_artefact(artefacts, "acme", blake2b_256("bytes"), "bytes");
  const bool good = (*writer)->add(BlockKind::records, records).ok() &&
                    (*writer)->add(BlockKind::artefacts, artefacts).ok() && (*writer)->finish({count, 1, 5}).ok();
  const auto bytes = Files::system().read(folder / "seed");
  if (!good || !bytes.ok()) std::exit(1);
  return *bytes;
}

std::string registry_seed() {
  std::string records;
  append_record(records, "A", "value");
  append_record(records, "B", std::string(100, 'b'));
  return archive_of(ArchiveKind::registry, records, 2);
}

std::string histories_seed() {
  namespace keys = registry::keys;
  std::string records, first;
  append(first, std::uint64_t{1});
  append_record(records, keys::history("acme", "total", 5), first);
  append_record(records, keys::model("acme", "total", 1), wire::encode(wire::ModelRecord{}));
  append_record(records, keys::release("acme", "total", 1, Uuid{}), wire::encode(wire::ReleaseRecord{}));
  const std::string tag = keys::tag_prefix("acme", "total", "production");
  append_record(records, keys::node_at(tag, keys::components({"usa"}), 1), "entry");
  const std::string versions = keys::versions_prefix("acme", "total");
  append_record(records, keys::version_at(versions, {}, 1, Uuid{}), wire::encode(wire::VersionRecord{}));
  return archive_of(ArchiveKind::histories, records, 5);
}

/// With a run, its file, and the dataset that it names.
std::string runs_seed() {
  namespace keys = registry::keys;
  std::string records, number;
  append(number, std::uint64_t{1});
  append_record(records, keys::history("acme", "total", 5), number);
  wire::DatasetRecord dataset;
  dataset.dataset = blake2b_256("rows");
  append_record(records, keys::dataset("acme", dataset.dataset) + std::string(8, '\xFE'), wire::encode(dataset));
  const Hash256 file = blake2b_256("file");
  append_record(records, keys::run_file("acme", file), "file");
  const std::string points = keys::run_part("acme", Uuid{}, keys::RunPart::points);
  append_record(records, keys::run_point(points, "rmse", 7, 1, 0), std::string(16, '\1'));
  wire::RunState state;
  state.files = {{"plot.svg", file, 4, 5}};
  append_record(records, keys::run_part_at("acme", Uuid{}, keys::RunPart::state, 1), wire::encode(state));
  wire::RunRecord run;
  run.dataset = dataset.dataset;
  append_record(records, keys::of_model(keys::Table::run, "acme", "total") + keys::run_place(1, Uuid{}),
                wire::encode(run));
  return archive_of(ArchiveKind::histories, records, 6);
}

}  // namespace

int main() { return espalier::testing::run_fuzzer({registry_seed(), histories_seed(), runs_seed()}, target); }
