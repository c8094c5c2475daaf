#include "wire/endpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "common/log.h"

namespace espalier::wire {
namespace {

constexpr std::size_t kKeyDigits = 64;
constexpr std::string_view kIpc = "ipc://";

/// Others can't pass through a folder that they may not enter.
bool is_closed(const std::filesystem::path& folder) {
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0 || !S_ISDIR(about.st_mode)) return false;
  return (about.st_uid == ::geteuid() || about.st_uid == 0) && (about.st_mode & 077) == 0;
}

}  // namespace

Endpoint parse_endpoint(std::string_view text) {
  const std::size_t mark = text.rfind('#');
  if (mark != std::string_view::npos && text.size() - mark - 1 == kKeyDigits) {
    if (const auto key = PublicKey::parse(text.substr(mark + 1)); key.ok()) {
      return {std::string(text.substr(0, mark)), *key};
    }
  }
  return {std::string(text), std::nullopt};
}

std::string endpoint_text(const Endpoint& endpoint) {
  return endpoint.key ? endpoint.address + "#" + endpoint.key->hex() : endpoint.address;
}

bool is_private(std::string_view address) {
  if (address.starts_with("inproc://")) return true;
  if (!address.starts_with(kIpc) || address.substr(kIpc.size()).starts_with('@')) return false;
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(std::string(address.substr(kIpc.size())), error);
  if (error) return false;
  // As the system will find it, whatever links there are on the way.
  path = std::filesystem::weakly_canonical(path.parent_path(), error);
  if (error) return false;
  for (;; path = path.parent_path()) {
    if (is_closed(path)) return true;
    if (path == path.root_path() || path.empty()) return false;
  }
}

Status check_secured(const Endpoint& endpoint, bool insecure) {
  if (endpoint.key || insecure || is_private(endpoint.address)) return {};
  if (!endpoint.address.starts_with("tcp://") && !endpoint.address.starts_with(kIpc)) {
    return invalid_argument("'" + endpoint.address.substr(0, 128) + "' is no endpoint: tcp://HOST:PORT or ipc://PATH");
  }
  return failed_precondition(endpoint.address +
                             ": anybody could answer there or listen in; write the endpoint with the public key of who "
                             "listens there (ADDRESS#KEY, as that process prints it), or say --insecure");
}

Status check_connect(std::string_view process, std::string_view endpoint, bool insecure) {
  const Endpoint parsed = parse_endpoint(endpoint);
  RETURN_IF_ERROR(check_secured(parsed, insecure));
  if (insecure && check_secured(parsed, false).code() == Code::failed_precondition) {
    log::warn(process, "the connection is not secured: anybody could answer in its stead or listen in",
              {{"address", parsed.address}});
  }
  return {};
}

Status check_listen(std::string_view process, std::string_view endpoint, bool has_key, bool insecure) {
  const std::string address = parse_endpoint(endpoint).address;
  if (has_key || is_private(address)) return {};
  if (!insecure) {
    return failed_precondition(
        address + ": anybody who reaches it could ask anything; give the process a key (--key), or say --insecure");
  }
  log::warn(process, "connections are not secured: anybody who reaches this address may do everything",
            {{"address", address}});
  return {};
}

}  // namespace espalier::wire
