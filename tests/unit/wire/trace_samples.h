// Traced predictions, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/messages.h"
#include "wire/predict_codec.h"
#include "wire/trace.h"

namespace espalier::wire::samples {

inline ShardTimes shard_times(const Uuid& version) {
  return {
      700,
      40,
      {{0, {{2, "town", false, Reason::cold, version, ""}, {1, "state", true, Reason::exact, version, "production"}}}}};
}

inline std::vector<std::pair<std::string, std::string>> trace_messages(const std::string& request,
                                                                       const Uuid& version) {
  PredictHeader asked;
  std::string traced_request;
  if (decode_predict(request, asked).ok()) {
    asked.trace = true;
    encode_predict(asked, traced_request);
  }
  std::string from_shard, from_router;
  for (std::string* reply : {&from_shard, &from_router}) {
    begin_reply(*reply, 1);
    append_failed(*reply, 1, Code::no_model, "no");
  }
  append_times(from_shard, shard_times(version));
  mark_unready(from_shard);
  Trace trace{1900, 30, {}};
  trace.attempts.push_back({{0}, "s0", false, 12, true, 800, Code::ok, true, true, {700, 40, {}}});
  trace.attempts.push_back({{0}, "s1", true, 820, true, 1050, Code::unavailable, false, true, shard_times(version)});
  append_trace(from_router, trace);
  return {{"trace.request", traced_request}, {"trace.reply.shard", from_shard}, {"trace.reply", from_router}};
}

}  // namespace espalier::wire::samples
