// Reading and writing msgpack, for the other files of this folder. Bytes from outside are never turned into a tree: a
// Reader moves over them once, refuses a wrong type where it stands and can name the place. So what a hostile message
// can allocate is bounded by its size.
//
// Thread safety: a Reader or Writer belongs to one thread. Ownership: a Reader borrows its bytes, and the texts that it
// gives point into them. Errors: read functions return false and keep the reason, invalid_argument "parts[3].rows:
// expected an unsigned integer, got text".
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/status.h"

namespace espalier::wire {

/// Whether every byte is below 0x80.
inline bool is_ascii(std::string_view text) {
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t high = 0;
  for (; left >= 8; left -= 8, at += 8) high |= load<std::uint64_t>(at);
  if (left >= 4) high |= load<std::uint32_t>(at) | load<std::uint32_t>(at + left - 4);
  if (left == 1) high |= static_cast<unsigned char>(*at);
  if (left == 2 || left == 3) high |= load<std::uint16_t>(at) | load<std::uint16_t>(at + left - 2);
  return (high & 0x8080808080808080ull) == 0;
}

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
  Type peek() const {
    if (at_ == end_) return Type::end;
    const unsigned b = first_byte();
    return b - 0xd0 < 4 ? type_of_signed() : kTypes[b];
  }
  bool at_end() const { return at_ == end_; }
  /// Goes on reading at `position`, one that position() gave before.
  void seek(const char* position) { at_ = position; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  const char* position() const { return at_; }

  bool read_nil();
  bool read_bool(bool& to);
  /// An unsigned integer of any width, at most `most`.
  bool read_unsigned(std::uint64_t& to, std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    if (at_ == end_ || first_byte() > std::min<std::uint64_t>(most, 0x7f)) return read_any_unsigned(to, most);
    to = first_byte();
    ++at_;
    return true;
  }
  bool read_signed(std::int64_t& to);
  /// A finite number: an integer or a float of any width.
  bool read_number(double& to);
  /// UTF-8 text. Most texts are keys and names: short, ASCII, and there as a whole.
  bool read_text(std::string_view& to) {
    const std::size_t size = at_ == end_ ? 32 : first_byte() ^ 0xa0;
    if (size >= 32 || size >= remaining() || !is_ascii({at_ + 1, size})) return read_any_text(to);
    to = {at_ + 1, size};
    at_ += 1 + size;
    return true;
  }
  bool read_binary(std::string_view& to);
  /// Binary of exactly `size` bytes.
  bool read_binary(std::string_view& to, std::size_t size);
  /// How many elements (or pairs) follow. A count that the remaining bytes can't hold is refused here.
  bool read_array(std::uint32_t& count) { return read_few(0x90, 1, count) || count_of(Type::array, count, 1); }
  bool read_map(std::uint32_t& count) { return read_few(0x80, 2, count) || count_of(Type::map, count, 2); }
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

  static const std::array<Type, 256> kTypes;  ///< by a value's first byte

  unsigned first_byte() const { return static_cast<unsigned char>(*at_); }
  /// A signed form may well hold a number that is not negative.
  Type type_of_signed() const;
  bool read_any_unsigned(std::uint64_t& to, std::uint64_t most);
  bool read_any_text(std::string_view& to);
  /// A count below 16, in its short form, if the bytes can hold so many elements.
  bool read_few(unsigned form, std::size_t least_bytes_each, std::uint32_t& count) {
    const std::size_t few = at_ == end_ ? 16 : first_byte() ^ form;
    if (few >= 16 || few * least_bytes_each >= remaining()) return false;
    count = static_cast<std::uint32_t>(few);
    ++at_;
    return true;
  }

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
  template <std::size_t N>
  void key(const char (&name)[N]) {
    static_assert(N > 1 && N <= 32);
    byte(0xa0 | (N - 1));
    to_.append(name, N - 1);
  }
  void nil();
  void boolean(bool value);
  void number(std::uint64_t value) { value < 0x80 ? byte(value) : long_number(value); }
  void signed_number(std::int64_t value);
  void real(double value);
  void text(std::string_view value) {
    value.size() < 32 ? byte(0xa0 | value.size()) : long_text_head(value.size());
    to_.append(value);
  }
  void binary(std::string_view value) {
    if (value.size() < 256) {
      byte(0xc4);
      byte(value.size());
    } else {
      long_binary_head(value.size());
    }
    to_.append(value);
  }
  void array(std::uint32_t count) { count < 16 ? byte(0x90 | count) : long_array_head(count); }
  void map(std::uint32_t count) { count < 16 ? byte(0x80 | count) : long_map_head(count); }
  /// Bytes that are msgpack already.
  void raw(std::string_view msgpack) { to_.append(msgpack); }

 private:
  void byte(std::uint64_t value) { to_.push_back(static_cast<char>(value)); }
  void long_number(std::uint64_t value);
  void long_text_head(std::size_t bytes);
  void long_binary_head(std::size_t bytes);
  void long_array_head(std::uint32_t count);
  void long_map_head(std::uint32_t count);

  std::string& to_;
};

/// A short text as msgpack, made by the compiler.
template <std::size_t N>
struct Key {
  static_assert(N > 1 && N <= 32);
  char bytes[N];
  consteval Key(const char (&name)[N]) : bytes() {  // NOLINT: implicit by design
    bytes[0] = static_cast<char>(0xa0 | (N - 1));
    for (std::size_t i = 0; i + 1 < N; ++i) bytes[i + 1] = name[i];
  }
};

/// Writes msgpack as a Writer does, to memory that was found large enough before. A value takes at most kHead bytes,
/// beside those of a text or binary.
class Pen {
 public:
  static constexpr std::size_t kHead = 9;

