// A folder for one test, gone with it.
//
// Thread safety: path() from any thread. Ownership: the folder and all that is in it.
#pragma once

#include <string>
#include <string_view>

namespace espalier::testing {

class TempDir {
 public:
  /// Makes a new, empty folder under $TMPDIR (or /tmp); a folder that can't be made ends the test program.
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  /// path() + "/" + name
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

}  // namespace espalier::testing
