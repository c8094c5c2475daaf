// What stands in the file of the keys that a process knew last, in endpoints, in a key file and in what libzmq notes of
// a connection: refused, or read, and whom a key lets in is never more than its record says. Each input is tried a
// second time with the file's checksum put right.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "client/key_watch.h"
#include "common/bytes.h"
#include "common/files.h"
#include "common/hash.h"
#include "common/key_file.h"
#include "tests/support/fuzz_driver.h"
#include "tests/support/temp_dir.h"
#include "wire/endpoint.h"
#include "wire/keyring.h"

namespace {

using namespace espalier;

std::unique_ptr<testing::TempDir> folder;

std::string repaired(std::string_view input) {
  std::string bytes(input);
  if (bytes.size() < 8) return bytes;
  const std::uint64_t sum = xxh3_64(std::string_view(bytes).substr(0, bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, &sum, sizeof sum);
  return bytes;
}

bool check_keys(std::string_view input) {
  const Result<wire::KeysReply> keys = client::decode_keys(input);
  if (!keys.ok()) {
    if (keys.status().code() != Code::corrupt) std::abort();
    return false;
  }
  if (client::encode_keys(*keys).size() > 2 * input.size() + 1000) std::abort();
  for (const wire::KeyRecord& key : keys->keys) {
    const Principal principal = wire::principal_of(key);
    const bool is_admin = std::ranges::find(key.roles, "admin") != key.roles.end();
    if (principal.may_operate() && !(is_admin && key.all_tenants)) std::abort();
    if (principal.may_route() && !principal.may_operate() &&
        std::ranges::find(key.roles, "router") == key.roles.end()) {
      std::abort();
    }
    (void)wire::is_valid(key, 1'763'672'558'000'000);
  }
  (void)wire::next_end_us(keys->keys, 1'763'672'558'000'000);
  return true;
}

bool check_endpoint(std::string_view input) {
  const wire::Endpoint endpoint = wire::parse_endpoint(input);
  if (!endpoint.key) return endpoint.address == input ? false : (std::abort(), false);
  if (wire::parse_endpoint(wire::endpoint_text(endpoint)).key != endpoint.key) std::abort();
  if (!wire::check_secured(endpoint, false).ok()) std::abort();
  return true;
}

bool check_file(std::string_view input) {
  const std::string path = *folder / "eta.key";
  std::filesystem::remove(path);
  if (!Files::system().replace(path, input).ok()) std::abort();
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const Result<KeyFile> key = read_key_file(path);
  if (key.ok()) return true;
  // Where and why, and never what stands there.
  if (key.status().message().size() > path.size() + 200) std::abort();
  return false;
}

bool target(std::string_view input) {
  const bool is_taken = check_keys(input);
  return check_keys(repaired(input)) | check_endpoint(input) | check_file(input) | is_taken;
}

}  // namespace

int main() {
  if (std::filesystem::exists("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 0);
  folder = std::make_unique<testing::TempDir>();
  const auto pair = KeyPair::make();
  wire::KeysReply keys;
  keys.generation = 7;
  keys.epoch = 12;
  for (const char* role : {"admin", "router", "shard", "predictor"}) {
    wire::KeyRecord key;
    key.name = std::string("key-of-") + role;
    key.roles = {role, "reader"};
    key.tenants = {"acme", "globex"};
    key.all_tenants = role == std::string_view("admin");
    key.halves = {{pair->public_key(), 0}, {KeyPair::make()->public_key(), 1'900'000'000'000'000}};
    keys.keys.push_back(key);
  }
  const std::string path = *folder / "seed.key";
  if (!write_key_file(path, {"eta", pair}).ok()) return 1;
  const int outcome = testing::run_fuzzer({client::encode_keys(keys), *Files::system().read(path),
                                           "tcp://10.0.0.5:4711#" + pair->public_key().hex(), "ipc:///run/a.sock", "7"},
                                          target);
  folder.reset();
  return outcome;
}
