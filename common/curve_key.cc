#include "common/curve_key.h"

#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "common/bytes.h"

namespace espalier {
namespace {

void need_sodium() {
  // Without random numbers there are no keys, and nothing else to fall back on.
  [[maybe_unused]] static const bool ready = [] {
    if (sodium_init() < 0) std::abort();
    return true;
  }();
}

}  // namespace

void KeyPair::derive_public() { crypto_scalarmult_base(public_.bytes.data(), secret_.data()); }

std::shared_ptr<const KeyPair> KeyPair::make() {
  need_sodium();
  std::shared_ptr<KeyPair> pair(new KeyPair());
  randombytes_buf(pair->secret_.data(), pair->secret_.size());
  pair->derive_public();
  return pair;
}

Result<std::shared_ptr<const KeyPair>> KeyPair::from_secret(std::string_view hex) {
  need_sodium();
  std::optional<std::string> raw = from_hex(hex);
  if (!raw || raw->size() != sizeof(secret_)) return invalid_argument("secret: 64 hexadecimal digits are needed");
  std::shared_ptr<KeyPair> pair(new KeyPair());
  std::copy(raw->begin(), raw->end(), pair->secret_.begin());
  wipe(*raw);
  pair->derive_public();
  return std::shared_ptr<const KeyPair>(std::move(pair));
}

KeyPair::~KeyPair() { sodium_memzero(secret_.data(), secret_.size()); }

void wipe(std::string& text) {
  sodium_memzero(text.data(), text.size());
  text.clear();
}

}  // namespace espalier
