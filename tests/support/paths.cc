#include "tests/support/paths.h"

#include <cstdlib>
#include <filesystem>

namespace espalier::testing {
namespace {

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string program(std::string_view name) {
  std::filesystem::path folder = setting("ESPALIER_BIN");
  if (folder.empty()) folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return (folder / name).string();
}

std::string source_folder() { return ESPALIER_SOURCE_FOLDER; }

std::optional<std::string> data_folder() {
  std::filesystem::path folder = setting("ESPALIER_DATA");
  if (folder.empty()) folder = std::filesystem::path(source_folder()).parent_path() / "shared" / "data";
  if (!std::filesystem::is_directory(folder)) return std::nullopt;
  return folder.string();
}

}  // namespace espalier::testing
