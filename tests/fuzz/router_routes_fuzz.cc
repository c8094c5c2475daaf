// Whatever bytes stand in a router's saved routes: refused as corrupt, or read to what is written again the same. Each
// input is tried a second time with its checksum put right.
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/hash.h"
#include "model/ids.h"
#include "router/routes_file.h"
#include "tests/support/fuzz_driver.h"

namespace {

using namespace espalier;

bool use(std::string_view input) {
  const auto routes = router::decode_routes(input);
  if (!routes.ok()) {
    if (routes.status().code() != Code::corrupt) std::abort();
    return false;
  }
  const std::string written = router::encode_routes(**routes);
  const auto again = router::decode_routes(written);
  if (!again.ok() || router::encode_routes(**again) != written) std::abort();
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
  cluster::View view;
  view.number = 5;
  view.shards = {{"s0", {"ipc:///run/s0.sock", "tcp://127.0.0.1:1"}, 2, "rack-1", cluster::ShardState::draining}};
  view.default_spread = 3;
  view.tenants["acme"] = {5, 4};
  router::Routes routes(std::move(view));
  routes.generation = 7;
  routes.epoch = 12;
  SnapshotMap<router::ModelShape>::Editor editor(routes.models);
  for (std::uint32_t i = 0; i < 4; ++i) {
    editor.set(std::make_shared<const router::ModelShape>(
        router::ModelShape{model::model_key("acme", "m" + std::to_string(i)), 2 * i}));
  }
  routes.models = editor.finish();
  return testing::run_fuzzer({router::encode_routes(routes), router::encode_routes(router::Routes(cluster::View{}))},
                             target);
}
