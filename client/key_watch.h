// Keeps a process's Keyring as the registry says (docs/keys.md): asks for the keys, and again as soon as there are
// others. The last known ones go on counting while the registry is away, also after a restart, from a file.
//
// Thread safety: start() and the destructor on one thread; the Keyring is fed on a thread of the KeyWatch's own.
// Ownership: owns the Keyring; context, files and clock outlive it, and it outlives the sockets that bind with keys.
// Errors: are logged, and what failed is tried again.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/registry_client.h"
#include "common/clock.h"
#include "common/files.h"
#include "common/status.h"
#include "wire/keyring.h"

namespace espalier::client {

class KeyWatch {
 public:
  struct Options {
    std::string process;                 ///< for the log: router, shard
    std::vector<std::string> registry;   ///< endpoints
    std::shared_ptr<const KeyPair> key;  ///< of the process
    std::string file;                    ///< of the keys that were known last; empty: they are not kept
    bool insecure = false;               ///< the registry may be asked over connections that aren't secured
  };

  /// The keys of the file count when this returns; those of the registry once it has answered.
  static Result<std::unique_ptr<KeyWatch>> start(wire::Context& context, Options options, Files& files,
                                                 const Clock& clock);
  ~KeyWatch();
  KeyWatch(const KeyWatch&) = delete;
  KeyWatch& operator=(const KeyWatch&) = delete;

  wire::Keyring& keyring() { return *keyring_; }

 private:
  KeyWatch(Options options, Files& files, const Clock& clock)
      : options_(std::move(options)), files_(files), clock_(clock) {}
  void restore();
  void save();
  void run();
  void wait(std::int64_t us);
  Status step();
  void count();
  std::int64_t left_us() const;
  Result<wire::KeysReply> ask();

  const Options options_;
  Files& files_;
  const Clock& clock_;
  std::unique_ptr<wire::Keyring> keyring_;
  std::unique_ptr<RegistryClient> registry_;
  int stop_fd_ = -1;
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
  // Its thread's, once it runs.
  wire::KeysReply known_;
  bool has_known_ = false;
  bool has_unsaved_ = false;
  std::int64_t end_us_ = 0;  ///< clock on the wall: then one of them ends by itself; 0: none does
};

std::string encode_keys(const wire::KeysReply& keys);
/// corrupt: damaged, or made by a newer Espalier.
Result<wire::KeysReply> decode_keys(std::string_view bytes);

}  // namespace espalier::client
