#include "wire/predict_codec.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "wire/codec.h"

namespace espalier::wire {
namespace {

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();

std::string too_many(std::uint64_t count, std::uint64_t most, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + ", at most " + std::to_string(most);
}

bool read_text_up_to(Reader& reader, std::string_view& to, std::size_t most) {
  if (!reader.read_text(to)) return false;
  return to.size() <= most || reader.fail(too_many(to.size(), most, "bytes"));
}

bool read_u32(Reader& reader, std::uint32_t& to) {
  std::uint64_t wide = 0;
  if (!reader.read_unsigned(wide, kMax32)) return false;
  to = static_cast<std::uint32_t>(wide);
  return true;
}

bool read_uuid(Reader& reader, Uuid& to) {
  std::string_view raw;
  if (!reader.read_binary(raw, to.bytes.size())) return false;
  std::copy(raw.begin(), raw.end(), to.bytes.begin());
  return true;
}

bool read_partition(Reader& reader, PredictHeader::Part& part, PredictHeader& header) {
  std::uint32_t count = 0;
  if (!reader.read_array(count)) return false;
  if (count > kMaxPartitionLevels) return reader.fail(too_many(count, kMaxPartitionLevels, "levels"));
  part.first_level = static_cast<std::uint32_t>(header.level_values.size());
  part.levels = count;
  for (std::uint32_t i = 0; i < count; ++i) {
    reader.enter(i);
    if (!read_text_up_to(reader, header.level_values.emplace_back(), kMaxLevelValueBytes)) return false;
    reader.leave();
  }
  return true;
}

/// Notes each key of one map, for refusing those that come twice.
class KeysOnce {
 public:
  bool first(Reader& reader, unsigned index) {
    if ((seen_ >> index & 1) != 0) return reader.fail("the key comes twice");
    seen_ |= 1u << index;
    return true;
  }

 private:
  std::uint32_t seen_ = 0;
};

bool read_part(Reader& reader, PredictHeader& header) {
  PredictHeader::Part part;
  const char* from = reader.position();
  std::uint32_t count = 0;
  if (!reader.read_map(count)) return false;
  KeysOnce once;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view key;
    if (!reader.read_text(key)) return false;
    reader.enter(key);
    bool good;
    if (is_key(key, "partition")) {
      good = once.first(reader, 0) && read_partition(reader, part, header);
    } else if (is_key(key, "unit")) {
      good = once.first(reader, 1) && read_text_up_to(reader, part.unit, kMaxUnitBytes);
    } else if (is_key(key, "rows")) {
      good = once.first(reader, 2) && read_u32(reader, part.rows);
      if (good && part.rows == 0) good = reader.fail("must be at least 1");
    } else {
      good = reader.skip();
    }
    if (!good) return false;
    reader.leave();
  }
  part.raw = {from, static_cast<std::size_t>(reader.position() - from)};
  header.parts.push_back(part);
  return true;
}

bool read_parts(Reader& reader, PredictHeader& header) {
  std::uint32_t count = 0;
  if (!reader.read_array(count)) return false;
  if (count > kMaxParts) return reader.fail(too_many(count, kMaxParts, "parts"));
  std::uint64_t rows = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    reader.enter(i);
    if (!read_part(reader, header)) return false;
    reader.leave();
    rows += header.parts.back().rows;
  }
  return rows <= kMaxRowsPerRequest || reader.fail(too_many(rows, kMaxRowsPerRequest, "rows"));
}

