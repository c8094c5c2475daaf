#include "wire/reply_peek.h"

#include "wire/codec.h"
#include "wire/predict_codec.h"

namespace espalier::wire {
namespace {

constexpr std::uint64_t kLastCode = static_cast<std::uint64_t>(Code::internal);
constexpr std::uint64_t kLastReason = static_cast<std::uint64_t>(Reason::removed);

/// Passes over a list of texts; how many.
bool pass_texts(Reader& reader, std::uint32_t& count) {
  if (!reader.read_array(count)) return false;
  std::string_view text;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!reader.read_text(text)) return false;
  }
  return true;
}

bool read_provenance(Reader& reader, PartPeek& part) {
  std::uint32_t members = 0;
  if (!reader.read_map(members)) return false;
  std::uint32_t asked = 0, served = 0;
  for (std::uint32_t i = 0; i < members; ++i) {
    std::string_view key;
    std::uint64_t reason = 0;
    if (!reader.read_text(key)) return false;
    bool good = true;
    if (is_key(key, "asked")) {
      good = pass_texts(reader, asked);
    } else if (is_key(key, "served")) {
      good = pass_texts(reader, served);
    } else if (is_key(key, "reason")) {
      good = reader.read_unsigned(reason, kLastReason);
      part.reason = static_cast<Reason>(reason);
    } else {
      good = reader.skip();
    }
    if (!good) return false;
  }
  if (served > asked || asked > kMaxPartitionLevels) return false;
  part.levels_above = static_cast<std::uint8_t>(asked - served);
  return true;
}

bool read_part(Reader& reader, PartPeek& part) {
  std::uint32_t members = 0;
  if (!reader.read_map(members)) return false;
  for (std::uint32_t i = 0; i < members; ++i) {
    std::string_view key;
    std::uint64_t code = 0;
    if (!reader.read_text(key)) return false;
    bool good = true;
    if (is_key(key, "status")) {
      good = reader.read_unsigned(code, kLastCode);
      part.code = static_cast<Code>(code);
    } else if (is_key(key, "provenance")) {
      good = read_provenance(reader, part);
    } else {
      good = reader.skip();
    }
    if (!good) return false;
  }
  return true;
}

/// After the head of the list of parts.
bool read_parts(Reader& reader, std::vector<PartPeek>& parts) {
  std::uint32_t count = 0;
  if (!reader.read_array(count) || count > kMaxParts) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!read_part(reader, parts.emplace_back())) return false;
  }
  return true;
}

bool read_reply(Reader& reader, Code& code, std::vector<PartPeek>& parts) {
  std::uint32_t members = 0;
  if (!reader.read_map(members)) return false;
  for (std::uint32_t i = 0; i < members; ++i) {
    std::string_view key;
    std::uint64_t status = 0;
    if (!reader.read_text(key)) return false;
    bool good = true;
    if (is_key(key, "status")) {
      good = reader.read_unsigned(status, kLastCode);
      code = static_cast<Code>(status);
    } else if (is_key(key, "parts")) {
      good = read_parts(reader, parts);
    } else {
      good = reader.skip();
    }
    if (!good) return false;
  }
  return true;
}

/// A short text of a reply that one of our own shards wrote; passes over it.
inline bool pass_short(const char*& at, const char* end) {
  const auto size = static_cast<std::size_t>(static_cast<unsigned char>(*at) ^ 0xa0u);
  if (size >= 32 || static_cast<std::size_t>(end - at) <= size + 1) return false;
  at += size + 1;
  return true;
}

/// How append_answered() begins the one part of a reply; false: it is something else, or not so short.
bool peek_usual(std::string_view header, PartPeek& part) {
  constexpr char kBegin[] = "\xa6status\x00\xa5parts\x91\x82\xa4rows";
  constexpr char kAsked[] = "\xaaprovenance";
  constexpr char kServed[] = "\xa6served";
  constexpr char kReason[] = "\xa6reason";
  constexpr std::size_t kLeast = 128;  // two ids follow the reason
  if (header.size() < kLeast || !same_bytes<sizeof kBegin - 1>(header.data() + 1, kBegin)) return false;
  const char* at = header.data() + sizeof kBegin;
  const char* const end = header.data() + header.size() - kLeast / 4;
  if (static_cast<unsigned char>(*at++) >= 0x80 || !same_bytes<sizeof kAsked - 1>(at, kAsked)) return false;
  at += sizeof kAsked;  // and the head of the map
  if (!same_bytes<6>(at,
                     "\xa5"
                     "asked"))
    return false;
  at += 6;
  const unsigned asked = static_cast<unsigned char>(*at++) ^ 0x90u;
  if (asked > kMaxPartitionLevels) return false;
  for (unsigned i = 0; i < asked; ++i) {
    if (at >= end || !pass_short(at, end)) return false;
  }
  if (at >= end || !same_bytes<sizeof kServed - 1>(at, kServed)) return false;
  at += sizeof kServed - 1;
  const unsigned served = static_cast<unsigned char>(*at++) ^ 0x90u;
  if (served > asked) return false;
  for (unsigned i = 0; i < served; ++i) {
    if (at >= end || !pass_short(at, end)) return false;
  }
  if (at >= end || !same_bytes<6>(at,
                                  "\xa5"
                                  "level"))
    return false;
  at += 6;
  if (!pass_short(at, end) || at >= end || !same_bytes<sizeof kReason - 1>(at, kReason)) return false;
  const unsigned reason = static_cast<unsigned char>(at[sizeof kReason - 1]);
  if (reason > kLastReason) return false;
  part = {Code::ok, static_cast<std::uint8_t>(asked - served), static_cast<Reason>(reason)};
  return true;
}

}  // namespace

Code peek_reply(std::string_view header, std::vector<PartPeek>& parts) {
  parts.clear();
  PartPeek usual;
  if (peek_usual(header, usual)) {
    parts.push_back(usual);
    return Code::ok;
  }
  Reader reader(header, "reply");
  Code code = Code::ok;
  const bool good = read_reply(reader, code, parts);
  if (!good || code != Code::ok) parts.clear();
  return good ? code : Code::corrupt;
}

}  // namespace espalier::wire
