#include "wire/codec.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <msgpack.hpp>

#include "common/bytes.h"

namespace espalier::wire {
namespace {

/// Memory that may be taken for each byte of a message: an empty text in an array (1 byte) becomes a std::string of 32.
constexpr std::size_t kMemoryPerByte = 64;
constexpr std::size_t kMemoryAtLeast = 16384;

std::string_view type_name(Reader::Type type) {
  switch (type) {
    case Reader::Type::end: return "the end of the bytes";
    case Reader::Type::nil: return "nil";
    case Reader::Type::boolean: return "a boolean";
    case Reader::Type::unsigned_integer: return "an unsigned integer";
    case Reader::Type::negative_integer: return "a negative integer";
    case Reader::Type::real: return "a float";
    case Reader::Type::text: return "text";
    case Reader::Type::binary: return "binary";
    case Reader::Type::array: return "an array";
    case Reader::Type::map: return "a map";
    case Reader::Type::extension: return "an extension";
    case Reader::Type::reserved: return "the reserved byte 0xc1";
  }
  return "?";
}

std::uint64_t big_endian(const char* from, std::uint32_t bytes) {
  switch (bytes) {
    case 1: return static_cast<unsigned char>(*from);
    case 2: return __builtin_bswap16(load<std::uint16_t>(from));
    case 4: return __builtin_bswap32(load<std::uint32_t>(from));
    default: return __builtin_bswap64(load<std::uint64_t>(from));
  }
}

struct Sink {
  std::string& to;
  void write(const char* bytes, std::size_t size) { to.append(bytes, size); }
};

}  // namespace

Reader::Reader(std::string_view bytes, std::string_view name)
    : begin_(bytes.data()),
      at_(bytes.data()),
      end_(bytes.data() + bytes.size()),
      budget_(bytes.size() * kMemoryPerByte + kMemoryAtLeast),
      name_(name) {}

constinit const std::array<Reader::Type, 256> Reader::kTypes = [] {
  std::array<Type, 256> types{};
  const auto set = [&](unsigned first, unsigned last, Type type) {
    for (unsigned byte = first; byte <= last; ++byte) types[byte] = type;
  };
  set(0x00, 0x7f, Type::unsigned_integer);
  set(0x80, 0x8f, Type::map);
  set(0x90, 0x9f, Type::array);
  set(0xa0, 0xbf, Type::text);
  set(0xc0, 0xc0, Type::nil);
  set(0xc1, 0xc1, Type::reserved);
  set(0xc2, 0xc3, Type::boolean);
  set(0xc4, 0xc6, Type::binary);
  set(0xc7, 0xc9, Type::extension);
  set(0xca, 0xcb, Type::real);
  set(0xcc, 0xcf, Type::unsigned_integer);
  set(0xd0, 0xd3, Type::negative_integer);
  set(0xd4, 0xd8, Type::extension);
  set(0xd9, 0xdb, Type::text);
  set(0xdc, 0xdd, Type::array);
  set(0xde, 0xdf, Type::map);
  set(0xe0, 0xff, Type::negative_integer);
  return types;
}();

Reader::Type Reader::type_of_signed() const {
  const bool negative = at_ + 1 < end_ && (static_cast<unsigned char>(at_[1]) & 0x80) != 0;
  return negative ? Type::negative_integer : Type::unsigned_integer;
}

bool Reader::head(Head& to) const {
  to.type = peek();
  to.head_bytes = 1;
  to.narrow = false;
  to.number = 0;
  if (to.type == Type::end || to.type == Type::reserved) return false;
  const auto b = static_cast<unsigned char>(*at_);
  if (b < 0x80) return to.number = b, true;
  if (b < 0x90) return to.number = b & 0x0f, true;
  if (b < 0xa0) return to.number = b & 0x0f, true;
  if (b < 0xc0) return to.number = b & 0x1f, true;
  if (b >= 0xe0)
    return to.number = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<signed char>(b))), true;
  // Bytes of the number that follows each head from 0xc0 to 0xdf.
  static constexpr unsigned char kFollowing[32] = {0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,
                                                   1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};
  const std::uint32_t following = kFollowing[b - 0xc0];
  if (remaining() < 1 + following) return false;
  to.head_bytes = 1 + following;
  if (following != 0) to.number = big_endian(at_ + 1, following);
  if (b == 0xc3) to.number = 1;
  if (b == 0xca) to.narrow = true;
  if (b >= 0xd0 && b <= 0xd3) {
    const int unused = 64 - static_cast<int>(8 * following);
    to.number = static_cast<std::uint64_t>(static_cast<std::int64_t>(to.number << unused) >> unused);
  }
  // An extension's length counts its type byte too.
  if (b >= 0xd4 && b <= 0xd8) to.number = (1ull << (b - 0xd4)) + 1;
  if (b >= 0xc7 && b <= 0xc9) to.number += 1;
  return true;
}

