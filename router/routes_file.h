// What a router knew of the cluster when it last wrote it down: enough to answer after a restart while the registry is
// away. The format is docs/state-files.md.
//
// Thread safety: pure functions; a RoutesFile belongs to the control thread. Ownership: borrows the Files. Errors:
// corrupt, naming the file and what does not hold.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/files.h"
#include "common/status.h"
#include "router/routes.h"

namespace espalier::router {

/// Generation, epoch, view and models; not the number, which is the process's own.
std::string encode_routes(const Routes& routes);
/// corrupt: damaged, cut short, of something else, or made by a newer Espalier.
Result<std::unique_ptr<Routes>> decode_routes(std::string_view bytes);

class RoutesFile {
 public:
  RoutesFile(Files& files, std::string path) : files_(files), path_(std::move(path)) {}

  /// not_found: none was written. corrupt: it does not hold; it stays until the next save().
  Result<std::unique_ptr<Routes>> load() const;
  /// After a crash in between the old content or the new one is there.
  Status save(const Routes& routes) { return files_.replace(path_, encode_routes(routes)); }

 private:
  Files& files_;
  const std::string path_;
};

}  // namespace espalier::router
