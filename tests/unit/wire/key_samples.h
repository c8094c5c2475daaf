// The messages of keys, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/key_messages.h"
#include "wire/messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> key_messages(const Uuid& idem, const Hash256& half,
                                                                     const Hash256& old_half) {
  constexpr std::int64_t kTime = 1'763'672'558'000'000;
  const std::vector<std::string> roles = {"predictor", "publisher"}, tenants = {"acme"};
  const KeyRecord key{"eta", roles, tenants, true, {{half, 0}, {old_half, kTime}}, kTime, kTime, kTime, "local", 12};
  return {{"key_create.request", encode(KeyCreateRequest{idem, "eta", roles, tenants, true, kTime, half})},
          {"key_limit.request", encode(KeyLimitRequest{idem, "eta", {"predictor"}, tenants, kTime})},
          {"key_rotate.request", encode(KeyRotateRequest{idem, "eta", half, 3'600'000'000})},
          {"key_revoke.request", encode(KeyRevokeRequest{idem, "eta"})},
          {"keys.request", encode(KeysRequest{1, 11, 10'000'000})},
          {"keys.reply", encode_reply(Status(), KeysReply{1, 12, true, {key}})}};
}

}  // namespace espalier::wire::samples
