#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/json_records.h"
#include "cli/keys/joined.h"
#include "cli/keys/key_commands.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "client/audit_replies.h"
#include "common/utc.h"

namespace espalier::cli {
namespace {

constexpr std::uint32_t kPage = 1000;

Result<std::int64_t> parse_time(const std::string& option, const std::string& text) {
  if (text.empty()) return std::int64_t{0};
  const auto time = parse_utc(text);
  if (time) return *time;
  return invalid_argument(option + ": a time in UTC such as \"2026-11-17 14:03\", got '" + text + "'");
}

nlohmann::json to_json(const wire::AuditRecord& record) {
  if (record.erased) return {{"epoch", record.epoch}, {"time", time_text(record.time_us)}, {"erased", true}};
  return {{"epoch", record.epoch},
          {"time", time_text(record.time_us)},
          {"who", record.who},
          {"roles", record.roles},
          {"keys", record.keys},
          {"operation", record.operation},
          {"tenant", record.tenant},
          {"model", record.model},
          {"subject", record.subject},
          {"before", embedded_json(record.before)},
          {"after", embedded_json(record.after)}};
}

std::string about(const wire::AuditRecord& record) {
  if (record.erased) return "(erased)";
  std::string name = record.tenant;
  if (!record.model.empty()) name += "/" + record.model;
  return name + (name.empty() ? "" : " ") + record.subject;
}

}  // namespace

Status run_audit(const AuditOptions& options, const Shared& shared) {
  wire::AuditRequest request;
  request.tenant = options.tenant;
  request.who = options.who;
  request.operation = options.operation;
  ASSIGN_OR_RETURN(request.since_us, parse_time("--since", options.since));
  ASSIGN_OR_RETURN(request.until_us, parse_time("--until", options.until));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  auto list = nlohmann::json::array();
  Table table({"epoch", "time", "who", "operation", "what", "before", "after"});
  std::uint64_t left = options.limit;
  do {
    request.limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, kPage));
    ASSIGN_OR_RETURN(const wire::AuditReply page, registry->call(request));
    for (const wire::AuditRecord& record : page.records) {
      if (shared.json) {
        list.push_back(to_json(record));
      } else {
        const std::string who = record.roles.empty() ? record.who : record.who + " (" + joined(record.roles) + ")";
        table.add({std::to_string(record.epoch), time_text(record.time_us), who, record.operation, about(record),
                   record.before, record.after});
      }
    }
    left -= std::min<std::uint64_t>(left, page.records.size());
    request.cursor = page.cursor;
  } while (left > 0 && !request.cursor.empty());
  if (shared.json) {
    print_json({{"records", list}, {"more", !request.cursor.empty()}});
  } else {
    print_line(table.rows() == 0 ? "no changes" : table.text());
    if (!request.cursor.empty()) print_line("there are more: --limit, --since and --until choose");
  }
  return {};
}

}  // namespace espalier::cli
