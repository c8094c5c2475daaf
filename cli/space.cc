// retention and collect: what the registry keeps, and what goes.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/receipts.h"
#include "cli/registry_access.h"
#include "cli/space_commands.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

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

}  // namespace espalier::cli