std::string Reader::place() const {
  std::string text;
  for (std::size_t i = 0; i < depth_ && i < kMaxSteps; ++i) {
    if (steps_[i].key != nullptr) {
      if (!text.empty()) text += '.';
      text.append(steps_[i].key, steps_[i].number);
    } else {
      text += '[';
      text += std::to_string(steps_[i].number);
      text += ']';
    }
  }
  if (text.empty()) return std::string(name_);
  return text;
}

bool Reader::fail(std::string_view what) {
  if (status_.ok()) {
    std::string text = place();
    text += ": ";
    text += what;
    status_ = invalid_argument(std::move(text));
  }
  return false;
}

bool Reader::wrong(std::string_view wanted) {
  std::string what("expected ");
  what += wanted;
  what += ", got ";
  what += type_name(peek());
  return fail(what);
}

bool Reader::next(Head& to, Type wanted) {
  if (!head(to) || to.type != wanted) {
    if (to.type == wanted) return fail("the bytes end within it");
    return wrong(type_name(wanted));
  }
  at_ += to.head_bytes;
  return true;
}

bool Reader::read_nil() {
  Head h;
  return next(h, Type::nil);
}

bool Reader::read_bool(bool& to) {
  Head h;
  if (!next(h, Type::boolean)) return false;
  to = h.number != 0;
  return true;
}

bool Reader::read_any_unsigned(std::uint64_t& to, std::uint64_t most) {
  Head h;
  if (!next(h, Type::unsigned_integer)) return false;
  if (h.number > most) return fail("must be at most " + std::to_string(most) + ", is " + std::to_string(h.number));
  to = h.number;
  return true;
}

bool Reader::read_signed(std::int64_t& to) {
  Head h;
  const Type type = peek();
  if (type == Type::negative_integer) {
    if (!next(h, type)) return false;
    to = static_cast<std::int64_t>(h.number);
    return true;
  }
  if (type != Type::unsigned_integer) return wrong("an integer");
  if (!next(h, type)) return false;
  if (h.number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return fail("the integer is too large");
  to = static_cast<std::int64_t>(h.number);
  return true;
}

bool Reader::read_number(double& to) {
  Head h;
  const Type type = peek();
  if (type != Type::real && type != Type::unsigned_integer && type != Type::negative_integer) return wrong("a number");
  if (!next(h, type)) return false;
  if (type == Type::unsigned_integer) {
    to = static_cast<double>(h.number);
  } else if (type == Type::negative_integer) {
    to = static_cast<double>(static_cast<std::int64_t>(h.number));
  } else {
    to = h.narrow ? static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(h.number)))
                  : std::bit_cast<double>(h.number);
    if (!std::isfinite(to)) return fail(std::isnan(to) ? "NaN is not a number" : "the number must be finite");
  }
  return true;
}

bool Reader::read_any_text(std::string_view& to) {
  Head h;
  if (!next(h, Type::text)) return false;
  if (h.number > remaining()) return fail("the bytes end within it");
  to = {at_, static_cast<std::size_t>(h.number)};
  if (!is_ascii(to) && !is_utf8(to)) return fail("the text is not UTF-8");
  at_ += h.number;
  return true;
}

