// Reading and writing msgpack, for the other files of this folder. Bytes from outside are never turned into a tree: a
// Reader moves over them once, refuses a wrong type where it stands and can name the place. So what a hostile message
// can allocate is bounded by its size.
//
// Thread safety: a Reader or Writer belongs to one thread. Ownership: a Reader borrows its bytes, and the texts that it
// gives point into them. Errors: read functions return false and keep the reason, invalid_argument "parts[3].rows:
// expected an unsigned integer, got text".
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "common/status.h"

namespace espalier::wire {

class Reader {
 public:
  enum class Type : std::uint8_t {
    end,
    nil,
    boolean,
    unsigned_integer,
    negative_integer,
    real,
    text,
    binary,
    array,
    map,
    extension,
    reserved,  ///< the byte 0xc1, which msgpack never uses
  };

  explicit Reader(std::string_view bytes, std::string_view name = "header");

  /// The kind of the next value; `end` when there is none.
  Type peek() const;
  bool at_end() const { return at_ == end_; }
  /// Goes on reading at `position`, one that position() gave before.
  void seek(const char* position) { at_ = position; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  const char* position() const { return at_; }

  bool read_nil();
  bool read_bool(bool& to);
  /// An unsigned integer of any width, at most `most`.
  bool read_unsigned(std::uint64_t& to, std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
  bool read_signed(std::int64_t& to);
  /// A finite number: an integer or a float of any width.
  bool read_number(double& to);
  /// UTF-8 text.
  bool read_text(std::string_view& to);
  bool read_binary(std::string_view& to);
  /// Binary of exactly `size` bytes.
  bool read_binary(std::string_view& to, std::size_t size);
  /// How many elements (or pairs) follow. A count that the remaining bytes can't hold is refused here.
  bool read_array(std::uint32_t& count);
  bool read_map(std::uint32_t& count);
  /// Passes over one whole value, however deep, checking only that it is whole.
  bool skip();
  /// The bytes of one whole value.
  bool read_raw(std::string_view& to);
  /// True at the end of the bytes; more bytes are an error.
  bool finish();

  /// Notes that `bytes` of memory are taken for what was read; refuses what is out of proportion to the message's size.
  bool charge(std::size_t bytes);

  /// The way to the value being read, for messages. Keys must outlive the Reader (they are names of members or point
  /// into the bytes).
  void enter(std::string_view key) { push({key.data(), key.size()}); }
  void enter(std::size_t index) { push({nullptr, index}); }
  void leave() { --depth_; }

  /// Keeps "place: what" and returns false. The first failure stays.
  bool fail(std::string_view what);
  bool failed() const { return !status_.ok(); }
  /// REQUIRES: a read failed.
  const Status& status() const { return status_; }
  /// "parts[3].rows"; the name of the bytes at their top.
  std::string place() const;

 private:
  struct Step {
    const char* key;     ///< null: an index
    std::size_t number;  ///< bytes of the key, or the index
  };
  static constexpr std::size_t kMaxSteps = 16;
  struct Head {
    Type type;
    std::uint64_t
        number;  ///< value of an integer (as two's complement), bits of a float, length or count of the others
    std::uint32_t head_bytes;
    bool narrow;  ///< a float of 32 bits
  };

  void push(Step step) {
    if (depth_ < kMaxSteps) steps_[depth_] = step;
    ++depth_;
  }
  /// false: the bytes end within the head, or it is the reserved byte.
  bool head(Head& to) const;
  bool next(Head& to, Type wanted);
  bool wrong(std::string_view wanted);
  bool count_of(Type type, std::uint32_t& count, std::uint64_t least_bytes_each);

  const char* begin_;
  const char* at_;
  const char* end_;
  std::size_t budget_;
  std::string_view name_;
  std::array<Step, kMaxSteps> steps_;  ///< the first depth_ are set
  std::size_t depth_ = 0;
  Status status_;
};

/// Appends msgpack to a string, each number in its shortest form.
class Writer {
 public:
  explicit Writer(std::string& to) : to_(to) {}

  /// The key of a map: a short text.
  void key(std::string_view name) {
    assert(name.size() < 32);
    to_.push_back(static_cast<char>(0xa0 | name.size()));
    to_.append(name);
  }
  void nil();
  void boolean(bool value);
  void number(std::uint64_t value);
  void signed_number(std::int64_t value);
  void real(double value);
  void text(std::string_view value);
  void binary(std::string_view value);
  void array(std::uint32_t count);
  void map(std::uint32_t count);
  /// Bytes that are msgpack already.
  void raw(std::string_view msgpack) { to_.append(msgpack); }

 private:
  std::string& to_;
};

}  // namespace espalier::wire
