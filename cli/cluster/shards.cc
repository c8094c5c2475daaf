#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "client/exchange.h"
#include "wire/shard_status_messages.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t kPatienceUs = 2'000'000;

struct Shard {
  cluster::ShardInfo info;
  Result<wire::ShardStatusReply> status = unavailable("not asked");
};

struct Answers {
  std::uint64_t all = 0, unexpected = 0;
  double share() const { return all == 0 ? 0 : static_cast<double>(unexpected) / static_cast<double>(all); }
};

Answers answers_of(const std::vector<wire::ReasonCount>& reasons) {
  Answers answers;
  for (const auto& [reason, count] : reasons) {
    answers.all += count;
    const bool is_expected =
        reason == wire::Reason::exact || reason == wire::Reason::no_version || reason == wire::Reason::removed;
    if (!is_expected) answers.unexpected += count;
  }
  return answers;
}

double ready_share(const wire::ShardStatusReply& status) {
  if (status.is_starting) return 0;
  if (status.nodes_wanted == 0) return 1;
  return static_cast<double>(status.nodes_ready) / static_cast<double>(status.nodes_wanted);
}

Result<std::vector<Shard>> ask_all(const Shared& shared) {
  ASSIGN_OR_RETURN(const auto key, own_key(shared));
  ASSIGN_OR_RETURN(const ClusterFile cluster, running_cluster(shared.cluster));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(wire::ViewReply view, registry->call(wire::ViewRequest{}));
  std::vector<Shard> shards;
  std::vector<std::pair<std::unique_ptr<client::Exchange>, client::Ticket>> asked;
  for (cluster::ShardInfo& info : view.view.shards) {
    client::Exchange::Options options;
    options.peer = "shard " + info.name;
    options.socket.key = key;
    options.socket.insecure = may_be_insecure(shared, cluster);
    auto exchange = client::Exchange::open(info.endpoints, options);
    Shard& shard = shards.emplace_back();
    shard.info = std::move(info);
    asked.emplace_back();
    if (!exchange.ok()) {
      shard.status = exchange.status();
      continue;
    }
    const client::Ticket ticket = (*exchange)->send(wire::encode(wire::ShardStatusRequest{}), {}, kPatienceUs, 0);
    asked.back() = {*std::move(exchange), ticket};
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    auto& [exchange, ticket] = asked[i];
    if (exchange == nullptr) continue;
    const client::Answer answer = exchange->wait_for(ticket);
    shards[i].status = answer.status.ok() ? wire::decode_reply<wire::ShardStatusReply>(answer.header())
                                          : Result<wire::ShardStatusReply>(answer.status);
  }
  return shards;
}

/// The worst first.
void sort(std::vector<Shard>& shards) {
  const auto rank = [](const Shard& shard) {
    if (!shard.status.ok()) return std::tuple(0, 0.0, 0.0);
    return std::tuple(shard.status->alerts.empty() ? 2 : 1, ready_share(*shard.status),
                      -answers_of(shard.status->answered).share());
  };
  std::ranges::stable_sort(shards, {}, rank);
}

json reasons_json(const std::vector<wire::ReasonCount>& reasons) {
  json document = json::object();
  for (const auto& [reason, count] : reasons) document[std::string(wire::reason_name(reason))] = count;
  return document;
}

json document_of(const Shard& shard) {
  json document = {{"name", shard.info.name},           {"state", cluster::shard_state_name(shard.info.state)},
                   {"zone", shard.info.zone},           {"weight", shard.info.weight},
                   {"endpoints", shard.info.endpoints}, {"answers", shard.status.ok()}};
  if (!shard.status.ok()) {
    document["why"] = shard.status.status().text();
    return document;
  }
  const wire::ShardStatusReply& status = *shard.status;
  document.update({{"version", status.version},
                   {"generation", status.generation},
                   {"epoch", status.epoch},
                   {"starting", status.is_starting},
                   {"nodes_wanted", status.nodes_wanted},
                   {"nodes_ready", status.nodes_ready},
                   {"not_ready", reasons_json(status.not_ready)},
                   {"memory_bytes", status.memory_bytes},
                   {"memory_budget", status.memory_budget},
                   {"disk_bytes", status.disk_bytes},
                   {"disk_budget", status.disk_budget},
                   {"evicted", status.evicted},
                   {"answered", reasons_json(status.answered)},
                   {"damaged", status.damaged},
                   {"scrubbed_bytes", status.scrubbed_bytes},
                   {"undelivered", status.undelivered}});
  document["models"] = json::array();
  for (const wire::ModelAnswers& model : status.models) {
    document["models"].push_back(
        {{"tenant", model.tenant}, {"model", model.model}, {"answered", reasons_json(model.reasons)}});
  }
  document["alerts"] = json::array();
  for (const wire::FallbackAlert& alert : status.alerts) {
    document["alerts"].push_back({{"tenant", alert.tenant},
                                  {"model", alert.model},
                                  {"reason", wire::reason_name(alert.reason)},
                                  {"answered", alert.answered},
                                  {"unexpected", alert.unexpected},
                                  {"seconds", static_cast<double>(alert.since_us) / 1e6}});
  }
  return document;
}

std::string percent_text(double share) { return number_text(std::round(share * 1000) / 10) + " %"; }

std::string budget_text(std::uint64_t bytes, std::uint64_t budget) {
  return bytes_text(bytes) + (budget == 0 ? "" : " of " + bytes_text(budget));
}

void print_table(const std::vector<Shard>& shards) {
  Table table({"SHARD", "STATE", "ZONE", "WEIGHT", "READY", "MEMORY", "DISK", "ANSWERED", "FALLBACK"});
  for (const Shard& shard : shards) {
    std::vector<std::string> cells = {shard.info.name, std::string(cluster::shard_state_name(shard.info.state)),
                                      shard.info.zone.empty() ? "-" : shard.info.zone, number_text(shard.info.weight)};
    if (shard.status.ok()) {
      const wire::ShardStatusReply& status = *shard.status;
      const Answers answers = answers_of(status.answered);
      for (std::string cell :
           {status.is_starting ? "starting" : percent_text(ready_share(status)),
            budget_text(status.memory_bytes, status.memory_budget), budget_text(status.disk_bytes, status.disk_budget),
            count_text(answers.all), percent_text(answers.share())}) {
        cells.push_back(std::move(cell));
      }
    } else {
      cells.insert(cells.end(), {"no answer", "-", "-", "-", "-"});
    }
    table.add(std::move(cells));
  }
  print_line(table.text());
  for (const Shard& shard : shards) {
    if (!shard.status.ok()) print_line(shard.info.name + ": " + shard.status.status().message());
    if (!shard.status.ok()) continue;
    for (const wire::FallbackAlert& alert : shard.status->alerts) {
      print_line("alert: " + shard.info.name + ": " +
                 (alert.tenant.empty() ? "other models" : alert.tenant + "/" + alert.model) + ": " +
                 count_text(alert.unexpected) + " of " + count_text(alert.answered) +
                 " answers of the last 10 s were not what they should be, mostly " +
                 std::string(wire::reason_name(alert.reason)));
    }
  }
}

}  // namespace

Status run_shards(const Shared& shared) {
  ASSIGN_OR_RETURN(std::vector<Shard> shards, ask_all(shared));
  sort(shards);
  if (!shared.json) {
    print_table(shards);
    return {};
  }
  json document = json::array();
  for (const Shard& shard : shards) document.push_back(document_of(shard));
  print_json({{"shards", document}});
  return {};
}

}  // namespace espalier::cli
