#include "wire/trace.h"

#include <cassert>

#include "wire/described.h"
#include "wire/predict_codec.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const WalkStep*) {
  v("depth", &WalkStep::depth);
  v("level", &WalkStep::level);
  v("answers", &WalkStep::answers);
  v("reason", &WalkStep::reason);
  v("version", &WalkStep::version);
  v("tag", &WalkStep::tag);
}
template <class V>
void describe(V&& v, const PartWalk*) {
  v("part", &PartWalk::part);
  v("steps", &PartWalk::steps);
}
template <class V>
void describe(V&& v, const ShardTimes*) {
  v("waited_us", &ShardTimes::waited_us);
  v("computed_us", &ShardTimes::computed_us);
  v("walks", &ShardTimes::walks);
}
template <class V>
void describe(V&& v, const TracedAttempt*) {
  v("parts", &TracedAttempt::parts);
  v("shard", &TracedAttempt::shard);
  v("stand_in", &TracedAttempt::stand_in);
  v("sent_us", &TracedAttempt::sent_us);
  v("answered", &TracedAttempt::answered);
  v("took_us", &TracedAttempt::took_us);
  v("status", &TracedAttempt::status);
  v("unready", &TracedAttempt::unready);
  v("timed", &TracedAttempt::timed);
  v("times", &TracedAttempt::times);
}
template <class V>
void describe(V&& v, const Trace*) {
  v("us", &Trace::us);
  v("sent_us", &Trace::sent_us);
  v("attempts", &Trace::attempts);
}

ESPALIER_WIRE_MESSAGE(ShardTimes);
ESPALIER_WIRE_MESSAGE(Trace);

namespace {

constexpr char kNoMembers = '\x80', kMostMembers = '\x8e';

/// One more member of a map in its short form.
void append_member(std::string& header, std::string_view key, std::string_view value) {
  assert(!header.empty() && header.front() >= kNoMembers && header.front() <= kMostMembers);
  ++header.front();
  Writer writer(header);
  writer.text(key);
  writer.raw(value);
}

struct Member {
  std::size_t begin = 0, end = 0;  ///< with its key
  std::string_view value;
};

std::optional<Member> find_member(std::string_view header, std::string_view name) {
  if (header.empty() || (header.front() & '\xf0') != kNoMembers) return std::nullopt;
  Reader reader(header, "reply");
  std::uint32_t count = 0;
  if (!reader.read_map(count)) return std::nullopt;
  for (std::uint32_t i = 0; i < count; ++i) {
    const char* from = reader.position();
    std::string_view key, value;
    if (!reader.read_text(key) || !reader.read_raw(value)) return std::nullopt;
    if (key != name) continue;
    return Member{static_cast<std::size_t>(from - header.data()),
                  static_cast<std::size_t>(reader.position() - header.data()), value};
  }
  return std::nullopt;
}

}  // namespace

void append_times(std::string& header, const ShardTimes& times) {
  const bool was_unready = is_unready(header);
  if (was_unready) unmark_unready(header);
  append_member(header, "times", encode(times));
  if (was_unready) mark_unready(header);  // which stays the last
}

std::optional<std::string> take_times(std::string_view header, ShardTimes& times) {
  const auto member = find_member(header, "times");
  if (!member) return std::nullopt;
  Result<ShardTimes> read = decode<ShardTimes>(member->value);
  if (!read.ok()) return std::nullopt;
  times = *std::move(read);
  std::string without(header.substr(0, member->begin));
  without.append(header.substr(member->end));
  --without.front();
  return without;
}

void append_trace(std::string& header, const Trace& trace) { append_member(header, "trace", encode(trace)); }

Result<Trace> find_trace(std::string_view header) {
  const auto member = find_member(header, "trace");
  if (!member) return not_found("the reply has no trace");
  return decode<Trace>(member->value);
}

}  // namespace espalier::wire
