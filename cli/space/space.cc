// retention and collect: what the registry keeps, and what goes.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/space/receipts.h"
#include "cli/space/space_commands.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kSecondUs = 1'000'000;

json rule_json(const wire::RetentionRule& rule) {
  return {{"keep_all", rule.keep_all}, {"keep_last", rule.keep_last}, {"keep_tagged", rule.keep_tagged},
          {"tagged", rule.tagged},     {"keep_days", rule.keep_days}, {"principal", rule.principal},
          {"time_us", rule.time_us},   {"epoch", rule.epoch}};
}

std::string rule_text(const wire::RetentionRule& rule) {
  if (rule.keep_all) return "everything";
  std::string text = "what a tag names now";
  if (rule.keep_last > 0) text += ", the newest " + count_text(rule.keep_last) + " versions of each node";
  if (rule.keep_tagged && rule.tagged.empty()) text += ", what a tag has ever named";
  if (!rule.tagged.empty()) {
    text += ", what was ever named by";
    for (const std::string& tag : rule.tagged) text += " " + tag;
  }
  if (rule.keep_days > 0) text += ", what was made or named in the last " + count_text(rule.keep_days) + " days";
  return text;
}

}  // namespace

Status run_retention_show(const RetentionOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const auto reply, registry->call(wire::RetentionRequest{node.tenant, node.model}));
  if (shared.json) {
    auto list = json::array();
    for (const auto& rule : reply.rules) list.push_back(rule_json(rule));
    print_json(list);
    return Status();
  }
  Table table({"set", "by", "keeps"});
  for (const auto& rule : reply.rules) {
    table.add({rule.epoch == 0 ? "never" : time_text(rule.time_us), rule.principal.empty() ? "-" : rule.principal,
               rule_text(rule)});
  }
  print_line(table.text());
  return Status();
}

Status run_retention_set(const RetentionOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  wire::SetRetentionRequest request;
  request.idem = new_uuid();
  request.tenant = node.tenant;
  request.model = node.model;
  request.rule.keep_all = options.keep_all;
  request.rule.keep_last = options.keep_last;
  request.rule.keep_tagged = options.keep_tagged;
  request.rule.tagged = options.tagged;
  request.rule.keep_days = options.keep_days;
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const auto reply, registry->call(request));
  if (shared.json) {
    print_json(rule_json(reply.rules.front()));
  } else {
    print_line(node.tenant + "/" + node.model + " keeps " + rule_text(reply.rules.front()));
  }
  return Status();
}

Status run_collect(const CollectOptions& options, const Shared& shared) {
  wire::CollectRequest request;
  const std::size_t slash = options.what.find('/');
  request.tenant = options.what.substr(0, slash);
  if (slash != std::string::npos) request.model = options.what.substr(slash + 1);
  request.dry_run = options.dry_run;
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  if (!options.receipt.empty()) {
    ASSIGN_OR_RETURN(request.receipt, parse_receipt(options.receipt));
  } else {
    request.idem = new_uuid();
    request.receipt = new_uuid();
    RETURN_IF_ERROR(registry->call(request).status());
  }
  ASSIGN_OR_RETURN(const auto reply, finished_receipt(*registry, request.tenant, request.receipt));
  return print_receipt(*registry, reply, options.dry_run, shared.json);
}

namespace {

/// Until every shard has acknowledged it, or for so long.
Result<wire::ReceiptReply> acknowledged_receipt(client::RegistryClient& registry, const std::string& tenant,
                                                const Uuid& receipt, std::uint32_t seconds) {
  ASSIGN_OR_RETURN(auto reply, finished_receipt(registry, tenant, receipt));
  if (reply.missing.empty()) return reply;
  return registry.call(wire::ReceiptRequest{tenant, receipt, seconds * kSecondUs});
}

Status verify_erasure(client::RegistryClient& registry, const EraseOptions& options, const Shared& shared) {
  wire::VerifyErasureRequest request;
  request.tenant = options.tenant;
  ASSIGN_OR_RETURN(request.receipt, parse_receipt(options.verify));
  ASSIGN_OR_RETURN(const auto head, registry.call(wire::ReceiptRequest{request.tenant, request.receipt, 0}));
  std::vector<std::string> left;
  std::uint64_t looked_at = 0;
  do {
    ASSIGN_OR_RETURN(auto page, registry.call(request));
    left.insert(left.end(), page.left.begin(), page.left.end());
    looked_at += page.looked_at;
    request.cursor = std::move(page.cursor);
  } while (!request.cursor.empty());
  ASSIGN_OR_RETURN(const std::string wrong, wrong_items(registry, head.receipt));
  if (!wrong.empty()) left.push_back(wrong);
  for (const std::string& shard : head.missing) left.push_back("shard " + shard + " has not acknowledged it");
  if (shared.json) {
    print_json({{"receipt", request.receipt.text()},
                {"tenant", request.tenant},
                {"clean", left.empty()},
                {"left", left},
                {"looked_at", looked_at}});
  } else {
    for (const std::string& line : left) print_line(line);
    if (left.empty()) print_line("nothing is left of " + request.tenant + " (" + count_text(looked_at) + " records)");
  }
  if (left.empty()) return {};
  return failed_precondition("the erasure of " + request.tenant + " does not hold yet: " + std::to_string(left.size()) +
                             " findings");
}

}  // namespace

Status run_erase(const EraseOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  if (!options.verify.empty()) return verify_erasure(*registry, options, shared);
  wire::EraseRequest request{new_uuid(), options.tenant, new_uuid(), options.dry_run};
  if (!options.receipt.empty()) {
    ASSIGN_OR_RETURN(request.receipt, parse_receipt(options.receipt));
  } else {
    RETURN_IF_ERROR(registry->call(request).status());
  }
  ASSIGN_OR_RETURN(const auto reply, acknowledged_receipt(*registry, options.tenant, request.receipt, options.wait_s));
  return print_receipt(*registry, reply, false, shared.json);
}

}  // namespace espalier::cli
