#include "common/hash.h"

#include <sodium.h>
#include <xxhash.h>

#include "common/bytes.h"

namespace espalier {
namespace {

const unsigned char* data_of(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

/// libsodium picks the fastest code for this machine once; without that it still works, slower.
void prepare_sodium() { [[maybe_unused]] static const int ready = sodium_init(); }

}  // namespace

std::string Hash256::hex() const { return to_hex(view()); }

Result<Hash256> Hash256::from_bytes(std::string_view raw) {
  Hash256 hash;
  if (raw.size() != hash.bytes.size()) {
    return invalid_argument("a hash has 32 bytes, not " + std::to_string(raw.size()));
  }
  std::memcpy(hash.bytes.data(), raw.data(), hash.bytes.size());
  return hash;
}

Result<Hash256> Hash256::parse(std::string_view text) {
  const auto raw = from_hex(text);
  if (!raw || raw->size() != 32) return invalid_argument("a hash is written as 64 hexadecimal digits");
  return from_bytes(*raw);
}

Hash256 blake2b_256(std::string_view bytes) {
  prepare_sodium();
  Hash256 hash;
  crypto_generichash_blake2b(hash.bytes.data(), hash.bytes.size(), data_of(bytes), bytes.size(), nullptr, 0);
  return hash;
}

struct Hasher256::State {
  crypto_generichash_blake2b_state blake;
};

Hasher256::Hasher256() : state_(std::make_unique<State>()) {
  prepare_sodium();
  crypto_generichash_blake2b_init(&state_->blake, nullptr, 0, Hash256{}.bytes.size());
}

Hasher256::~Hasher256() = default;

void Hasher256::update(std::string_view piece) {
  crypto_generichash_blake2b_update(&state_->blake, data_of(piece), piece.size());
}

Hash256 Hasher256::finish() {
  Hash256 hash;
  crypto_generichash_blake2b_final(&state_->blake, hash.bytes.data(), hash.bytes.size());
  return hash;
}

std::uint64_t xxh3_64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::uint64_t xxh3_64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace espalier
