// The key pair of a process or a person: the public half is known to others, the secret half never leaves its file and
// this class (docs/keys.md).
//
// There is no way to print a pair. Thread safety: immutable once made. Ownership: the secret's bytes are wiped when the
// pair goes.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "common/hash.h"
#include "common/status.h"

namespace espalier {

/// An X25519 key; in text 64 hexadecimal digits.
using PublicKey = Hash256;

class KeyPair {
 public:
  /// A new one, from the system's random numbers.
  static std::shared_ptr<const KeyPair> make();
  /// invalid_argument unless `hex` is 64 hexadecimal digits; the message doesn't repeat them.
  static Result<std::shared_ptr<const KeyPair>> from_secret(std::string_view hex);
  ~KeyPair();
  KeyPair(const KeyPair&) = delete;
  KeyPair& operator=(const KeyPair&) = delete;

  const PublicKey& public_key() const { return public_; }
  /// 32 bytes, for sockets and key files only.
  std::string_view secret() const { return {reinterpret_cast<const char*>(secret_.data()), secret_.size()}; }

 private:
  KeyPair() = default;
  void derive_public();

  PublicKey public_;
  std::array<unsigned char, 32> secret_{};
};

/// Overwrites what a secret was read into.
void wipe(std::string& text);

}  // namespace espalier
