// Whatever open() admits can be predicted with, replayed and described, and its answers are finite.
//
// Mutated bytes nearly always fail at a checksum; so each input is tried a second time with its checksums put right.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/files.h"
#include "common/hash.h"
#include "model/artefact.h"
#include "model/artefact_layout.h"
#include "tests/support/fuzz_driver.h"
#include "tests/support/paths.h"

namespace {

using namespace espalier;
using namespace espalier::model;

template <class T>
void put(std::string& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// The bytes with total size and all checksums as they should be, as far as the table fits.
std::string repaired(std::string_view input) {
  namespace at = artefact_header;
  std::string bytes(input);
  if (bytes.size() < kArtefactHeaderBytes) return bytes;
  put<std::uint64_t>(bytes, at::kTotalSize, bytes.size());
  const auto count = load<std::uint32_t>(bytes.data() + at::kSectionCount);
  const std::size_t fits = (bytes.size() - kArtefactHeaderBytes) / kSectionEntryBytes;
  if (count > fits) return bytes;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t entry = kArtefactHeaderBytes + i * kSectionEntryBytes;
    const auto offset = load<std::uint64_t>(bytes.data() + entry + 8);
    const auto size = load<std::uint64_t>(bytes.data() + entry + 16);
    if (offset > bytes.size() || size > bytes.size() - offset) continue;
    put(bytes, entry + 24, xxh3_64(std::string_view(bytes).substr(offset, size)));
  }
  put(bytes, at::kChecksum,
      xxh3_64(bytes.substr(0, at::kChecksum) + bytes.substr(kArtefactHeaderBytes, count * kSectionEntryBytes)));
  return bytes;
}

void check_output(const Artefact& artefact, const Output& out) {
  if (!std::isfinite(out.value)) std::abort();
  if (out.scores.size() != (artefact.task() == Task::regression ? 0 : artefact.classes().size())) std::abort();
  double sum = 0;
  for (const double score : out.scores) {
    if (!(score >= 0 && score <= 1) || score > out.scores[out.best]) std::abort();
    sum += score;
  }
  if (!out.scores.empty() && std::fabs(sum - 1) > 1e-9) std::abort();
}

bool use(std::string_view bytes) {
  const auto artefact = Artefact::open(bytes);
  if (!artefact.ok()) {
    if (artefact.status().code() != Code::corrupt && artefact.status().code() != Code::unimplemented) std::abort();
    return false;
  }
  Artefact::Scratch scratch;
  Output out;
  const auto& fields = artefact->program().inputs();
  for (const double number : {0.0, 1e300, -2.5}) {
    std::vector<Value> row;
    for (const Field& field : fields) {
      row.push_back(field.type == FieldType::number ? Value::of(number) : Value::of("good \xff Night"));
    }
    artefact->predict(row, scratch, out);
    check_output(*artefact, out);
  }
  artefact->predict(std::vector<Value>(fields.size()), scratch, out);
  check_output(*artefact, out);
  static_cast<void>(artefact->replay_probes(scratch));
  if (artefact->describe_json().empty()) std::abort();
  return true;
}

bool target(std::string_view input) {
  const bool is_taken = use(input);
  return use(repaired(input)) || is_taken;
}

}  // namespace

int main() {
  std::vector<std::string> seeds;
  const std::string folder = testing::source_folder() + "/tests/golden/artefact";
  const auto names = Files::system().list(folder);
  if (!names.ok()) return 1;
  for (const std::string& name : *names) {
    const auto bytes = Files::system().read(folder + "/" + name);
    if (!bytes.ok() || !Artefact::open(*bytes).ok()) return 1;
    seeds.push_back(*bytes);
  }
  return testing::run_fuzzer(seeds, target);
}
