// Structs to msgpack and back, from one description of each struct: for the .cc files of this folder that describe
// messages.
//
//   template <class V> void describe(V&& v, const JoinRequest*) { v("idem", &JoinRequest::idem); v("shard",
//   &JoinRequest::shard); }
//
// A struct is a map of its described members. Members at their default are left out; unknown keys are passed over; a
// key that comes twice, a wrong type, a number out of range and a count that the bytes can't hold are refused. Thread
// safety: pure functions.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/hash.h"
#include "common/uuid.h"
#include "wire/codec.h"
#include "wire/messages.h"

namespace espalier::wire {

template <class T>
concept HasOp = requires {
  std::string_view(T::op);
};

/// The op of a request; empty for replies and records.
template <class T>
constexpr std::string_view op_of() {
  if constexpr (HasOp<T>)
    return T::op;
  else if constexpr (std::same_as<T, PredictRequest>)
    return "predict";
  else
    return {};
}

/// The largest number that each enum of the messages has.
constexpr std::uint64_t most(Code) { return static_cast<std::uint64_t>(Code::internal); }
constexpr std::uint64_t most(Reason) { return static_cast<std::uint64_t>(Reason::removed); }
constexpr std::uint64_t most(ChangeKind) { return static_cast<std::uint64_t>(ChangeKind::erased); }
constexpr std::uint64_t most(cluster::ShardState) { return static_cast<std::uint64_t>(cluster::ShardState::gone); }
constexpr std::uint64_t most(EntryKind) { return static_cast<std::uint64_t>(EntryKind::unset); }
constexpr std::uint64_t most(model::Task) { return static_cast<std::uint64_t>(model::Task::multiclass); }
constexpr std::uint64_t most(model::FieldType) { return static_cast<std::uint64_t>(model::FieldType::text); }

template <class T>
bool read_struct(Reader& reader, T& to);
template <class T>
void write_struct(Writer& writer, const T& from, bool as_request = false);

// ---------------------------------------------------------------------------------------------------- single values

inline bool read_value(Reader& reader, bool& to) { return reader.read_bool(to); }
inline bool read_value(Reader& reader, double& to) { return reader.read_number(to); }
inline bool read_value(Reader& reader, std::int64_t& to) { return reader.read_signed(to); }
inline bool read_value(Reader& reader, std::uint64_t& to) { return reader.read_unsigned(to); }
inline bool read_value(Reader& reader, std::uint32_t& to) {
  std::uint64_t wide = 0;
  if (!reader.read_unsigned(wide, std::numeric_limits<std::uint32_t>::max())) return false;
  to = static_cast<std::uint32_t>(wide);
  return true;
}
inline bool read_value(Reader& reader, std::string& to) {
  std::string_view text;
  if (!reader.read_text(text)) return false;
  to.assign(text);
  return true;
}
inline bool read_value(Reader& reader, Uuid& to) {
  std::string_view raw;
  if (!reader.read_binary(raw, to.bytes.size())) return false;
  std::copy(raw.begin(), raw.end(), to.bytes.begin());
  return true;
}
inline bool read_value(Reader& reader, Hash256& to) {
  std::string_view raw;
  if (!reader.read_binary(raw, to.bytes.size())) return false;
  std::copy(raw.begin(), raw.end(), to.bytes.begin());
  return true;
}
template <class E>
requires std::is_enum_v<E>
bool read_value(Reader& reader, E& to) {
  std::uint64_t wide = 0;
  if (!reader.read_unsigned(wide, most(E{}))) return false;
  to = static_cast<E>(wide);
  return true;
}
template <class T>
requires std::is_class_v<T>
bool read_value(Reader& reader, T& to) { return read_struct(reader, to); }

template <class T>
bool read_value(Reader& reader, std::vector<T>& to) {
  std::uint32_t count = 0;
  if (!reader.read_array(count)) return false;
  if (!reader.charge(count * sizeof(T))) return false;
  to.clear();
  to.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    reader.enter(i);
    if (!read_value(reader, to.emplace_back())) return false;
    reader.leave();
  }
  return true;
}
template <class T>
bool read_value(Reader& reader, std::map<std::string, T>& to) {
  std::uint32_t count = 0;
  if (!reader.read_map(count)) return false;
  if (!reader.charge(count * (sizeof(T) + sizeof(std::string)))) return false;
  to.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view key;
    if (!reader.read_text(key)) return false;
    reader.enter(key);
    const auto [at, added] = to.try_emplace(std::string(key));
    if (!added) return reader.fail("the key comes twice");
    if (!read_value(reader, at->second)) return false;
    reader.leave();
  }
  return true;
}