bool Reader::read_binary(std::string_view& to) {
  Head h;
  if (!next(h, Type::binary)) return false;
  if (h.number > remaining()) return fail("the bytes end within it");
  to = {at_, static_cast<std::size_t>(h.number)};
  at_ += h.number;
  return true;
}

bool Reader::read_binary(std::string_view& to, std::size_t size) {
  if (!read_binary(to)) return false;
  if (to.size() != size) {
    return fail("expected " + std::to_string(size) + " bytes of binary, got " + std::to_string(to.size()));
  }
  return true;
}

bool Reader::count_of(Type type, std::uint32_t& count, std::uint64_t least_bytes_each) {
  Head h;
  if (!next(h, type)) return false;
  if (h.number * least_bytes_each > remaining()) {
    return fail("the bytes end before its " + std::to_string(h.number) + " elements");
  }
  count = static_cast<std::uint32_t>(h.number);
  return true;
}

bool Reader::skip() {
  std::uint64_t values = 1;
  while (values > 0) {
    --values;
    Head h;
    if (!head(h)) {
      return fail(h.type == Type::reserved ? "the byte 0xc1 is not msgpack" : "the bytes end within it");
    }
    at_ += h.head_bytes;
    switch (h.type) {
      case Type::text:
      case Type::binary:
      case Type::extension:
        if (h.number > remaining()) return fail("the bytes end within it");
        at_ += h.number;
        break;
      case Type::array: values += h.number; break;
      case Type::map: values += 2 * h.number; break;
      default: break;
    }
    if (values > remaining()) return fail("the bytes end within it");
  }
  return true;
}

bool Reader::read_raw(std::string_view& to) {
  const char* from = at_;
  if (!skip()) return false;
  to = {from, static_cast<std::size_t>(at_ - from)};
  return true;
}

bool Reader::finish() {
  if (failed()) return false;
  if (at_ == end_) return true;
  return fail(std::to_string(remaining()) + " bytes too many after the value");
}

bool Reader::charge(std::size_t bytes) {
  if (bytes > budget_) return fail("more elements than a message of this size may have");
  budget_ -= bytes;
  return true;
}

void Writer::nil() {
  Sink sink{to_};
  msgpack::packer<Sink>(sink).pack_nil();
}

void Writer::boolean(bool value) {
  Sink sink{to_};
  msgpack::packer<Sink> packer(sink);
  value ? packer.pack_true() : packer.pack_false();
}

void Writer::long_number(std::uint64_t value) {
  Sink sink{to_};
  msgpack::packer<Sink>(sink).pack_uint64(value);
}

void Writer::signed_number(std::int64_t value) {
  Sink sink{to_};
  msgpack::packer<Sink>(sink).pack_int64(value);
}

void Writer::real(double value) {
  // Not by pack_double(), which writes 3.0 as the integer 3.
  char bytes[9];
  bytes[0] = static_cast<char>(0xcb);
  const std::uint64_t bits = __builtin_bswap64(std::bit_cast<std::uint64_t>(value));
  std::memcpy(bytes + 1, &bits, sizeof bits);
  to_.append(bytes, sizeof bytes);
}

void Writer::long_text_head(std::size_t bytes) {
  Sink sink{to_};
  msgpack::packer<Sink>(sink).pack_str(static_cast<std::uint32_t>(bytes));
}

void Writer::long_binary_head(std::size_t bytes) {
  Sink sink{to_};
  msgpack::packer<Sink>(sink).pack_bin(static_cast<std::uint32_t>(bytes));
}

void Writer::long_array_head(std::uint32_t count) {
  Sink sink{to_};
  msgpack::packer<Sink>(sink).pack_array(count);
}

void Writer::long_map_head(std::uint32_t count) {
  Sink sink{to_};
  msgpack::packer<Sink>(sink).pack_map(count);
}

}  // namespace espalier::wire
