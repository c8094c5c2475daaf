// The messages of leases, draining and tenants' settings, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/membership_messages.h"
#include "wire/messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> membership_messages(const Uuid& idem, const Uuid& process) {
  const RenewRequest renew{"s0", process, true, 4500, 4501, 1200, {{"acme", "total", {"usa", "ca"}, 300}}};
  return {{"renew.request", encode(renew)},
          {"renew.reply", encode_reply(Status(), RenewReply{1, 12, 10'000'000, cluster::ShardState::draining})},
          {"drain.request", encode(DrainRequest{idem, "s0"})},
          {"set_tenant.request", encode(SetTenantRequest{idem, "acme", 8, 3, 500, 100})}};
}

}  // namespace espalier::wire::samples