bool read_refs(Reader& reader, PredictHeader& header) {
  std::uint32_t count = 0;
  if (!reader.read_array(count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    reader.enter(i);
    if (!reader.read_text(header.refs.emplace_back())) return false;
    reader.leave();
  }
  return true;
}

bool read_member(Reader& reader, std::string_view key, PredictHeader& header, KeysOnce& once) {
  switch (key.size()) {
    case 4:
      if (is_key(key, "refs")) return once.first(reader, 0) && read_refs(reader, header);
      break;
    case 5:
      if (is_key(key, "model")) return once.first(reader, 1) && reader.read_text(header.model);
      if (is_key(key, "parts")) return once.first(reader, 2) && read_parts(reader, header);
      if (is_key(key, "shard")) return once.first(reader, 11) && reader.read_text(header.shard);
      if (is_key(key, "trace")) return once.first(reader, 13) && reader.read_bool(header.trace);
      break;
    case 6:
      if (is_key(key, "tenant")) return once.first(reader, 3) && reader.read_text(header.tenant);
      break;
    case 7:
      if (is_key(key, "attempt")) return once.first(reader, 4) && read_u32(reader, header.attempt);
      if (is_key(key, "sent_us")) return once.first(reader, 10) && reader.read_signed(header.sent_us);
      break;
    case 8:
      if (is_key(key, "stand_in")) return once.first(reader, 12) && reader.read_bool(header.stand_in);
      break;
    case 9:
      if (is_key(key, "budget_us")) return once.first(reader, 5) && reader.read_signed(header.budget_us);
      if (is_key(key, "min_epoch")) return once.first(reader, 6) && reader.read_unsigned(header.min_epoch);
      if (is_key(key, "principal")) return once.first(reader, 7) && reader.read_text(header.principal);
      break;
    case 10:
      if (is_key(key, "all_scores")) return once.first(reader, 8) && reader.read_bool(header.all_scores);
      if (is_key(key, "prediction")) return once.first(reader, 9) && read_uuid(reader, header.prediction);
      break;
    default: break;
  }
  return reader.skip();
}

/// Bytes of the keys, numbers and ids of a header or provenance, more than all that there are together.
constexpr std::size_t kFixedBytes = 512;

std::size_t most_bytes(std::span<const std::string_view> texts) {
  std::size_t bytes = Pen::kHead;
  for (const std::string_view text : texts) bytes += Pen::kHead + text.size();
  return bytes;
}

/// Appends what `write` gives a Pen, at most so many bytes.
template <class Write>
void append_written(std::string& to, std::size_t most, Write&& write) {
  const std::size_t size = to.size();
  to.resize(size + most);
  Pen pen(to.data() + size);
  write(pen);
  const auto written = static_cast<std::size_t>(pen.at() - to.data());
  assert(written <= to.size());
  to.resize(written);
}

template <Key kName>
void write_uuid(Pen& pen, const Uuid& uuid) {
  pen.key<kName>();
  pen.binary(uuid.view());
}

void write_texts(Pen& pen, std::span<const std::string_view> texts) {
  pen.array(static_cast<std::uint32_t>(texts.size()));
  for (const std::string_view text : texts) pen.text(text);
}

std::size_t most_bytes(const PredictHeader& header) {
  return kFixedBytes + header.tenant.size() + header.model.size() + most_bytes(header.refs) + header.principal.size() +
         header.shard.size();
}

void write_members(Pen& pen, const PredictHeader& header) {
  pen.map(6 + !header.refs.empty() + header.all_scores + (header.min_epoch != 0) + !header.prediction.is_nil() +
          (header.attempt != 1) + !header.principal.empty() + (header.sent_us != 0) + !header.shard.empty() +
          header.stand_in + header.trace);
  pen.key<"v">();
  pen.number(kProtocolVersion);
  pen.key<"op">();
  pen.text("predict");
  pen.key<"tenant">();
  pen.text(header.tenant);
  pen.key<"model">();
  pen.text(header.model);
  if (!header.refs.empty()) {
    pen.key<"refs">();
    write_texts(pen, header.refs);
  }
  pen.key<"budget_us">();
  pen.signed_number(header.budget_us);
  if (header.all_scores) {
    pen.key<"all_scores">();
    pen.boolean(true);
  }
  if (header.min_epoch != 0) {
    pen.key<"min_epoch">();
    pen.number(header.min_epoch);
  }
  if (!header.prediction.is_nil()) write_uuid<"prediction">(pen, header.prediction);
  if (header.attempt != 1) {
    pen.key<"attempt">();
    pen.number(header.attempt);
  }
  if (!header.principal.empty()) {
    pen.key<"principal">();
    pen.text(header.principal);
  }
  if (header.sent_us != 0) {
    pen.key<"sent_us">();
    pen.signed_number(header.sent_us);
  }
  if (!header.shard.empty()) {
    pen.key<"shard">();
    pen.text(header.shard);
  }
  if (header.stand_in) {
    pen.key<"stand_in">();
    pen.boolean(true);
  }
  if (header.trace) {
    pen.key<"trace">();
    pen.boolean(true);
  }
  pen.key<"parts">();
}

}  // namespace

