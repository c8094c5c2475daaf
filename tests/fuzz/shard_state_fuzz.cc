// Whatever bytes stand in a shard's saved state: refused as corrupt, or read to what is written again the same. Each
// input is tried a second time with its checksum put right.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/hash.h"
#include "shard/state_file.h"
#include "tests/support/fuzz_driver.h"

namespace {

using namespace espalier;

bool use(std::string_view input) {
  const Result<shard::SavedState> state = shard::decode_state(input);
  if (!state.ok()) {
    if (state.status().code() != Code::corrupt) std::abort();
    return false;
  }
  const std::string written = shard::encode_state(*state);
  const Result<shard::SavedState> again = shard::decode_state(written);
  // Many small elements are refused where the bytes that hold them became fewer.
  if (again.ok() && shard::encode_state(*again) != written) std::abort();
  return true;
}

bool target(std::string_view input) {
  const bool is_taken = use(input);
  if (input.size() < 8) return is_taken;
  std::string bytes(input.substr(0, input.size() - 8));
  append<std::uint64_t>(bytes, xxh3_64(bytes));
  return use(bytes) || is_taken;
}

}  // namespace

int main() {
  shard::SavedState state;
  state.generation = 7;
  state.epoch = 12;
  state.view.shards = {{"s0", {"ipc:///run/s0.sock"}, 2, "rack-1", cluster::ShardState::draining}};
  state.view.tenants["acme"] = {5, 4};
  wire::ModelRecord model;
  model.tenant = "acme";
  model.model = "total";
  model.levels = {"country", "town"};
  model.fields = {{"age", model::FieldType::number}};
  model.tags = {"production"};
  state.models = {model, model};
  wire::TagEntry entry;
  entry.partition = {"usa", "fresno"};
  state.tags = {{"acme", "total", "production", Uuid{}, 3, {entry, entry}, {entry}},
                {"acme", "total", "next", {}, 4, {}, {}}};
  return testing::run_fuzzer({shard::encode_state(state), shard::encode_state({})}, target);
}
