#include "registry/space/retention.h"

#include <algorithm>
#include <limits>

#include "model/ids.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

constexpr std::int64_t kDayUs = 24ll * 3600 * 1'000'000;
constexpr std::size_t kMostShown = 1024;

/// What happened before it is no longer kept for its age.
std::int64_t cutoff(const wire::RetentionRule& rule, std::int64_t now_us) {
  if (rule.keep_days == 0) return std::numeric_limits<std::int64_t>::max();
  return now_us - rule.keep_days * kDayUs;
}

}  // namespace

Status check_rule(const wire::RetentionRule& rule) {
  const bool says_more = rule.keep_last > 0 || rule.keep_tagged || !rule.tagged.empty() || rule.keep_days > 0;
  if (rule.keep_all && says_more) {
    return invalid_argument("rule.keep_all: with it nothing else is needed");
  }
  if (!rule.tagged.empty() && !rule.keep_tagged) {
    return invalid_argument("rule.tagged: names tags, but keep_tagged is not set");
  }
  if (rule.tagged.size() > kMaxTaggedNames) {
    return invalid_argument("rule.tagged: at most " + std::to_string(kMaxTaggedNames) + " tags");
  }
  for (const std::string& tag : rule.tagged) RETURN_IF_ERROR(model::check_name("tag", tag).at("rule.tagged"));
  if (rule.keep_days > kMaxKeepDays) {
    return invalid_argument("rule.keep_days: " + std::to_string(rule.keep_days) + ", at most " +
                            std::to_string(kMaxKeepDays));
  }
  return {};
}

bool keeps(const wire::RetentionRule& rule, std::int64_t now_us, const Candidate& candidate) {
  return rule.keep_all || candidate.is_named || candidate.newer < rule.keep_last ||
         candidate.created_us >= cutoff(rule, now_us);
}

bool keeps_entry(const wire::RetentionRule& rule, std::int64_t now_us, std::string_view tag, std::int64_t replaced_us) {
  if (rule.keep_all || replaced_us == 0 || replaced_us >= cutoff(rule, now_us)) return true;
  if (!rule.keep_tagged) return false;
  return rule.tagged.empty() || std::ranges::find(rule.tagged, tag) != rule.tagged.end();
}

Result<wire::RetentionRule> Retention::rule(const std::string& tenant, const std::string& model) {
  const std::string prefix = keys::of_model(keys::Table::retention, tenant, model);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, prefix, std::numeric_limits<std::uint64_t>::max()));
  if (!dated) return wire::RetentionRule{};
  auto rule = wire::decode<wire::RetentionRule>(dated->value);
  if (!rule.ok()) return bad_record(prefix, rule.status());
  return rule;
}

Result<std::vector<wire::RetentionRule>> Retention::history(const std::string& tenant, const std::string& model) {
  std::vector<wire::RetentionRule> rules;
  const std::string prefix = keys::of_model(keys::Table::retention, tenant, model);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix) && rules.size() < kMostShown;
       cursor->next()) {
    auto rule = wire::decode<wire::RetentionRule>(cursor->value());
    if (!rule.ok()) return bad_record(cursor->key(), rule.status());
    rules.push_back(*std::move(rule));
  }
  RETURN_IF_ERROR(cursor->status());
  return rules;
}

wire::RetentionRule Retention::put(Batch& batch, const std::string& tenant, const std::string& model,
                                   wire::RetentionRule rule, const std::string& principal) {
  rule.principal = principal;
  rule.time_us = batch.time_us();
  rule.epoch = batch.epoch();
  batch.put(keys::retention(tenant, model, batch.epoch()), wire::encode(rule));
  return rule;
}

}  // namespace espalier::registry