void PredictHeader::clear() {
  tenant = model = principal = shard = {};
  refs.clear();
  budget_us = kDefaultBudgetUs;
  all_scores = false;
  min_epoch = 0;
  prediction = {};
  attempt = 1;
  sent_us = 0;
  stand_in = trace = false;
  parts.clear();
  level_values.clear();
}

bool begins_as_predict(std::string_view header) {
  // What all our own writers begin with: {"v": 1, "op": "predict", …
  constexpr char kUsual[] = "\xa1v\x01\xa2op\xa7predict";
  constexpr std::size_t kBytes = sizeof kUsual - 1;
  return header.size() > kBytes && (header[0] & '\xf0') == '\x80' && same_bytes<kBytes>(header.data() + 1, kUsual);
}

Status decode_predict(std::string_view header, PredictHeader& into) {
  into.clear();
  Reader reader(header);
  std::uint32_t count = 0;
  if (!reader.read_map(count)) return reader.status();
  KeysOnce once;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view key;
    if (!reader.read_text(key)) return reader.status();
    reader.enter(key);
    if (!read_member(reader, key, into, once)) return reader.status();
    reader.leave();
  }
  if (!reader.finish()) return reader.status();
  if (into.tenant.empty()) return invalid_argument("tenant: missing");
  if (into.model.empty()) return invalid_argument("model: missing");
  if (into.parts.empty()) return invalid_argument("parts: missing or empty");
  if (into.refs.size() > 1)
    return {Code::unimplemented, "refs: this version takes one ref, got " + std::to_string(into.refs.size())};
  return {};
}

void encode_predict(const PredictHeader& header, std::span<const std::uint32_t> parts, std::string& to) {
  std::size_t most = most_bytes(header);
  for (const std::uint32_t index : parts) most += header.parts[index].raw.size();
  to.clear();
  append_written(to, most, [&](Pen& pen) {
    write_members(pen, header);
    pen.array(static_cast<std::uint32_t>(parts.size()));
    for (const std::uint32_t index : parts) pen.raw(header.parts[index].raw);
  });
}

void encode_predict(const PredictHeader& header, std::string& to) {
  std::size_t most = most_bytes(header);
  for (const PredictHeader::Part& part : header.parts) most += part.raw.size();
  to.clear();
  append_written(to, most, [&](Pen& pen) {
    write_members(pen, header);
    pen.array(static_cast<std::uint32_t>(header.parts.size()));
    for (const PredictHeader::Part& part : header.parts) pen.raw(part.raw);
  });
}

void begin_reply(std::string& to, std::uint32_t parts) {
  to.clear();
  append_written(to, kFixedBytes, [&](Pen& pen) {
    pen.map(2);
    pen.key<"status">();
    pen.number(0);
    pen.key<"parts">();
    pen.array(parts);
  });
}

namespace {
/// A reply has two members; what there is besides comes behind them, this last.
constexpr char kTwoMembers = '\x82', kMostMembers = '\x8f';
constexpr std::string_view kUnready = "\xa7unready\xc3";
}  // namespace

void mark_unready(std::string& header) {
  assert(!header.empty() && header.front() >= kTwoMembers && header.front() < kMostMembers);
  ++header.front();
  header.append(kUnready);
}

void unmark_unready(std::string& header) {
  --header.front();
  header.resize(header.size() - kUnready.size());
}

bool is_unready(std::string_view header) {
  return !header.empty() && header.front() > kTwoMembers && header.front() <= kMostMembers &&
         header.ends_with(kUnready);
}

