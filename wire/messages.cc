#include "wire/messages.h"

#include "common/bytes.h"
#include "wire/described.h"

namespace espalier::wire {

std::string_view reason_name(Reason reason) {
  switch (reason) {
    case Reason::exact: return "exact";
    case Reason::no_version: return "no_version";
    case Reason::previous: return "previous";
    case Reason::overlay_not_ready: return "overlay_not_ready";
    case Reason::cold: return "cold";
    case Reason::corrupt: return "corrupt";
    case Reason::quarantined: return "quarantined";
    case Reason::over_budget: return "over_budget";
    case Reason::removed: return "removed";
  }
  return "unknown";
}

std::string encode_error(const Status& status, std::int64_t retry_after_us) {
  std::string bytes;
  Writer writer(bytes);
  writer.map(retry_after_us != 0 ? 3 : 2);
  writer.text("status");
  writer.number(static_cast<std::uint64_t>(status.code()));
  writer.text("message");
  writer.text(status.message());
  if (retry_after_us != 0) {
    writer.text("retry_after_us");
    writer.signed_number(retry_after_us);
  }
  return bytes;
}

Result<std::string> peek_op(std::string_view header) {
  // What all our own writers begin with: {"v": 1, "op": <a short text>, …
  constexpr std::string_view kUsualBeginning("\xa1v\x01\xa2op", 6);
  constexpr std::size_t kTextAt = 1 + kUsualBeginning.size();
  if (header.size() > kTextAt && (header[0] & '\xf0') == '\x80' && header.substr(1).starts_with(kUsualBeginning)) {
    const auto head = static_cast<unsigned char>(header[kTextAt]);
    const std::string_view op = header.substr(kTextAt + 1, head & 0x1f);
    if ((head & 0xe0) == 0xa0 && op.size() == (head & 0x1fu) && !op.empty() && is_utf8(op)) return std::string(op);
  }
  Reader reader(header);
  std::uint32_t count = 0;
  if (!reader.read_map(count)) return reader.status();
  std::string_view op;
  bool versioned = false;
  for (std::uint32_t i = 0; i < count && (op.empty() || !versioned); ++i) {
    std::string_view key;
    if (!reader.read_text(key)) return reader.status();
    reader.enter(key);
    if (key == "v") {
      std::uint64_t version = 0;
      if (!reader.read_unsigned(version)) return reader.status();
      if (version > kProtocolVersion) {
        return Status(Code::unimplemented, "v: protocol " + std::to_string(version) + " is newer than " +
                                               std::to_string(kProtocolVersion) + ", the newest known here");
      }
      if (version == 0) return invalid_argument("v: there is no protocol 0");
      versioned = true;
    } else if (key == "op") {
      if (!reader.read_text(op)) return reader.status();
      if (op.empty()) return invalid_argument("op: empty");
    } else if (!reader.skip()) {
      return reader.status();
    }
    reader.leave();
  }
  if (op.empty()) return invalid_argument("header: no op");
  return std::string(op);
}

Status peek_status(std::string_view header) {
  constexpr std::string_view kGood("\xa6status\x00", 8);  // {"status": 0, …
  if (!header.empty() && (header[0] & '\xf0') == '\x80' && header.substr(1).starts_with(kGood)) return {};
  Reader reader(header, "reply");
  std::uint32_t count = 0;
  std::string_view key;
  std::uint64_t code = 0;
  if (!reader.read_map(count) || (count > 0 && !reader.read_text(key))) return corrupt(reader.status().message());
  if (key != "status") return corrupt("reply: its first key is not status");
  reader.enter(key);
  if (!reader.read_unsigned(code)) return corrupt(reader.status().message());
  if (code == 0) return {};
  reader.leave();
  if (code > static_cast<std::uint64_t>(Code::internal)) {
    return internal_error("status: " + std::to_string(code) + " is not known here");
  }
  std::string_view message;
  for (std::uint32_t i = 1; i < count; ++i) {
    if (!reader.read_text(key)) return corrupt(reader.status().message());
    reader.enter(key);
    if (key == "message") {
      if (!reader.read_text(message)) return corrupt(reader.status().message());
      break;
    }
    if (!reader.skip()) return corrupt(reader.status().message());
    reader.leave();
  }
  return {static_cast<Code>(code), std::string(message)};
}

template <class V>
void describe(V&& v, const PartAsked*) {
  v("partition", &PartAsked::partition);
  v("unit", &PartAsked::unit);
  v("rows", &PartAsked::rows);
}

template <class V>
void describe(V&& v, const PredictRequest*) {
  v("tenant", &PredictRequest::tenant);
  v("model", &PredictRequest::model);
  v("refs", &PredictRequest::refs);
  v("budget_us", &PredictRequest::budget_us);
  v("all_scores", &PredictRequest::all_scores);
  v("min_epoch", &PredictRequest::min_epoch);
  v("prediction", &PredictRequest::prediction);
  v("attempt", &PredictRequest::attempt);
  v("principal", &PredictRequest::principal);
  v("sent_us", &PredictRequest::sent_us);
  v("shard", &PredictRequest::shard);
  v("parts", &PredictRequest::parts);
}

template <class V>
void describe(V&& v, const Provenance*) {
  v("asked", &Provenance::asked);
  v("served", &Provenance::served);
  v("level", &Provenance::level);
  v("reason", &Provenance::reason);
  v("version", &Provenance::version);
  v("tag", &Provenance::tag);
  v("release", &Provenance::release);
  v("release_epoch", &Provenance::release_epoch);
  v("arm", &Provenance::arm);
  v("exposed", &Provenance::exposed);
  v("epoch", &Provenance::epoch);
  v("shard", &Provenance::shard);
  v("prediction", &Provenance::prediction);
  v("attempt", &Provenance::attempt);
}

template <class V>
void describe(V&& v, const PartAnswered*) {
  v("status", &PartAnswered::status);
  v("message", &PartAnswered::message);
  v("rows", &PartAnswered::rows);
  v("provenance", &PartAnswered::provenance);
}

template <class V>
void describe(V&& v, const PredictReply*) {
  v("status", &PredictReply::status);
  v("message", &PredictReply::message);
  v("retry_after_us", &PredictReply::retry_after_us);
  v("parts", &PredictReply::parts);
}

/// "status" comes first and is there also when it is ok.
template <>
std::string encode<PredictReply>(const PredictReply& reply) {
  std::string bytes;
  Writer writer(bytes);
  const bool ok = reply.status == Code::ok;
  begin_map(writer, reply, ok ? 1 : 0);
  if (ok) {
    writer.text("status");
    writer.number(0);
  }
  write_members(writer, reply);
  return bytes;
}

ESPALIER_WIRE_MESSAGE(PredictRequest);
template Result<PredictReply> decode<PredictReply>(std::string_view header);
ESPALIER_WIRE_RECORD(Provenance);

}  // namespace espalier::wire
