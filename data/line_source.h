// A file as a stream of bytes with a window onto it: what the readers have in common.
//
// Thread safety: belongs to one thread. Errors: not_found, unavailable, naming the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/hash.h"
#include "common/status.h"

namespace espalier::data {

class LineSource {
 public:
  static Result<std::unique_ptr<LineSource>> open(const std::string& path, bool fingerprint);
  ~LineSource();
  LineSource(const LineSource&) = delete;
  LineSource& operator=(const LineSource&) = delete;

  /// What has been read and not been consumed. Changes with more() and consume().
  std::string_view window() const { return {buffer_.data() + begin_, end_ - begin_}; }
  /// Makes the window longer; false at the file's end.
  Result<bool> more();
  void consume(std::size_t bytes) { begin_ += bytes; }

  /// The next line without its line break (LF or CRLF), valid until the next call; nothing at the end.
  Result<std::optional<std::string_view>> next_line();

  const std::string& path() const { return path_; }
  Hash256 fingerprint();

 private:
  LineSource() = default;

  std::string path_;
  int fd_ = -1;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::unique_ptr<Hasher256> hasher_;
};

}  // namespace espalier::data