  explicit Pen(char* at) : at_(at) {}
  /// After what was written.
  char* at() const { return at_; }

  template <Key kName>
  void key() {
    std::memcpy(at_, kName.bytes, sizeof kName.bytes);
    at_ += sizeof kName.bytes;
  }
  void boolean(bool value) { byte(value ? 0xc3 : 0xc2); }
  void number(std::uint64_t value) {
    if (value < 0x80) return byte(value);
    if (value <= 0xff) return byte(0xcc), byte(value);
    if (value <= 0xffff) return byte(0xcd), big_endian(__builtin_bswap16(static_cast<std::uint16_t>(value)));
    if (value <= 0xffffffff) return byte(0xce), big_endian(__builtin_bswap32(static_cast<std::uint32_t>(value)));
    byte(0xcf);
    big_endian(__builtin_bswap64(value));
  }
  void signed_number(std::int64_t value) {
    if (value >= 0) return number(static_cast<std::uint64_t>(value));
    if (value >= -32) return byte(static_cast<std::uint64_t>(value) & 0xff);
    if (value >= INT8_MIN) return byte(0xd0), byte(static_cast<std::uint64_t>(value) & 0xff);
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= INT16_MIN) return byte(0xd1), big_endian(__builtin_bswap16(static_cast<std::uint16_t>(bits)));
    if (value >= INT32_MIN) return byte(0xd2), big_endian(__builtin_bswap32(static_cast<std::uint32_t>(bits)));
    byte(0xd3);
    big_endian(__builtin_bswap64(bits));
  }
  void text(std::string_view value) {
    head(0xa0, 32, 0xd9, value.size());
    raw(value);
  }
  void binary(std::string_view value) {
    head(0, 0, 0xc4, value.size());
    raw(value);
  }
  void array(std::uint32_t count) { list(0x90, 0xdc, count); }
  void map(std::uint32_t count) { list(0x80, 0xde, count); }
  /// Bytes that are msgpack already.
  void raw(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

 private:
  void byte(std::uint64_t value) { *at_++ = static_cast<char>(value); }
  template <class T>
  void big_endian(T swapped) {
    std::memcpy(at_, &swapped, sizeof swapped);
    at_ += sizeof swapped;
  }
  /// Of a text or binary: fewer than `few` bytes are said in the first one.
  void head(unsigned short_form, std::size_t few, unsigned form, std::size_t bytes) {
    if (bytes < few) return byte(short_form | bytes);
    if (bytes <= 0xff) return byte(form), byte(bytes);
    if (bytes <= 0xffff) return byte(form + 1), big_endian(__builtin_bswap16(static_cast<std::uint16_t>(bytes)));
    byte(form + 2);
    big_endian(__builtin_bswap32(static_cast<std::uint32_t>(bytes)));
  }
  void list(unsigned short_form, unsigned form, std::uint32_t count) {
    if (count < 16) return byte(short_form | count);
    if (count <= 0xffff) return byte(form), big_endian(__builtin_bswap16(static_cast<std::uint16_t>(count)));
    byte(form + 1);
    big_endian(__builtin_bswap32(count));
  }

  char* at_;
};

/// Whether as many bytes are the same. Compilers call memcmp for most sizes.
template <std::size_t kSize>
bool same_bytes(const char* a, const char* b) {
  const auto differ = [&]<class T>(T, std::size_t at) { return load<T>(a + at) ^ load<T>(b + at); };
  if constexpr (kSize > 16) {
    return std::memcmp(a, b, kSize) == 0;
  } else if constexpr (kSize >= 8) {
    return (differ(std::uint64_t{}, 0) | differ(std::uint64_t{}, kSize - 8)) == 0;
  } else if constexpr (kSize >= 4) {
    return (differ(std::uint32_t{}, 0) | differ(std::uint32_t{}, kSize - 4)) == 0;
  } else if constexpr (kSize >= 2) {
    return (differ(std::uint16_t{}, 0) | differ(std::uint16_t{}, kSize - 2)) == 0;
  } else {
    return *a == *b;
  }
}

/// Whether a key read is this one.
template <std::size_t N>
bool is_key(std::string_view key, const char (&name)[N]) {
  return key.size() == N - 1 && same_bytes<N - 1>(key.data(), name);
}

}  // namespace espalier::wire