inline void write_value(Writer& writer, bool value) { writer.boolean(value); }
inline void write_value(Writer& writer, double value) { writer.real(value); }
inline void write_value(Writer& writer, std::int64_t value) { writer.signed_number(value); }
inline void write_value(Writer& writer, std::uint64_t value) { writer.number(value); }
inline void write_value(Writer& writer, std::uint32_t value) { writer.number(value); }
inline void write_value(Writer& writer, const std::string& value) { writer.text(value); }
inline void write_value(Writer& writer, const Uuid& value) { writer.binary(value.view()); }
inline void write_value(Writer& writer, const Hash256& value) { writer.binary(value.view()); }
template <class E>
requires std::is_enum_v<E>
void write_value(Writer& writer, E value) { writer.number(static_cast<std::uint64_t>(value)); }
template <class T>
requires std::is_class_v<T>
void write_value(Writer& writer, const T& value) { write_struct(writer, value); }
template <class T>
void write_value(Writer& writer, const std::vector<T>& values) {
  writer.array(static_cast<std::uint32_t>(values.size()));
  for (const T& value : values) write_value(writer, value);
}
template <class T>
void write_value(Writer& writer, const std::map<std::string, T>& values) {
  writer.map(static_cast<std::uint32_t>(values.size()));
  for (const auto& [key, value] : values) {
    writer.text(key);
    write_value(writer, value);
  }
}

// ---------------------------------------------------------------------------------------------------------- structs

/// Visitor: reads the value of `key` into the member of that name.
template <class T>
struct MemberReader {
  Reader& reader;
  T& object;
  std::string_view key;
  std::uint64_t& seen;
  unsigned index = 0;
  bool found = false;
  bool good = true;

  template <class M, class C>
  void operator()(std::string_view name, M C::*member) {
    if (!take(name)) return;
    good = good && read_value(reader, object.*member);
    if (good) reader.leave();
  }
  /// A text member that may hold any bytes: binary on the wire.
  template <class C>
  void bytes(std::string_view name, std::string C::*member) {
    if (!take(name)) return;
    std::string_view raw;
    good = good && reader.read_binary(raw);
    if (!good) return;
    (object.*member).assign(raw);
    reader.leave();
  }

 private:
  bool take(std::string_view name) {
    const unsigned mine = index++;
    if (found || name != key) return false;
    found = true;
    reader.enter(name);
    if ((seen >> mine & 1) != 0) good = reader.fail("the key comes twice");
    seen |= std::uint64_t{1} << mine;
    return true;
  }
};

template <class T>
bool read_members(Reader& reader, T& to, std::uint32_t count) {
  std::uint64_t seen = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view key;
    if (!reader.read_text(key)) return false;
    MemberReader<T> visitor{reader, to, key, seen};
    describe(visitor, &to);
    if (!visitor.good) return false;
    if (visitor.found) continue;
    reader.enter(key);
    if (!reader.skip()) return false;
    reader.leave();
  }
  return true;
}

template <class T>
bool read_struct(Reader& reader, T& to) {
  std::uint32_t count = 0;
  return reader.read_map(count) && read_members(reader, to, count);
}

/// Whether a member may be left out: `value` is what an absent key is read as.
template <class M>
bool at_default(const M& value, const M& fallback) {
  if constexpr (std::equality_comparable<M>) {
    return value == fallback;
  } else {
    return false;
  }
}
template <class T>
bool at_default(const std::vector<T>& value, const std::vector<T>& fallback) {
  return value.empty() && fallback.empty();
}
template <class T>
bool at_default(const std::map<std::string, T>& value, const std::map<std::string, T>& fallback) {
  return value.empty() && fallback.empty();
}

