// The messages of the audit and of quotas, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/audit_messages.h"
#include "wire/messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> audit_messages(const Uuid& idem) {
  constexpr std::int64_t kTime = 1'763'672'558'000'000;
  const AuditRecord record{12,
                           kTime,
                           "eta",
                           {"publisher"},
                           {"a0a1a2a3a4a5a6a7"},
                           "publish",
                           "acme",
                           "total",
                           "tag production",
                           R"({"release":"019a9d3c-4be0-7000-8000-000000000003"})",
                           R"({"release":"019a9d3c-4be0-7000-8000-000000000005","moved":4500})",
                           true};
  const Quota quota{10, 5000, 1'000'000'000};
  return {{"audit.request", encode(AuditRequest{"acme", "eta", "publish", kTime, kTime + 1, "\x01\x02", 100})},
          {"audit.reply", encode_reply(Status(), AuditReply{1, {record}, "\x01\x02"})},
          {"set_quota.request", encode(SetQuotaRequest{idem, "acme", quota})},
          {"quota.request", encode(QuotaRequest{"acme"})},
          {"quota.reply", encode_reply(Status(), QuotaReply{1, {quota, "local", kTime, 12}, {2, 4500, 3'168'000}})}};
}

}  // namespace espalier::wire::samples
