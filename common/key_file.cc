#include "common/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "common/bytes.h"

namespace espalier {
namespace {

constexpr std::size_t kMaxBytes = 4096;
constexpr std::size_t kMaxNameBytes = 64;

Status key_failure(const std::string& path, std::string_view action) {
  const int error = errno;
  Code code = Code::unavailable;
  if (error == ENOENT) code = Code::not_found;
  if (error == EEXIST) code = Code::already_exists;
  if (error == EACCES || error == EPERM) code = Code::permission_denied;
  if (error == ENOSPC || error == EDQUOT) code = Code::resource_exhausted;
  if (error == ELOOP) return failed_precondition(path + ": is a link, a key file must not be");
  return {code, std::string(path).append(": ").append(action).append(": ").append(std::strerror(error))};
}

class KeyDescriptor {
 public:
  explicit KeyDescriptor(int fd) : fd_(fd) {}
  ~KeyDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  KeyDescriptor(const KeyDescriptor&) = delete;
  KeyDescriptor& operator=(const KeyDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status check_private(const std::string& path, const struct stat& about) {
  if (!S_ISREG(about.st_mode)) return failed_precondition(path + ": is no ordinary file");
  if (about.st_uid != ::geteuid() && about.st_uid != 0) {
    return Status(Code::permission_denied, path + ": belongs to another user");
  }
  if ((about.st_mode & 077) == 0) return {};
  std::array<char, 8> mode{};
  std::snprintf(mode.data(), mode.size(), "%04o", static_cast<unsigned>(about.st_mode & 07777));
  return Status(Code::permission_denied,
                path + ": others than its owner may use it (mode " + mode.data() +
                    "); a key that others could read is not used: make a new one, or chmod 600");
}

bool is_name(std::string_view name) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > kMaxNameBytes || !is_plain(name.front())) return false;
  for (const char c : name) {
    if (!is_plain(c) && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

/// `word = "value"`; nothing where it is another line.
std::optional<std::pair<std::string_view, std::string_view>> parse_line(std::string_view line) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const auto trim = [](std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
  };
  std::string_view value = trim(line.substr(equals + 1));
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::nullopt;
  return std::pair{trim(line.substr(0, equals)), value.substr(1, value.size() - 2)};
}

struct Members {
  std::optional<std::string_view> format, name, public_key, secret;

  std::optional<std::string_view>* find(std::string_view word) {
    if (word == "espalier-key") return &format;
    if (word == "name") return &name;
    if (word == "public") return &public_key;
    return word == "secret" ? &secret : nullptr;
  }
};

Result<KeyFile> parse_key(std::string_view text) {
  Members members;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos || line.front() == '#') continue;
    const auto parsed = parse_line(line);
    auto* member = parsed ? members.find(parsed->first) : nullptr;
    if (member == nullptr || *member)
      return corrupt("line " + std::to_string(number) + " doesn't belong in a key file");
    *member = parsed->second;
  }
  if (!members.format) return corrupt("is no key file");
  if (*members.format != "1") return Status(Code::unimplemented, "is a key file of a newer Espalier");
  if (!members.name || !is_name(*members.name)) return corrupt("has no proper name");
  if (!members.secret || !members.public_key) return corrupt("a half of the key is missing");
  const auto pair = KeyPair::from_secret(*members.secret);
  const auto public_key = PublicKey::parse(*members.public_key);
  if (!pair.ok() || !public_key.ok()) return corrupt("a half of the key is not 64 hexadecimal digits");
  if ((*pair)->public_key() != *public_key) return corrupt("public and secret don't belong together");
  return KeyFile{std::string(*members.name), *pair};
}

Status write_text(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return key_failure(path, "write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return key_failure(path, "sync");
  return {};
}

Status sync_folder_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  const KeyDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || ::fsync(opened.get()) != 0) return key_failure(folder, "sync");
  return {};
}

}  // namespace

Result<KeyFile> read_key_file(const std::string& path) {
  const KeyDescriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) return key_failure(path, "open");
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return key_failure(path, "stat");
  RETURN_IF_ERROR(check_private(path, about));
  std::string text(kMaxBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return key_failure(path, "read");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  Result<KeyFile> key =
      size > kMaxBytes ? corrupt("is no key file") : parse_key(std::string_view(text).substr(0, size));
  wipe(text);
  if (!key.ok()) return key.status().at(path);
  return key;
}

Status write_key_file(const std::string& path, const KeyFile& key) {
  if (!is_name(key.name)) return invalid_argument("name: a key can't be called that");
  std::string secret = to_hex(key.pair->secret());
  std::string text;
  text.reserve(kMaxBytes);  // it never moves: a place that it left wouldn't be wiped
  text.append("# A key of Espalier: whoever has this file is ").append(key.name);
  text.append(".\nespalier-key = \"1\"\nname = \"").append(key.name);
  text.append("\"\npublic = \"").append(key.pair->public_key().hex());
  text.append("\"\nsecret = \"").append(secret).append("\"\n");
  wipe(secret);
  std::string temporary = path + ".XXXXXX";
  const KeyDescriptor file(::mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600, a name that nothing had
  Status status = file.get() < 0 ? key_failure(path, "make") : write_text(file.get(), path, text);
  wipe(text);
  if (file.get() < 0) return status;
  // Unlike a rename, a link never takes the place of another file.
  if (status.ok() && ::link(temporary.c_str(), path.c_str()) != 0) status = key_failure(path, "make");
  ::unlink(temporary.c_str());
  if (status.ok()) status = sync_folder_of(path);
  return status;
}

}  // namespace espalier
