#include "data/line_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace espalier::data {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

Result<std::unique_ptr<LineSource>> LineSource::open(const std::string& path, bool fingerprint) {
  std::unique_ptr<LineSource> source(new LineSource);
  source->path_ = path;
  source->fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (source->fd_ < 0) {
    if (errno == ENOENT) return not_found(path + ": no such file");
    return unavailable(path + ": " + std::strerror(errno));
  }
  if (fingerprint) source->hasher_ = std::make_unique<Hasher256>();
  while (source->window().size() < kByteOrderMark.size()) {
    ASSIGN_OR_RETURN(const bool is_more, source->more());
    if (!is_more) break;
  }
  if (source->window().starts_with(kByteOrderMark)) source->consume(kByteOrderMark.size());
  return source;
}

LineSource::~LineSource() {
  if (fd_ >= 0) ::close(fd_);
}

Result<bool> LineSource::more() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kReadBytes) buffer_.resize(end_ + std::max(kReadBytes, end_));
  ssize_t got = 0;
  do {
    got = ::read(fd_, buffer_.data() + end_, kReadBytes);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return unavailable(path_ + ": " + std::strerror(errno));
  if (got == 0) {
    at_end_ = true;
    return false;
  }
  if (hasher_) hasher_->update({buffer_.data() + end_, static_cast<std::size_t>(got)});
  end_ += static_cast<std::size_t>(got);
  return true;
}

Result<std::optional<std::string_view>> LineSource::next_line() {
  std::size_t searched = 0;
  for (;;) {
    const std::string_view open = window();
    const std::size_t end = open.find('\n', searched);
    if (end != std::string_view::npos) {
      consume(end + 1);
      std::string_view line = open.substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);
      return std::optional(line);
    }
    searched = open.size();
    ASSIGN_OR_RETURN(const bool is_more, more());
    if (is_more) continue;
    if (searched == 0) return std::optional<std::string_view>();
    std::string_view line = window();
    consume(line.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
    return std::optional(line);
  }
}

Hash256 LineSource::fingerprint() { return hasher_->finish(); }

}  // namespace espalier::data
