// The replies that belong to requests about the audit and quotas, for RegistryClient::call().
//
// Thread safety: none needed.
#pragma once

#include "client/registry_client.h"
#include "wire/audit_messages.h"

namespace espalier::client {

template <>
struct ReplyTo<wire::AuditRequest> {
  using type = wire::AuditReply;
};
template <>
struct ReplyTo<wire::QuotaRequest> {
  using type = wire::QuotaReply;
};
template <>
struct ReplyTo<wire::SetQuotaRequest> {
  using type = wire::EpochReply;
};

}  // namespace espalier::client