namespace {
void write_answered(Pen& pen, std::uint32_t rows, const ProvenanceView& from) {
  pen.map(2);
  pen.key<"rows">();
  pen.number(rows);
  pen.key<"provenance">();
  const bool tagged = !from.tag.empty();
  const bool armed = !from.arm.empty();
  const bool again = from.attempt != 1;
  pen.map(10 + tagged + armed + from.exposed + again);
  pen.key<"asked">();
  write_texts(pen, from.asked);
  pen.key<"served">();
  write_texts(pen, from.asked.first(from.served_levels));
  pen.key<"level">();
  pen.text(from.level);
  pen.key<"reason">();
  pen.number(static_cast<std::uint64_t>(from.reason));
  write_uuid<"version">(pen, from.version);
  if (tagged) {
    pen.key<"tag">();
    pen.text(from.tag);
  }
  write_uuid<"release">(pen, from.release);
  pen.key<"release_epoch">();
  pen.number(from.release_epoch);
  if (armed) {
    pen.key<"arm">();
    pen.text(from.arm);
  }
  if (from.exposed) {
    pen.key<"exposed">();
    pen.boolean(true);
  }
  pen.key<"epoch">();
  pen.number(from.epoch);
  pen.key<"shard">();
  pen.text(from.shard);
  write_uuid<"prediction">(pen, from.prediction);
  if (again) {
    pen.key<"attempt">();
    pen.number(from.attempt);
  }
}
}  // namespace

void append_answered(std::string& to, std::uint32_t rows, const ProvenanceView& from) {
  assert(from.served_levels <= from.asked.size());
  const std::size_t most = kFixedBytes + 2 * most_bytes(from.asked) + from.level.size() + from.tag.size() +
                           from.arm.size() + from.shard.size();
  append_written(to, most, [&](Pen& pen) { write_answered(pen, rows, from); });
}

void append_failed(std::string& to, std::uint32_t rows, Code code, std::string_view message) {
  assert(code != Code::ok);
  Writer writer(to);
  writer.map(3);
  writer.key("status");
  writer.number(static_cast<std::uint64_t>(code));
  writer.key("message");
  writer.text(message);
  writer.key("rows");
  writer.number(rows);
}

Status split_reply(std::string_view header, std::vector<std::string_view>& parts) {
  parts.clear();
  RETURN_IF_ERROR(peek_status(header));
  Reader reader(header, "reply");
  std::uint32_t count = 0;
  if (!reader.read_map(count)) return corrupt(reader.status().message());
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view key;
    if (!reader.read_text(key)) return corrupt(reader.status().message());
    reader.enter(key);
    std::uint32_t elements = 0;
    if (!is_key(key, "parts")) {
      if (!reader.skip()) return corrupt(reader.status().message());
    } else {
      if (!reader.read_array(elements)) return corrupt(reader.status().message());
      if (elements > kMaxParts || !parts.empty()) return corrupt("reply: too many parts");
      for (std::uint32_t part = 0; part < elements; ++part) {
        if (!reader.read_raw(parts.emplace_back())) return corrupt(reader.status().message());
      }
    }
    reader.leave();
  }
  if (!reader.finish()) return corrupt(reader.status().message());
  return {};
}

Code peek_part_status(std::string_view part) {
  Reader reader(part, "part");
  std::uint32_t count = 0;
  std::string_view key;
  std::uint64_t code = 0;
  if (!reader.read_map(count)) return Code::corrupt;
  if (count == 0) return Code::ok;
  // Left out when ok, else the first key.
  if (!reader.read_text(key)) return Code::corrupt;
  if (!is_key(key, "status")) return Code::ok;
  if (!reader.read_unsigned(code, static_cast<std::uint64_t>(Code::internal))) return Code::corrupt;
  return static_cast<Code>(code);
}

void assemble_reply(std::span<const std::string_view> parts, std::string& to) {
  begin_reply(to, static_cast<std::uint32_t>(parts.size()));
  for (const std::string_view part : parts) to.append(part);
}

}  // namespace espalier::wire