template <class T>
struct MemberCounter {
  const T& object;
  const T& fallback;
  std::uint32_t count = 0;
  template <class M, class C>
  void operator()(std::string_view, M C::*member) {
    if (!at_default(object.*member, fallback.*member)) ++count;
  }
  template <class C>
  void bytes(std::string_view name, std::string C::*member) {
    (*this)(name, member);
  }
};

template <class T>
struct MemberWriter {
  Writer& writer;
  const T& object;
  const T& fallback;
  template <class M, class C>
  void operator()(std::string_view name, M C::*member) {
    if (at_default(object.*member, fallback.*member)) return;
    writer.text(name);
    write_value(writer, object.*member);
  }
  template <class C>
  void bytes(std::string_view name, std::string C::*member) {
    if (at_default(object.*member, fallback.*member)) return;
    writer.text(name);
    writer.binary(object.*member);
  }
};

/// Writes the map's size for `from` and `more` keys that the caller writes first; then, with write_members(), the
/// members.
template <class T>
void begin_map(Writer& writer, const T& from, std::uint32_t more) {
  const T fallback{};
  MemberCounter<T> counter{from, fallback};
  describe(counter, &from);
  writer.map(counter.count + more);
}

template <class T>
void write_members(Writer& writer, const T& from) {
  const T fallback{};
  MemberWriter<T> visitor{writer, from, fallback};
  describe(visitor, &from);
}

template <class T>
void write_struct(Writer& writer, const T& from, bool as_request) {
  begin_map(writer, from, as_request ? 2 : 0);
  if (as_request) {
    writer.text("v");
    writer.number(kProtocolVersion);
    writer.text("op");
    writer.text(op_of<T>());
  }
  write_members(writer, from);
}

// --------------------------------------------------------------------------- the functions that messages.h promises

template <class T>
std::string encode(const T& message) {
  constexpr std::size_t kMostRecords = 512;  // few are larger
  std::string bytes;
  bytes.reserve(kMostRecords);
  Writer writer(bytes);
  write_struct(writer, message, !op_of<T>().empty());
  return bytes;
}

template <class T>
std::string encode_reply(const Status& status, const T& reply) {
  if (!status.ok()) return encode_error(status);
  std::string bytes;
  Writer writer(bytes);
  begin_map(writer, reply, 1);
  writer.text("status");
  writer.number(0);
  write_members(writer, reply);
  return bytes;
}

template <class T>
Result<T> decode(std::string_view header) {
  Reader reader(header);
  T message;
  if (!read_struct(reader, message) || !reader.finish()) return reader.status();
  return message;
}

template <class T>
Result<T> decode_reply(std::string_view header) {
  RETURN_IF_ERROR(peek_status(header));
  Result<T> reply = decode<T>(header);
  if (!reply.ok()) return corrupt("unreadable reply: " + reply.status().message());
  return reply;
}

template <class T>
std::string encode_array(const std::vector<T>& records) {
  std::string bytes;
  Writer writer(bytes);
  write_value(writer, records);
  return bytes;
}

template <class T>
Result<std::vector<T>> decode_array(std::string_view body) {
  Reader reader(body, "records");
  std::vector<T> records;
  if (!read_value(reader, records) || !reader.finish()) return reader.status();
  return records;
}

}  // namespace espalier::wire

/// The four forms of a message that is asked or kept; and of a reply.
#define ESPALIER_WIRE_MESSAGE(T)                    \
  template std::string encode<T>(const T& message); \
  template Result<T> decode<T>(std::string_view header)
#define ESPALIER_WIRE_REPLY(T)                                          \
  ESPALIER_WIRE_MESSAGE(T);                                             \
  template std::string encode_reply<T>(const Status& status, const T&); \
  template Result<T> decode_reply<T>(std::string_view header)
#define ESPALIER_WIRE_RECORD(T)                                        \
  ESPALIER_WIRE_MESSAGE(T);                                            \
  template std::string encode_array<T>(const std::vector<T>& records); \
  template Result<std::vector<T>> decode_array<T>(std::string_view body)
