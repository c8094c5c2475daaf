// Key files: a name and a key pair, readable by their owner only (docs/keys.md has the format).
//
// Thread safety: pure functions over the file system. Errors name the path and the line, never what stands there.
#pragma once

#include <memory>
#include <string>

#include "common/curve_key.h"
#include "common/status.h"

namespace espalier {

struct KeyFile {
  std::string name;
  std::shared_ptr<const KeyPair> pair;
};

/// permission_denied: somebody else owns it, or others than its owner may read or write it. failed_precondition: it is
/// a link or no ordinary file. not_found; corrupt: it is no key file, or its halves don't belong together.
Result<KeyFile> read_key_file(const std::string& path);

/// Makes the file with mode 0600: whole and on the disk, or not at all. already_exists: something has that name.
Status write_key_file(const std::string& path, const KeyFile& key);

}  // namespace espalier
