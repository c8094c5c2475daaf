// What the audit says of a tenant's releases, for tests.
//
// Thread safety: as the Registry.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "registry/registry.h"
#include "tests/support/status_matchers.h"

namespace espalier::registry {

/// The releases that have a record; expects each once, naming the one before it of its tag.
inline std::set<Uuid> audited_releases(Registry& registry, const Principal& principal, const std::string& tenant) {
  std::set<Uuid> audited;
  std::map<std::string, std::string> newer;  ///< by tag: what the record after says was before it
  wire::AuditRequest request;
  request.tenant = tenant;
  do {
    const auto page = registry.audit(principal, request);
    EXPECT_OK(page);
    if (!page.ok()) break;
    for (const auto& record : page->records) {
      if (!record.subject.starts_with("tag ")) continue;
      const std::string release = record.after.substr(0, record.after.find(',')) + "}";
      const auto named = newer.find(record.subject);
      if (named != newer.end()) EXPECT_EQ(named->second, release) << record.subject;
      newer[record.subject] = record.before;
      const auto uuid = Uuid::parse(record.after.substr(12, 36));
      EXPECT_OK(uuid) << record.after;
      if (uuid.ok()) EXPECT_TRUE(audited.insert(*uuid).second) << "twice: " << uuid->text();
    }
    request.cursor = page->cursor;
  } while (!request.cursor.empty());
  for (const auto& [tag, before] : newer) EXPECT_EQ(before, "") << tag;
  return audited;
}

}  // namespace espalier::registry
