// Who changed what, and what a tenant may have. As messages.h: twin of docs/wire-protocol/audit.md; what it means is
// docs/audit.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/uuid.h"

namespace espalier::wire {

/// One change that was made. Of an erased tenant only epoch and time are left.
struct AuditRecord {
  std::uint64_t epoch = 0;
  std::int64_t time_us = 0;
  std::string who;                 ///< a key's name; "local"; "registry": it did so itself
  std::vector<std::string> roles;  ///< that the key had then
  std::vector<std::string> keys;   ///< fingerprints of its halves then: the first 16 hexadecimal digits
  std::string operation;
  std::string tenant, model;  ///< empty: the change is about none
  std::string subject;        ///< "tag production", "key eta"
  std::string before, after;  ///< JSON objects; empty: there was nothing, there is nothing
  bool erased = false;
};

/// Newest first, in pages. What is left empty, or 0, is not asked for; a tenant's own needs its name.
struct AuditRequest {
  static constexpr std::string_view op = "audit";
  std::string tenant, who, operation;
  std::int64_t since_us = 0, until_us = 0;
  std::string cursor;
  std::uint32_t limit = 256;
};
struct AuditReply {
  std::uint64_t generation = 0;
  std::vector<AuditRecord> records;
  std::string cursor;  ///< not empty: there may be more
};

/// What a tenant may have; 0: no limit.
struct Quota {
  std::uint64_t models = 0;
  std::uint64_t nodes = 0;  ///< for which a tag names a version, for each tag
  std::uint64_t bytes = 0;  ///< of artefacts that are stored
};
struct QuotaRecord {
  Quota quota;
  std::string principal;  ///< who set it
  std::int64_t time_us = 0;
  std::uint64_t epoch = 0;
};

struct SetQuotaRequest {
  static constexpr std::string_view op = "set_quota";
  Uuid idem;
  std::string tenant;
  Quota quota;
};

/// Of one tenant.
struct QuotaRequest {
  static constexpr std::string_view op = "quota";
  std::string tenant;
};
struct QuotaReply {
  std::uint64_t generation = 0;
  QuotaRecord set;
  Quota used;
};

}  // namespace espalier::wire
